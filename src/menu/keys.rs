//! Bytes from a terminal to keys.

use std::time::Duration;

/// A lone ESC and the start of an arrow key look alike: what follows within this time belongs to it.
/// When it has passed it is time for [`KeyDecoder::flush`].
pub const ESCAPE_PAUSE: Duration = Duration::from_millis(50);

/// A key the menu knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as on the keyboard")]
pub enum Key {
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
    Enter,
    Escape,
    Tab,
    BackTab,
    Backspace,
    Char(char),
    /// A character between the marks of a paste: only what asks for text takes it.
    Pasted(char),
    CtrlC,
    CtrlD,
    WheelUp,
    WheelDown,
    /// The left button, pressed on this cell, counted from 0.
    Click {
        column: u16,
        row: u16,
    },
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// A carriage return was just told: a line feed after it is the same key.
    Returned,
    /// A character of several bytes: its bits so far, how many bytes are missing, and the least
    /// value that may be written so long.
    Utf8 { bits: u32, missing: u8, least: u32 },
    /// ESC: the key, or the start of a sequence.
    Escape,
    /// `ESC O`.
    Ss3,
    /// `ESC [`, its first number so far.
    Csi { first: u16, counting: bool, private: bool },
    /// `ESC [ <`, a mouse report (xterm's mode 1006): its numbers so far.
    Mouse { numbers: [u16; 3], at: usize },
    /// OSC, DCS and the like, a terminal's answer to a question: nothing in it was typed.
    Text,
    /// ESC in it: its end, or a key of its own.
    TextEnd,
    /// Bytes that belong to a sequence of fixed length.
    Skip(u8),
    /// Between the marks of a bracketed paste: how much of the closing mark was seen.
    Paste(u8),
}

const PASTE_END: &[u8] = b"\x1b[201~";

/// Decodes what a terminal sends, however it is split over packets. It holds a few bytes of state,
/// whatever comes.
#[derive(Debug, Clone, Default)]
pub struct KeyDecoder {
    state: State,
}

