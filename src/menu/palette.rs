//! What a terminal can show, and pictures reduced to it.

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

/// What a terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Palette {
    /// The 16 colours.
    pub color: bool,
    /// Characters beyond ASCII.
    pub unicode: bool,
    /// Control sequences at all; without them a picture is printed as lines.
    pub escapes: bool,
    /// Tells where it was clicked.
    pub mouse: bool,
}

impl Palette {
    /// From what the client sent: `TERM`, its locale (empty if it sent none), and whether it asked
    /// for no colours.
    ///
    /// Many clients send no locale, and nearly all of them draw UTF-8; so only a locale that says
    /// otherwise, or a terminal that is too old, gets ASCII.
    #[must_use]
    pub fn for_terminal(term: &str, locale: &str, no_color: bool) -> Self {
        let term = term.to_ascii_lowercase();
        let locale = locale.to_ascii_lowercase();
        let escapes = !matches!(term.as_str(), "" | "dumb" | "unknown");
        let old = term.starts_with("vt");
        let mono = old || term.ends_with("-m") || term.ends_with("-mono");
        let utf8 = locale.contains("utf-8") || locale.contains("utf8");
        Self {
            color: escapes && !mono && !no_color,
            unicode: utf8 || (locale.is_empty() && escapes && !old),
            escapes,
            mouse: escapes
                && !old
                && !["linux", "cons", "ansi", "sun"].iter().any(|name| term.starts_with(name)),
        }
    }

    /// Reduces a picture to what can be shown.
    pub(super) fn apply(self, buffer: &mut Buffer) {
        for cell in &mut buffer.content {
            if !self.unicode && !cell.symbol().is_ascii() {
                let plain = ascii(cell.symbol());
                cell.set_char(plain);
            }
            if !self.color {
                cell.set_fg(Color::Reset).set_bg(Color::Reset);
            }
            if !self.escapes {
                without_style(cell);
            }
        }
    }
}

fn without_style(cell: &mut Cell) {
    cell.modifier = Modifier::empty();
}

/// A text reduced to what can be shown.
pub(super) fn plain_text(palette: Palette, text: &str) -> String {
    if palette.unicode {
        return text.to_owned();
    }
    let ascii = |char: char| if char.is_ascii() { char } else { ascii(char.encode_utf8(&mut [0; 4])) };
    text.chars().map(ascii).collect()
}

fn ascii(symbol: &str) -> char {
    match symbol.chars().next().unwrap_or(' ') {
        '●' => '*',
        '○' => 'o',
        '↑' => '^',
        '↓' => 'v',
        '←' => '<',
        '→' => '>',
        '…' => '.',
        '█' => '#',
        '░' => '-',
        '✓' => '+',
        '▸' => '>',
        '·' | '–' => '-',
        '×' => 'x',
        '°' => ' ',
        'à' | 'â' | 'ä' => 'a',
        'À' | 'Â' => 'A',
        'ç' => 'c',
        'Ç' => 'C',
        'é' | 'è' | 'ê' | 'ë' => 'e',
        'É' | 'È' | 'Ê' => 'E',
        'î' | 'ï' => 'i',
        'Î' => 'I',
        'ô' | 'ö' => 'o',
        'Ô' => 'O',
        'ù' | 'û' | 'ü' => 'u',
        'Ù' | 'Û' => 'U',
        '’' => '\'',
        '\u{a0}' | '\u{202f}' => ' ',
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_we_say_can_be_said_in_ascii() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/menu/snapshots");
        for file in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let lost: String = text
                .chars()
                .filter(|char| !char.is_ascii() && ascii(char.encode_utf8(&mut [0; 4])) == '?')
                .collect();
            assert_eq!(lost, "");
        }
        assert_eq!(ascii("日"), '?');
    }

    #[test]
    fn terminals_get_what_they_can_show() {
        let got = |term, locale, no_color| {
            let palette = Palette::for_terminal(term, locale, no_color);
            (palette.color, palette.unicode, palette.escapes)
        };
        assert_eq!(got("xterm-256color", "fr_FR.UTF-8", false), (true, true, true));
        assert_eq!(got("xterm-256color", "en_US.utf8", true), (false, true, true));
        assert_eq!(got("xterm", "C", false), (true, false, true));
        assert_eq!(got("xterm", "", false), (true, true, true));
        assert_eq!(got("vt100", "", false), (false, false, true));
        assert_eq!(got("dumb", "", false), (false, false, false));
        assert_eq!(got("", "fr_FR.ISO-8859-1", false), (false, false, false));
    }
}
