//! The one form of all screens: a title, lines above, a list that scrolls, a hint, the keys.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;

use super::paper::Paper;
use super::wrap::{cut, width, wrap};

/// What a screen says, before it is known how much of it fits.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    /// At the top left.
    pub title: String,
    /// At the top right.
    pub clock: String,
    /// What the reader should know first.
    pub notice: Vec<String>,
    /// A sentence on the whole cluster.
    pub summary: Option<String>,
    /// What the list is.
    pub heading: String,
    /// What is known of it, above the list.
    pub facts: Vec<Line<'static>>,
    /// The list.
    pub rows: Vec<Line<'static>>,
    /// What is said below each row where there is room for it below all, the most needed line first.
    pub below: Vec<Vec<Line<'static>>>,
    /// Rows begin with a mark that numbers them, and can be chosen.
    pub numbered: bool,
    /// The row under the cursor.
    pub selected: Option<usize>,
    /// Where there is no cursor: the first row in view.
    pub top: usize,
    /// Keep the list's end in view, as there is no cursor.
    pub follow: bool,
    /// Why the chosen row cannot be had.
    pub hint: Option<String>,
    /// The keys, the most needed first.
    pub keys: Vec<String>,
}

impl Sheet {
    /// Draws what fits. Says where the rows are that can be chosen.
    pub(super) fn draw(&self, area: Rect, buffer: &mut Buffer) -> Spots {
        let plan = self.plan(area);
        let mut paper = Paper::new(area, buffer);
        let mut y = area.y;
        if plan.title {
            paper.ends(y, &self.title, &self.clock);
            y += 1 + plan.gap;
        }
        for line in &plan.notice {
            paper.text(y, line, Style::new().add_modifier(Modifier::BOLD));
            y += 1;
        }
        y += if plan.notice.is_empty() { 0 } else { plan.gap };
        for line in &plan.summary {
            paper.text(y, line, Style::new());
            y += 1;
        }
        y += if plan.summary.is_empty() { 0 } else { plan.gap };
        if plan.heading {
            paper.text(y, &self.heading, Style::new().add_modifier(Modifier::BOLD));
            y += 1 + plan.gap;
        }
        for fact in self.facts.iter().take(usize::from(plan.facts)) {
            paper.row(y, fact, false);
            y += 1;
        }
        y += if plan.facts == 0 { 0 } else { plan.gap };
        let spots = self.list(&mut paper, y, plan.list, plan.depth);
        y += plan.list + plan.gap;
        for line in &plan.hint {
            paper.text(y, line, Style::new().add_modifier(Modifier::BOLD));
            y += 1;
        }
        if plan.footer {
            let keys = joined(&self.keys, usize::from(area.width));
            paper.text(area.bottom().saturating_sub(1), &keys, Style::new().add_modifier(Modifier::DIM));
        }
        spots
    }

    /// Shares the height out: first some of the list, then what the reader needs most.
    fn plan(&self, area: Rect) -> Plan {
        let height = area.height;
        let columns = usize::from(area.width);
        let gap = u16::from(height >= 16);
        let wanted = u16::try_from(self.rows.len()).unwrap_or(u16::MAX).max(1);
        let reserved = wanted.min((height / 3).max(1));
        let mut left = Left { rows: height.saturating_sub(reserved), gap };
        let hint = left.take(clip(self.hint.as_slice(), columns, left.most(3)));
        let footer = left.take_row();
        let heading = left.take_row();
        let notice = left.take(clip(&self.notice, columns, left.most((height / 3).max(1))));
        let facts = left.take_count(u16::try_from(self.facts.len()).unwrap_or(u16::MAX).min(height / 3));
        let summary = left.take(clip(self.summary.as_slice(), columns, left.most(3)));
        let title = left.take_row();
        let room = reserved.saturating_add(left.rows);
        let deepest = self.below.iter().map(Vec::len).max().unwrap_or(0);
        let depth = (0..=deepest).rev().find(|depth| self.height(*depth) <= usize::from(room)).unwrap_or(0);
        let list = u16::try_from(self.height(depth)).unwrap_or(u16::MAX).clamp(1, room.max(1));
        Plan { title, heading, footer, gap, notice, summary, hint, facts, list, depth }
    }

    /// Rows of the whole list with at most so many lines below each of them.
    fn height(&self, depth: usize) -> usize {
        self.rows.len().saturating_add(self.below.iter().map(|below| below.len().min(depth)).sum())
    }