impl KeyDecoder {
    /// A decoder that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The keys completed by these bytes.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Key> {
        let mut keys = Vec::new();
        for &byte in bytes {
            self.byte(byte, &mut keys);
        }
        keys
    }

    /// Called when nothing more came for a moment: an ESC that began nothing was the key.
    ///
    /// A longer sequence stays open: its rest may be late, and read alone its digits would choose.
    pub fn flush(&mut self) -> Vec<Key> {
        if self.state == State::Escape {
            self.state = State::Ground;
            vec![Key::Escape]
        } else {
            Vec::new()
        }
    }

    fn byte(&mut self, byte: u8, keys: &mut Vec<Key>) {
        match self.state {
            State::Ground => self.ground(byte, keys),
            State::Returned if byte == b'\n' => self.state = State::Ground,
            State::Returned => self.ground(byte, keys),
            State::Utf8 { bits, missing, least } => self.utf8(byte, bits, missing, least, keys),
            State::Escape => self.escape(byte, keys),
            State::Ss3 => self.ss3(byte, keys),
            State::Csi { first, counting, private } => self.csi(byte, first, counting, private, keys),
            State::Mouse { numbers, at } => self.mouse(byte, numbers, at, keys),
            State::Text => self.text(byte, keys),
            State::TextEnd if byte == b'\\' => self.state = State::Ground,
            State::TextEnd => self.escape(byte, keys),
            State::Skip(left) => {
                self.state = if left > 1 { State::Skip(left - 1) } else { State::Ground };
            }
            State::Paste(seen) => self.paste(byte, seen, keys),
        }
    }

    fn ground(&mut self, byte: u8, keys: &mut Vec<Key>) {
        self.state = State::Ground;
        match byte {
            0x03 => keys.push(Key::CtrlC),
            0x04 => keys.push(Key::CtrlD),
            b'\t' => keys.push(Key::Tab),
            b'\n' => keys.push(Key::Enter),
            b'\r' => {
                keys.push(Key::Enter);
                self.state = State::Returned;
            }
            0x08 | 0x7f => keys.push(Key::Backspace),
            0x1b => self.state = State::Escape,
            0x20..=0x7e => keys.push(Key::Char(char::from(byte))),
            0xc2..=0xdf => self.begin_utf8(byte & 0x1f, 1, 0x80),
            0xe0..=0xef => self.begin_utf8(byte & 0x0f, 2, 0x800),
            0xf0..=0xf4 => self.begin_utf8(byte & 0x07, 3, 0x1_0000),
            _ => {}
        }
    }

    fn begin_utf8(&mut self, bits: u8, missing: u8, least: u32) {
        self.state = State::Utf8 { bits: u32::from(bits), missing, least };
    }

    fn utf8(&mut self, byte: u8, bits: u32, missing: u8, least: u32, keys: &mut Vec<Key>) {
        if byte & 0xc0 != 0x80 {
            return self.ground(byte, keys);
        }
        let bits = bits << 6 | u32::from(byte & 0x3f);
        if missing > 1 {
            self.state = State::Utf8 { bits, missing: missing - 1, least };
            return;
        }
        self.state = State::Ground;
        let char = char::from_u32(bits).filter(|char| bits >= least && !char.is_control());
        keys.extend(char.map(Key::Char));
    }

    fn escape(&mut self, byte: u8, keys: &mut Vec<Key>) {
        match byte {
            b'[' => self.state = State::Csi { first: 0, counting: true, private: false },
            b'O' => self.state = State::Ss3,
            b']' | b'P' | b'X' | b'^' | b'_' => self.state = State::Text,
            // ESC and then something else, as a fast typist or a slow line brings them.
            _ => {
                keys.push(Key::Escape);
                self.ground(byte, keys);
            }
        }
    }

    fn ss3(&mut self, byte: u8, keys: &mut Vec<Key>) {
        match byte {
            // A modifier: `ESC O 5 A`.
            b'0'..=b';' => {}
            b'M' => self.end(Some(Key::Enter), keys),
            // The keypad's 0 to 9.
            b'p'..=b'y' => self.end(Some(Key::Char(char::from(byte - b'p' + b'0'))), keys),
            0x40..=0x7e => self.end(letter(byte), keys),
            _ => self.ground(byte, keys),
        }
    }

    fn csi(&mut self, byte: u8, first: u16, counting: bool, private: bool, keys: &mut Vec<Key>) {
        match byte {
            b'0'..=b'9' if counting => {
                let first = first.saturating_mul(10).saturating_add(u16::from(byte - b'0'));
                self.state = State::Csi { first, counting, private };
            }
            b'0'..=b';' => self.state = State::Csi { first, counting: false, private },
            b'<' if first == 0 && counting => self.state = State::Mouse { numbers: [0; 3], at: 0 },
            0x20..=0x3f => self.state = State::Csi { first, counting: false, private: true },
            // The Linux console's F1 to F5, and the oldest mouse reports.
            b'[' => self.state = State::Skip(1),
            b'M' if first == 0 && !private => self.state = State::Skip(3),
            b'~' if first == 200 && !private => self.state = State::Paste(0),
            b'~' if !private => self.end(numbered(first), keys),
            0x40..=0x7e => self.end(if private { None } else { letter(byte) }, keys),
            _ => self.ground(byte, keys),
        }
    }

    fn mouse(&mut self, byte: u8, mut numbers: [u16; 3], at: usize, keys: &mut Vec<Key>) {
        match byte {
            b'0'..=b'9' => {
                if let Some(number) = numbers.get_mut(at) {
                    *number = number.saturating_mul(10).saturating_add(u16::from(byte - b'0'));
                }
                self.state = State::Mouse { numbers, at };
            }
            b';' => self.state = State::Mouse { numbers, at: at.saturating_add(1) },
            // `m` is the button let go.
            b'M' | b'm' => self.end((byte == b'M' && at == 2).then(|| pointed(numbers)).flatten(), keys),
            0x20..=0x7e => self.end(None, keys),
            _ => self.ground(byte, keys),
        }
    }

    fn end(&mut self, key: Option<Key>, keys: &mut Vec<Key>) {
        self.state = State::Ground;
        keys.extend(key);
    }

    fn text(&mut self, byte: u8, keys: &mut Vec<Key>) {
        match byte {
            0x07 | 0x18 => self.state = State::Ground,
            0x1b => self.state = State::TextEnd,
            // No answer has these: Alt-] began it, and the reader goes on.
            0x00..=0x1f => self.ground(byte, keys),
            _ => {}
        }
    }

    fn paste(&mut self, byte: u8, seen: u8, keys: &mut Vec<Key>) {
        // A paste whose end never comes must not lock anybody in.
        if byte == 0x03 {
            keys.push(Key::CtrlC);
        }
        let before = seen;
        let seen = match PASTE_END.get(usize::from(seen)) {
            Some(&next) if byte == next => seen + 1,
            _ => u8::from(byte == 0x1b),
        };
        let ended = usize::from(seen) == PASTE_END.len();
        match byte {
            0x20..=0x7e if seen == 0 && before == 0 => keys.push(Key::Pasted(char::from(byte))),
            b'\r' | b'\n' => keys.push(Key::Pasted('\n')),
            _ => {}
        }
        self.state = if ended { State::Ground } else { State::Paste(seen) };
    }
}

fn letter(byte: u8) -> Option<Key> {
    Some(match byte {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'F' => Key::End,
        b'H' => Key::Home,
        b'Z' => Key::BackTab,
        _ => return None,
    })
}

fn numbered(number: u16) -> Option<Key> {
    Some(match number {
        1 | 7 => Key::Home,
        4 | 8 => Key::End,
        5 => Key::PageUp,
        6 => Key::PageDown,
        _ => return None,
    })
}

/// What a mouse report means; movements and other buttons mean nothing here.
fn pointed([button, column, row]: [u16; 3]) -> Option<Key> {
    Some(match button {
        0 => Key::Click { column: column.checked_sub(1)?, row: row.checked_sub(1)? },
        64 => Key::WheelUp,
        65 => Key::WheelDown,
        _ => return None,
    })
}
