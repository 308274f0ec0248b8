//! A terminal's screen, remembered from what was shown on it: text, colours, cursor, modes, title, and the
//! lines that have scrolled away last.

use std::num::NonZeroU16;
use std::panic::{AssertUnwindSafe, catch_unwind};

use vt100::{Callbacks, Parser};

use crate::agent::protocol::WindowSize;

/// Lines above the screen. With the largest screen this bounds one shell's memory, at about 15 MB; an ordinary
/// window takes about one.
const HISTORY: usize = 200;
const MOST_COLUMNS: u16 = 400;
const MOST_ROWS: u16 = 200;
/// A terminal that says no size, as sshd and ssh(1) have it.
const COLUMNS: NonZeroU16 = Parser::<()>::DEFAULT_COLS;
const ROWS: NonZeroU16 = Parser::<()>::DEFAULT_ROWS;
const MOST_TITLE: usize = 256;
/// A reply is a frame of the protocol, and the rest of it is small.
const MOST_RESTORED: usize = 200 * 1024;
/// Between the parts of a broken sequence: CAN ends it (ECMA-48), ST what CAN does not.
const RESYNC: &[u8] = b"\x18\x1b\\";

#[derive(Debug, Default)]
struct Title(String);

impl Callbacks for Title {
    fn set_window_title(&mut self, _: &mut vt100::Screen, title: &[u8]) {
        let title = String::from_utf8_lossy(title);
        self.0 = crate::text::printable(&title).chars().take(MOST_TITLE).collect();
    }
}

pub(super) struct Screen {
    parser: Parser<Title>,
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screen").field("size", &self.parser.screen().size()).finish_non_exhaustive()
    }
}

impl Screen {
    pub(super) fn new(size: WindowSize) -> Self {
        let (rows, columns) = bounded(size);
        Self { parser: Parser::new_with_callbacks(rows, columns, HISTORY, Title::default()) }
    }

    /// Takes in what was shown. With a gap before it, what was half said is dropped.
    pub(super) fn show(&mut self, bytes: &[u8], after_gap: bool) {
        self.change(|parser| {
            if after_gap {
                parser.process(RESYNC);
            }
            parser.process(bytes);
        });
    }

    pub(super) fn resize(&mut self, size: WindowSize) {
        let (rows, columns) = bounded(size);
        self.change(|parser| parser.set_size(rows, columns));
    }

    /// A screen that its parser cannot bear (it panics at some odd input) begins anew: a shell is worth more.
    fn change(&mut self, change: impl FnOnce(&mut Parser<Title>)) {
        if catch_unwind(AssertUnwindSafe(|| change(&mut self.parser))).is_err() {
            self.parser = Parser::new_with_callbacks(ROWS, COLUMNS, HISTORY, Title::default());
        }
    }

    /// What brings it back on a terminal of this size and kind. What was on the terminal scrolls up.
    pub(super) fn restore(&mut self, size: WindowSize, term: &str) -> Vec<u8> {
        self.resize(size);
        let restored = catch_unwind(AssertUnwindSafe(|| match term {
            "" | "dumb" | "unknown" => self.plain(),
            _ => self.painted(),
        }));
        match restored {
            Ok(restored) if restored.len() <= MOST_RESTORED => restored,
            // Every cell in a colour of its own: the text alone will do.
            Ok(_) => self.plain().into_iter().take(MOST_RESTORED).collect(),
            Err(_) => Vec::new(),
        }
    }

    fn plain(&self) -> Vec<u8> {
        let lines = self.parser.screen().contents();
        lines.trim_end().replace('\n', "\r\n").into_bytes()
    }

    fn painted(&mut self) -> Vec<u8> {
        let is_alternate = self.parser.screen().alternate_screen();
        if is_alternate {
            // Only looks at the other one: this mode clears nothing and moves nothing.
            self.parser.process(b"\x1b[?47l");
        }
        let mut out = self.history();
        out.push_str(&self.parser.screen().contents_formatted());
        if is_alternate {
            self.parser.process(b"\x1b[?47h");
            out.push_str("\x1b[?1049h");
            out.push_str(&self.parser.screen().contents_formatted());
        }
        out.push_str(&self.parser.screen().input_mode_formatted());
        let title = &self.parser.callbacks().0;
        if !title.is_empty() {
            out.push_str(&format!("\x1b]2;{title}\x07"));
        }
        out.into_bytes()
    }

    /// The lines above the screen, put where the client's terminal keeps such lines. Begins on an empty line.
    fn history(&mut self) -> String {
        let screen = self.parser.screen_mut();
        let (rows, columns) = screen.size();
        let mut out = String::from("\x1b[0m\r");
        for above in (1..=screen.scrollback_len()).rev() {
            screen.set_scrollback(above);
            if let Some(line) = screen.rows_formatted(0, columns.get()).next() {
                out.push_str(&line);
            }
            out.push_str("\x1b[0m\r\n");
        }
        screen.set_scrollback(0);
        out.push_str(&"\n".repeat(usize::from(rows.get()).saturating_sub(1)));
        out
    }
}

