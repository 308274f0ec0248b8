//! The menu: `Event → update → Action`, drawn to bytes.
//!
//! No I/O, clock or task here. The connection decodes what was typed ([`KeyDecoder`]), tells the
//! [`Model`] what happened ([`update`]), performs the [`Action`] that comes back, and sends what
//! [`Screen::draw`] returns. It draws after every event, so that what Enter does is always what
//! the screen shows. After [`Action::Cancel`] it sends no more of that reservation's events.
//!
//! ```text
//!             Enter, →, digit            Enter, digit on a free slot
//!  machines ───────────────────▶ slots ─────────────────────────────▶ progress  (Action::Reserve)
//!           ◀───────────────────       ◀─────────────────────────────
//!             ←, Esc, Backspace          Failed; Esc, q, Ctrl-C (Action::Cancel)
//!
//!              w (Action::Join)        Enter, once a slot is held
//!  the lists ◀──────────────────▶ queue ─────────────────────────▶ progress
//!              Esc; x (Action::Leave)
//! ```

mod backend;
mod charter;
mod keys;
mod lists;
mod model;
mod palette;
mod paper;
mod screen;
mod sheet;
mod update;
mod view;
mod wrap;

#[cfg(test)]
mod tests;

pub use charter::{CharterPage, Turn};
pub use keys::{Key, KeyDecoder};
pub use model::{Action, Event, Model};
pub use palette::Palette;
pub use screen::Screen;
pub use update::update;
pub use view::view;
