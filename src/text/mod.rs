//! The catalogue: every text that users read, in English and French, and nothing else.
//!
//! One file for each room that speaks; a message is an enum variant with its data, and its two
//! renderings stand side by side, so that a missing translation does not compile.

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub mod account;
pub mod admin;
pub mod admin_page;
pub mod agent;
pub mod connect;
pub mod door;
pub mod login;
pub mod menu;
pub mod mine;
pub mod qr;
pub mod queue;
pub mod refusal;
pub mod session;
pub mod shells;
pub mod usage;
pub mod uses;
pub mod web;

/// A language we speak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Lang {
    /// English, also where nothing is known of the reader.
    #[default]
    En,
    /// French.
    Fr,
}

impl Lang {
    /// From a locale as in `LANG`, `fr_FR.UTF-8`.
    #[must_use]
    pub fn from_locale(locale: &str) -> Self {
        if locale.to_ascii_lowercase().starts_with("fr") { Self::Fr } else { Self::En }
    }

    /// From its code, `en` or `fr`.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::En, Self::Fr].into_iter().find(|lang| lang.code() == code)
    }

    /// Its code.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.pick("en", "fr")
    }

    /// Picks one of two renderings.
    #[must_use]
    pub fn pick<T>(self, en: T, fr: T) -> T {
        match self {
            Self::En => en,
            Self::Fr => fr,
        }
    }
}

/// A message of the catalogue.
pub trait Say {
    /// The message in a language.
    fn say(&self, lang: Lang) -> String;
}

/// A length of time as people read it: `7 h 59 min`, `37 min`, `20 s`. The same in both languages.
#[must_use]
pub fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds % 3600 / 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, 0) => format!("{m} min"),
        (0, m, s) if m < 5 => format!("{m} min {s} s"),
        (0, m, _) => format!("{m} min"),
        (h, 0, _) => format!("{h} h"),
        (h, m, _) => format!("{h} h {m:02} min"),
    }
}

/// Text from outside made safe for a terminal: control characters (C0, DEL, C1) and the
/// direction-changing ones of Unicode become `�`.
#[must_use]
pub fn printable(text: &str) -> String {
    let unsafe_char = |c: char| {
        c.is_control()
            || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if unsafe_char(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_well() {
        let read = |s| span(Duration::from_secs(s));
        assert_eq!(read(20), "20 s");
        assert_eq!(read(60), "1 min");
        assert_eq!(read(61), "1 min 1 s");
        assert_eq!(read(37 * 60 + 5), "37 min");
        assert_eq!(read(8 * 3600), "8 h");
        assert_eq!(read(8 * 3600 - 1), "7 h 59 min");
    }

    #[test]
    fn nobody_paints_on_anothers_screen() {
        assert_eq!(printable("a\x1b[2Jb\u{9b}c\u{202e}"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}");
        assert_eq!(printable("élève"), "élève");
    }
}
