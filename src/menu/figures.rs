//! Figures in a row: with bars where there is room, and in words always.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;

use super::wrap::{cut, width};

/// One figure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Figure {
    /// Of what; said where there is much room.
    pub label: String,
    /// Out of 100, where it has a bar.
    pub percent: Option<u64>,
    pub words: String,
    /// The higher, the sooner it gives way.
    pub rank: u8,
}

impl Figure {
    pub(super) fn words(rank: u8, words: String) -> Self {
        Self { words, rank, ..Self::default() }
    }
}

/// Labels, and cells of a bar: the first that fit are taken.
const LOOKS: [(bool, usize); 4] = [(true, 10), (false, 10), (false, 8), (false, 5)];
/// And where none of them does.
const WORDS: (bool, usize) = (false, 0);
/// Figures from this rank on give way to bars, the others stay in words alone.
const LESS_THAN_BARS: u8 = 5;
const GAP: &str = " · ";

/// The figures in at most so many columns. What has no room is left out, by its rank.
pub(super) fn row(mut figures: Vec<Figure>, room: usize) -> Vec<Span<'static>> {
    loop {
        if let Some(fitting) = fitting(&figures, room) {
            return fitting;
        }
        let least = figures.iter().enumerate().max_by_key(|(_, figure)| figure.rank).map(|(index, _)| index);
        match (least, figures.as_slice()) {
            (None, _) => return Vec::new(),
            (_, [only]) => return vec![Span::raw(cut(&only.words, room))],
            (Some(index), _) => drop(figures.remove(index)),
        }
    }
}

fn fitting(figures: &[Figure], room: usize) -> Option<Vec<Span<'static>>> {
    let can_give_way = figures.iter().any(|figure| figure.rank >= LESS_THAN_BARS);
    let looks = LOOKS.into_iter().chain((!can_give_way).then_some(WORDS));
    let mut rows = looks.map(|(labels, cells)| spans(figures, labels, cells));
    rows.find(|row| row.iter().map(Span::width).sum::<usize>() <= room)
}

fn spans(figures: &[Figure], labels: bool, cells: usize) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    for figure in figures {
        if !spans.is_empty() {
            spans.push(Span::raw(GAP));
        }
        if labels && !figure.label.is_empty() {
            spans.push(Span::raw(format!("{} ", figure.label)));
        }
        if let Some(percent) = figure.percent.filter(|_| cells > 0) {
            spans.extend(bar(percent, cells));
            spans.push(Span::raw(" "));
        }
        spans.push(Span::raw(figure.words.clone()));
    }
    spans
}

/// A bar of so many cells. What is used a little shows a little; only what is full looks full.
pub(super) fn bar(percent: u64, cells: usize) -> [Span<'static>; 2] {
    let whole = u64::try_from(cells).unwrap_or(u64::MAX);
    let used = percent.min(100).saturating_mul(whole).div_ceil(100);
    let used = if percent < 100 { used.min(whole.saturating_sub(1)) } else { used };
    let full = usize::try_from(used).unwrap_or(cells);
    let color = if percent >= 90 { Color::Red } else { Color::Green };
    [
        Span::styled("█".repeat(full), Style::new().fg(color)),
        Span::styled("░".repeat(cells - full), Style::new().add_modifier(Modifier::DIM)),
    ]
}

/// Percent, rounded down: 100 is full.
pub(super) fn percent(used: u64, total: u64) -> u64 {
    let percent = u128::from(used).saturating_mul(100) / u128::from(total.max(1));
    u64::try_from(percent).unwrap_or(u64::MAX)
}

/// Names in a column: as wide as the longest, within reason.
pub(super) fn column<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    names.map(width).max().unwrap_or(0).min(24)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(room: usize) -> String {
        let figures = vec![
            Figure::words(2, "H100".into()),
            Figure { label: "memory".into(), percent: Some(37), words: "8.9 of 24 GiB".into(), rank: 0 },
            Figure { label: "busy".into(), percent: Some(95), words: "95 %".into(), rank: 1 },
            Figure::words(5, "61 °C".into()),
        ];
        row(figures, room).iter().map(|span| span.content.as_ref()).collect()
    }

    #[test]
    fn what_has_no_room_gives_way() {
        assert_eq!(said(80), "H100 · memory ████░░░░░░ 8.9 of 24 GiB · busy █████████░ 95 % · 61 °C");
        assert_eq!(said(60), "H100 · ████░░░░░░ 8.9 of 24 GiB · █████████░ 95 % · 61 °C");
        assert_eq!(said(50), "H100 · ██░░░ 8.9 of 24 GiB · ████░ 95 % · 61 °C");
        assert_eq!(said(40), "H100 · ██░░░ 8.9 of 24 GiB · ████░ 95 %");
        assert_eq!(said(30), "H100 · 8.9 of 24 GiB · 95 %");
        assert_eq!(said(20), "8.9 of 24 GiB · 95 %");
        assert_eq!(said(19), "██░░░ 8.9 of 24 GiB");
        assert_eq!(said(5), "8.9 …");
        assert!(row(Vec::new(), 5).is_empty());
    }

    #[test]
    fn a_bar_looks_full_only_when_it_is() {
        let full = |percent| bar(percent, 10)[0].content.chars().count();
        assert_eq!([0, 1, 10, 11, 99, 100, 5000].map(full), [0, 1, 1, 2, 9, 10, 10]);
    }
}