    fn list(&self, paper: &mut Paper<'_>, top: u16, height: u16, depth: usize) -> Spots {
        if depth > 0 {
            return self.deep_list(paper, top, depth);
        }
        let shown = usize::from(height);
        let hidden = self.rows.len().saturating_sub(shown);
        let first = match self.selected {
            Some(at) => at.saturating_sub(shown / 2).min(hidden),
            None if self.follow => hidden,
            None => self.top.min(hidden),
        };
        let rows = self.rows.iter().enumerate().skip(first).take(shown);
        for (y, (index, row)) in (top..).zip(rows) {
            paper.row(y, row, self.selected == Some(index));
        }
        if first > 0 {
            paper.edge(top, "↑");
        }
        if first < hidden {
            paper.edge(top.saturating_add(height).saturating_sub(1), "↓");
        }
        let count = if self.numbered { self.rows.len().saturating_sub(first).min(shown) } else { 0 };
        Spots { top, rows: (first..first.saturating_add(count)).collect() }
    }

    /// All of the list, with lines below its rows.
    fn deep_list(&self, paper: &mut Paper<'_>, top: u16, depth: usize) -> Spots {
        let (mut y, mut spots) = (top, Spots { top, rows: Vec::new() });
        for (index, row) in self.rows.iter().enumerate() {
            paper.row(y, row, self.selected == Some(index));
            let below = self.below.get(index).map(Vec::as_slice).unwrap_or_default();
            for line in below.iter().take(depth) {
                y = y.saturating_add(1);
                paper.row(y, line, false);
                spots.rows.push(index);
            }
            spots.rows.push(index);
            y = y.saturating_add(1);
        }
        spots
    }
}

/// Where the rows that can be chosen are on the screen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spots {
    top: u16,
    /// Which of the list's rows each row of the screen belongs to, from `top` on.
    rows: Vec<usize>,
}

impl Spots {
    /// The row of the list that is shown in this row of the screen.
    pub(super) fn at(&self, y: u16) -> Option<usize> {
        self.rows.get(usize::from(y.checked_sub(self.top)?)).copied()
    }

    /// Is there anything to click on?
    pub(super) fn any(&self) -> bool {
        !self.rows.is_empty()
    }
}

/// What fits of a sheet.
struct Plan {
    title: bool,
    heading: bool,
    footer: bool,
    /// Blank rows between the parts.
    gap: u16,
    notice: Vec<String>,
    summary: Vec<String>,
    hint: Vec<String>,
    facts: u16,
    list: u16,
    /// Lines below each row of the list.
    depth: usize,
}

/// Rows not given away yet.
struct Left {
    rows: u16,
    gap: u16,
}

impl Left {
    /// How many lines a part may have if it wants so many.
    fn most(&self, wanted: u16) -> u16 {
        wanted.min(self.rows.saturating_sub(self.gap))
    }

    fn take(&mut self, lines: Vec<String>) -> Vec<String> {
        if let (Ok(count @ 1..), gap) = (u16::try_from(lines.len()), self.gap) {
            self.rows = self.rows.saturating_sub(count.saturating_add(gap));
        }
        lines
    }

    fn take_count(&mut self, wanted: u16) -> u16 {
        let count = self.most(wanted);
        if count > 0 {
            self.rows = self.rows.saturating_sub(count.saturating_add(self.gap));
        }
        count
    }

    fn take_row(&mut self) -> bool {
        let fits = self.rows > self.gap;
        if fits {
            self.rows = self.rows.saturating_sub(1 + self.gap);
        }
        fits
    }
}

/// Wrapped, at most so many lines; a mark where something is missing.
fn clip(texts: &[String], columns: usize, most: u16) -> Vec<String> {
    let most = usize::from(most);
    let mut lines: Vec<String> = texts.iter().flat_map(|text| wrap(text, columns)).collect();
    let whole = lines.len() <= most;
    lines.truncate(most);
    if let (false, Some(last)) = (whole, lines.last_mut()) {
        *last = cut(&format!("{last}…"), columns);
    }
    lines
}

/// As many as fit in a row.
fn joined(keys: &[String], columns: usize) -> String {
    let mut line = String::new();
    for key in keys {
        let gap = if line.is_empty() { 0 } else { 2 };
        if width(&line) + gap + width(key) <= columns {
            line.push_str(if gap == 0 { "" } else { "  " });
            line.push_str(key);
        }
    }
    line
}