fn bounded(size: WindowSize) -> (NonZeroU16, NonZeroU16) {
    let rows = NonZeroU16::new(size.rows.min(MOST_ROWS)).unwrap_or(ROWS);
    // A wide character needs two columns.
    let columns = NonZeroU16::new(size.columns.min(MOST_COLUMNS))
        .map_or(COLUMNS, |c| c.max(NonZeroU16::MIN.saturating_add(1)));
    (rows, columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(columns: u16, rows: u16) -> WindowSize {
        WindowSize { columns, rows, width: 0, height: 0 }
    }

    /// What a terminal shows that is given what restores a screen.
    fn seen(screen: &mut Screen, at: WindowSize) -> Screen {
        let mut other = Screen::new(at);
        other.show(b"$ ssh host\r\nwelcome\r\n", false);
        other.show(&screen.restore(at, "xterm-256color"), false);
        other
    }

    #[test]
    fn a_screen_comes_back_with_colours_cursor_and_title() {
        let mut screen = Screen::new(size(40, 5));
        screen.show(b"\x1b]2;my title\x07one\r\n\x1b[31mtwo\x1b[0m\r\n$ ls\x1b[?2004h", false);
        let back = seen(&mut screen, size(40, 5));
        let (was, is) = (screen.parser.screen(), back.parser.screen());
        assert_eq!(is.contents(), "one\ntwo\n$ ls");
        assert_eq!(is.cursor_position(), was.cursor_position());
        assert_eq!(is.cell(1, 0).map(|c| c.fgcolor()), Some(vt100::Color::Idx(1)));
        assert!(is.bracketed_paste() && back.parser.callbacks().0 == "my title");
    }

    #[test]
    fn what_has_scrolled_away_can_be_scrolled_back_to() {
        let mut screen = Screen::new(size(40, 5));
        for number in 1..=30 {
            screen.show(format!("line {number}\r\n").as_bytes(), false);
        }
        let mut back = seen(&mut screen, size(40, 5));
        assert_eq!(back.parser.screen().contents(), "line 27\nline 28\nline 29\nline 30");
        let screen = back.parser.screen_mut();
        screen.set_scrollback(usize::MAX);
        let mut lines = String::new();
        for above in (1..=screen.scrollback()).rev() {
            screen.set_scrollback(above);
            lines.push_str(screen.rows(0, 40).next().unwrap_or_default().trim_end());
            lines.push('\n');
        }
        assert!(lines.contains("welcome\nline 1\nline 2\n"), "{lines}");
        assert!(lines.contains("line 25\nline 26\n"), "{lines}");
    }

    #[test]
    fn a_full_screen_program_and_what_is_behind_it_come_back() {
        let mut screen = Screen::new(size(40, 6));
        screen.show(b"$ vim\r\n\x1b[?1049h\x1b[2J\x1b[3;4Hediting", false);
        let mut back = seen(&mut screen, size(40, 6));
        assert!(back.parser.screen().alternate_screen());
        assert_eq!(back.parser.screen().contents().trim(), "editing");
        back.show(b"\x1b[?1049l", false);
        assert_eq!(back.parser.screen().contents().trim(), "$ vim");
        assert!(screen.parser.screen().alternate_screen(), "looking changes nothing");
    }

    #[test]
    fn a_smaller_window_keeps_the_last_lines() {
        let mut screen = Screen::new(size(80, 24));
        for number in 1..=23 {
            screen.show(format!("line {number}\r\n").as_bytes(), false);
        }
        screen.show(b"$ ", false);
        let back = seen(&mut screen, size(60, 10));
        let contents = back.parser.screen().contents();
        assert!(
            contents.starts_with("line 15\n") && contents.trim_end().ends_with("line 23\n$"),
            "{contents}"
        );
    }

    #[test]
    fn a_dumb_terminal_gets_text_alone() {
        let mut screen = Screen::new(size(40, 5));
        screen.show(b"\x1b[31mone\x1b[0m\r\ntwo", false);
        assert_eq!(screen.restore(size(40, 5), "dumb"), b"one\r\ntwo");
    }

    #[test]
    fn after_a_gap_no_half_sequence_is_left() {
        let mut screen = Screen::new(size(40, 5));
        screen.show(b"a\x1b]2;never ended", false);
        screen.show(b"b", true);
        screen.show(b"\x1b[3", false);
        screen.show(b"c", true);
        assert_eq!(screen.parser.screen().contents(), "abc");
    }

    #[test]
    fn nothing_makes_it_large_or_takes_it_down() {
        let mut screen = Screen::new(size(u16::MAX, u16::MAX));
        for (columns, rows) in [(1, 1), (2, 1), (1, 2), (0, 0), (4, 3), (300, 100)] {
            let wide =
                "语\u{0301}e\u{1f600}\x1b[K\x1b[2L\x1b[3M\x1b[9999;9999H\x1b[1@\x1b[2P\x1bM".repeat(50);
            screen.show(wide.as_bytes(), false);
            screen.resize(size(columns, rows));
            screen.show(wide.as_bytes(), true);
            screen.show(b"\x1b[?1049h\x1b[5;1r\n\n\n", false);
            assert!(screen.restore(size(columns, rows), "xterm").len() <= MOST_RESTORED);
        }
        let mut state = 7_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .take(200_000)
        .collect();
        for chunk in noise.chunks(1000) {
            screen.show(chunk, false);
        }
        assert!(screen.restore(size(80, 24), "xterm").len() <= MOST_RESTORED);
    }
}
