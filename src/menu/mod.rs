//! The menu: `Event → update → Action`, drawn to bytes.
//!
//! No I/O, clock or task here. The connection decodes what was typed, tells the [`Model`] what happened
//! ([`update`]), performs the [`Action`] that comes back, and sends what its [`Face`] shows: a [`Screen`], or
//! numbered lines for a reader that speaks. It draws after every event, so that what Enter does is always what
//! the screen shows. After [`Action::Cancel`] it sends no more of that reservation's events.
//!
//! ```text
//!             Enter, →, digit            Enter, digit on a free slot
//!  machines ───────────────────▶ slots ─────────────────────────────▶ progress  (Action::Reserve)
//!           ◀───────────────────       ◀─────────────────────────────    │
//!     ▲       ←, Esc, Backspace          Failed; Esc, q, Ctrl-C          │ Ready
//!     │ m, Esc                           (Action::Cancel)                ▼
//!     ▼              Enter on a row                                    card ── Enter ──▶ the shell (Action::Enter)
//!   mine ◀────────────────────────▶ shell, ways, card, keys ◀──▶ paste
//!
//!              w (Action::Join)        Enter, once a slot is held
//!  the lists ◀──────────────────▶ queue ─────────────────────────▶ progress
//!              Esc; x (Action::Leave)
//! ```
//!
//! Who gives up waiting for a start gives back what this menu has asked for (`Action::Cancel`). A start that was asked for
//! elsewhere (on the page, by a command, in a menu whose line broke) is only not waited for any more (`Action::StopWaiting`):
//! it goes on, and `mine` can release it.
//!
//! Who holds a reservation begins at `mine`. A question (`model::Ask`), help and a filter lie over a screen.

mod backend;
mod charter;
mod face;
mod figures;
mod filter;
mod gauges;
mod help;
mod keys;
mod lists;
mod mine;
mod mine_view;
mod model;
mod palette;
mod paper;
mod picture;
mod plain;
mod screen;
mod sheet;
mod steps;
mod update;
mod uses;
mod uses_view;
mod view;
mod wrap;

#[cfg(test)]
mod tests;

pub use charter::{CharterPage, Turn};
pub use face::Face;
pub use gauges::Gauge;
pub use keys::{ESCAPE_PAUSE, Key, KeyDecoder};
pub use mine::Facts;
pub use model::{Action, Event, Model};
pub use palette::Palette;
pub use picture::{Picture, Pictures};
pub use screen::Screen;
pub use update::update;
pub use uses::Uses;
pub use view::view;
