//! The model on a terminal, as bytes.

use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use ratatui::{Frame, Terminal, TerminalOptions, Viewport};

use super::backend::Ansi;
use super::model::Model;
use super::palette::Palette;
use super::sheet::Spots;
use super::view::view;

/// The largest picture, in the corner of what is larger: a client names its size, and must not choose our memory. Two
/// pictures of it are kept, of some 40 bytes a cell.
const MOST: Size = Size::new(240, 100);

/// Alternate screen, no wrapping at the edge (where terminal and menu may disagree on a width), no
/// cursor, and pastes marked as such, so that they do not count as keys.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?7l\x1b[?25l\x1b[?2004h\x1b[0m\x1b[2J\x1b[H";

/// All of it undone. Cleared before, for terminals without an alternate screen.
const LEAVE: &[u8] = b"\x1b[0m\x1b[2J\x1b[H\x1b[?2004l\x1b[?7h\x1b[?25h\x1b[?1049l";

const CLEAR: &[u8] = b"\x1b[0m\x1b[2J";

/// Clicks and the wheel are told (1000), as numbers (1006).
const MOUSE_ON: &[u8] = b"\x1b[?1000h\x1b[?1006h";
const MOUSE_OFF: &[u8] = b"\x1b[?1006l\x1b[?1000l";

/// Where the terminal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Outside,
    Entered,
    Left,
}

/// A terminal of some size, and what it shows.
#[derive(Debug)]
pub struct Screen {
    terminal: Terminal<Ansi>,
    size: Size,
    palette: Palette,
    stage: Stage,
    /// Sent before the next picture.
    before: &'static [u8],
    /// The mouse is ours. Only where there is something to click on: elsewhere it selects text to be copied.
    mouse: bool,
    spots: Spots,
}

impl Screen {
    /// For a terminal of this size, which shows something else yet.
    #[must_use]
    pub fn new(columns: u16, rows: u16, palette: Palette) -> Self {
        let size = fitting(columns, rows);
        let spots = Spots::default();
        Self { terminal: blank(size), size, palette, stage: Stage::Outside, before: b"", mouse: false, spots }
    }

    /// Takes the terminal over: alternate screen, cursor hidden, cleared.
    pub fn enter(&mut self) -> Vec<u8> {
        self.terminal = blank(self.size);
        self.stage = Stage::Entered;
        self.before = b"";
        if self.palette.escapes { ENTER.to_vec() } else { Vec::new() }
    }

    /// What changes the terminal's picture into the model's: nothing if it is the same already, and
    /// nothing after [`Screen::leave`].
    pub fn draw(&mut self, model: &Model) -> Vec<u8> {
        let mut spots = Spots::default();
        let mut bytes = self.show(|frame| spots = view(model, frame));
        let mouse = self.palette.mouse && self.stage == Stage::Entered && spots.any();
        self.spots = spots;
        if mouse != std::mem::replace(&mut self.mouse, mouse) {
            bytes.extend_from_slice(if mouse { MOUSE_ON } else { MOUSE_OFF });
        }
        bytes
    }

    /// The row of the list that is shown in this row of the screen.
    #[must_use]
    pub fn row_at(&self, y: u16) -> Option<usize> {
        self.spots.at(y)
    }

    /// The same for any picture.
    pub fn show(&mut self, paint: impl FnOnce(&mut Frame<'_>)) -> Vec<u8> {
        if self.stage == Stage::Left {
            return Vec::new();
        }
        let palette = self.palette;
        let Ok(frame) = self.terminal.draw(|frame| {
            paint(frame);
            palette.apply(frame.buffer_mut());
        });
        let lines = (!palette.escapes).then(|| lines(frame.buffer));
        let changes = self.terminal.backend_mut().take();
        if changes.is_empty() {
            return changes;
        }
        let mut bytes = std::mem::take(&mut self.before).to_vec();
        bytes.extend(lines.unwrap_or(changes));
        bytes
    }

    /// The terminal has a new size; the next picture is drawn whole.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        let size = fitting(columns, rows);
        if size != self.size {
            self.size = size;
            self.terminal = blank(size);
            self.before = if self.palette.escapes { CLEAR } else { b"" };
        }
    }

    /// Gives the terminal back as it was; nothing if it was never taken or is back already.
    pub fn leave(&mut self) -> Vec<u8> {
        let entered = self.stage == Stage::Entered;
        self.stage = Stage::Left;
        if !entered || !self.palette.escapes {
            return Vec::new();
        }
        let mouse = if std::mem::take(&mut self.mouse) { MOUSE_OFF } else { b"" };
        [mouse, LEAVE].concat()
    }
}

fn fitting(columns: u16, rows: u16) -> Size {
    Size::new(columns.min(MOST.width), rows.min(MOST.height))
}

fn blank(size: Size) -> Terminal<Ansi> {
    let viewport = Viewport::Fixed(Rect::from(size));
    let Ok(terminal) = Terminal::with_options(Ansi::new(size), TerminalOptions { viewport });
    terminal
}

/// The picture as lines, for a terminal that only knows lines.
fn lines(buffer: &Buffer) -> Vec<u8> {
    let width = usize::from(buffer.area.width).max(1);
    let rows = buffer.content.chunks(width);
    let text = rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>());
    let mut bytes = Vec::new();
    for line in text.filter(|line| !line.trim().is_empty()) {
        bytes.extend_from_slice(line.trim_end().as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}
