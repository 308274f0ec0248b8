//! Changed cells as the bytes that change them.
//!
//! Not crossterm's backend: that one asks the gateway's own environment and terminal.

use std::convert::Infallible;
use std::io::Write;

use ratatui::backend::{Backend, ClearType, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};
use ratatui::style::{Color, Modifier};

/// Foreground and attributes; the menu uses no other.
type Style = (Color, Modifier);

const PLAIN: Style = (Color::Reset, Modifier::empty());

/// Collects bytes. Between two pictures it assumes nothing of the terminal but its contents.
#[derive(Debug)]
pub(super) struct Ansi {
    bytes: Vec<u8>,
    size: Size,
    at: Option<(u16, u16)>,
    style: Style,
}

impl Ansi {
    pub(super) fn new(size: Size) -> Self {
        Self { bytes: Vec::new(), size, at: None, style: PLAIN }
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    fn go(&mut self, x: u16, y: u16) {
        if self.at != Some((x, y)) {
            let (row, column) = (u32::from(y) + 1, u32::from(x) + 1);
            self.put(&format!("\x1b[{row};{column}H"));
        }
    }

    fn dress(&mut self, style: Style) {
        if self.style != style {
            self.style = style;
            self.put(&sgr(style));
        }
    }

    fn put(&mut self, text: &str) {
        // Writing to memory does not fail.
        let Ok(()) = self.bytes.write_all(text.as_bytes()) else { return };
    }

    fn cell(&mut self, x: u16, y: u16, cell: &Cell) {
        self.go(x, y);
        self.dress((cell.fg, cell.modifier));
        let symbol = cell.symbol();
        // The last line of defence: a symbol with a control character is none of ours.
        let symbol = if symbol.contains(char::is_control) { "?" } else { symbol };
        self.put(symbol);
        // How far a terminal moves for anything else is the terminal's opinion.
        self.at = (symbol.len() == 1).then(|| (x.saturating_add(1), y));
    }
}

fn sgr((color, modifier): Style) -> String {
    let mut sgr = String::from("\x1b[0");
    let attributes = [(Modifier::BOLD, ";1"), (Modifier::DIM, ";2"), (Modifier::REVERSED, ";7")];
    for (attribute, code) in attributes {
        if modifier.contains(attribute) {
            sgr.push_str(code);
        }
    }
    if let Some(code) = color_code(color) {
        sgr.push_str(&format!(";{code}"));
    }
    sgr.push('m');
    sgr
}

fn color_code(color: Color) -> Option<u8> {
    Some(match color {
        Color::Black => 30,
        Color::Red => 31,
        Color::Green => 32,
        Color::Yellow => 33,
        Color::Blue => 34,
        Color::Magenta => 35,
        Color::Cyan => 36,
        Color::Gray => 37,
        Color::DarkGray => 90,
        Color::LightRed => 91,
        Color::LightGreen => 92,
        Color::LightYellow => 93,
        Color::LightBlue => 94,
        Color::LightMagenta => 95,
        Color::LightCyan => 96,
        Color::White => 97,
        Color::Reset | Color::Rgb(..) | Color::Indexed(_) => return None,
    })
}

impl Backend for Ansi {
    type Error = Infallible;

    fn draw<'a, I>(&mut self, content: I) -> Result<(), Infallible>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        for (x, y, cell) in content {
            self.cell(x, y, cell);
        }
        self.dress(PLAIN);
        self.at = None;
        Ok(())
    }

    // The screen hides the cursor once, when it enters, and clears when it changes size.

    fn hide_cursor(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn show_cursor(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn get_cursor_position(&mut self) -> Result<Position, Infallible> {
        Ok(Position::ORIGIN)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, _position: P) -> Result<(), Infallible> {
        Ok(())
    }

    fn clear(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn clear_region(&mut self, _clear_type: ClearType) -> Result<(), Infallible> {
        Ok(())
    }

    fn size(&self) -> Result<Size, Infallible> {
        Ok(self.size)
    }

    fn window_size(&mut self) -> Result<WindowSize, Infallible> {
        Ok(WindowSize { columns_rows: self.size, pixels: Size::ZERO })
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
