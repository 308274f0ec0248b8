//! A picture's rows, written without leaving it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;

use super::wrap::{cut, width};

/// A buffer that takes only what lies inside it.
pub(super) struct Paper<'a> {
    area: Rect,
    buffer: &'a mut Buffer,
}

impl<'a> Paper<'a> {
    pub(super) fn new(area: Rect, buffer: &'a mut Buffer) -> Self {
        Self { area, buffer }
    }

    fn inside(&self, y: u16) -> bool {
        (self.area.top()..self.area.bottom()).contains(&y) && self.area.width > 0
    }

    /// A text from the left.
    pub(super) fn text(&mut self, y: u16, text: &str, style: Style) {
        if self.inside(y) {
            let text = cut(text, usize::from(self.area.width));
            self.buffer.set_string(self.area.x, y, text, style);
        }
    }

    /// A title, and at the right what gives way first.
    pub(super) fn ends(&mut self, y: u16, left: &str, right: &str) {
        let columns = usize::from(self.area.width);
        let room = columns.saturating_sub(width(right) + 2);
        if room < width(left).min(8) {
            return self.text(y, left, Style::new().add_modifier(Modifier::BOLD));
        }
        self.text(y, &cut(left, room), Style::new().add_modifier(Modifier::BOLD));
        if let Some(x) = columns.checked_sub(width(right)).and_then(|x| u16::try_from(x).ok())
            && self.inside(y)
        {
            self.buffer.set_string(self.area.x.saturating_add(x), y, right, Style::new());
        }
    }

    /// A row of a list.
    pub(super) fn row(&mut self, y: u16, row: &Line<'_>, selected: bool) {
        if !self.inside(y) {
            return;
        }
        self.buffer.set_line(self.area.x, y, row, self.area.width);
        if selected {
            let line = Rect { y, height: 1, ..self.area };
            // Colours are for the ground: reversed they are blots.
            let chosen = Style::new().fg(Color::Reset).remove_modifier(Modifier::DIM);
            self.buffer.set_style(line, chosen.add_modifier(Modifier::REVERSED));
        }
    }

    /// A mark in the last column: the list goes on.
    pub(super) fn edge(&mut self, y: u16, mark: &str) {
        if self.inside(y) {
            self.buffer.set_string(self.area.right().saturating_sub(1), y, mark, Style::new());
        }
    }
}
