//! How the menu meets its reader: a drawn screen, or numbered lines.

use super::keys::{Key, KeyDecoder};
use super::model::{Event, Model};
use super::palette::Palette;
use super::plain::Plain;
use super::screen::Screen;

/// A terminal's both directions.
#[derive(Debug)]
pub enum Face {
    /// A screen, keys and a mouse.
    Drawn {
        /// What it shows.
        screen: Screen,
        /// What it sends.
        keys: KeyDecoder,
    },
    /// Lines, read aloud or printed.
    Plain(Plain),
}

impl Face {
    /// What suits this terminal. Lines where it knows no other, or where they are asked for.
    #[must_use]
    pub fn new(columns: u16, rows: u16, palette: Palette, plain: bool) -> Self {
        if plain || !palette.escapes {
            return Self::Plain(Plain::new(palette));
        }
        Self::Drawn { screen: Screen::new(columns, rows, palette), keys: KeyDecoder::new() }
    }

    /// Takes the terminal over.
    pub fn enter(&mut self) -> Vec<u8> {
        match self {
            Self::Drawn { screen, .. } => screen.enter(),
            Self::Plain(_) => Vec::new(),
        }
    }

    /// What brings the terminal from what it shows to what the model is: nothing if it shows that already.
    pub fn show(&mut self, model: &Model) -> Vec<u8> {
        match self {
            Self::Drawn { screen, .. } => screen.draw(model),
            Self::Plain(plain) => plain.show(model),
        }
    }

    /// What these bytes of the terminal mean.
    pub fn hear(&mut self, bytes: &[u8]) -> Vec<Event> {
        match self {
            Self::Drawn { screen, keys } => {
                keys.feed(bytes).into_iter().filter_map(|key| event(screen, key)).collect()
            }
            Self::Plain(plain) => plain.hear(bytes),
        }
    }

    /// Nothing more came for a moment.
    pub fn pause(&mut self) -> Vec<Event> {
        match self {
            Self::Drawn { keys, .. } => keys.flush().into_iter().map(Event::Key).collect(),
            Self::Plain(_) => Vec::new(),
        }
    }

    /// The terminal has a new size.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        if let Self::Drawn { screen, .. } = self {
            screen.resize(columns, rows);
        }
    }

    /// Gives the terminal back.
    pub fn leave(&mut self) -> Vec<u8> {
        match self {
            Self::Drawn { screen, .. } => screen.leave(),
            Self::Plain(plain) => plain.leave(),
        }
    }
}

/// A click is one on what the reader sees: the picture drawn last.
fn event(screen: &Screen, key: Key) -> Option<Event> {
    match key {
        Key::Click { row, .. } => screen.row_at(row).map(Event::Click),
        key => Some(Event::Key(key)),
    }
}
