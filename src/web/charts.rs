//! Use over weeks: computed from history, drawn as plain bars. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use maud::{Markup, html};

use crate::store::Past;
use crate::text::Lang;
use crate::text::web::hours;

/// Bars in a chart: a semester's half.
pub(super) const WEEKS: usize = 12;
const WEEK: i64 = 7 * 24 * 3600;
/// 1970-01-01 was a Thursday: weeks begin on Mondays.
const MONDAY: i64 = 4 * 24 * 3600;
/// Rows in a chart by name.
const MOST_ROWS: usize = 20;

/// Use of a time, by week and by whom.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Use {
    /// The oldest week first: its Monday, and how long slots were held in it.
    pub(super) weeks: Vec<(Timestamp, Duration)>,
    pub(super) users: Vec<(String, Duration)>,
    pub(super) machines: Vec<(String, Duration)>,
}

/// The Monday before which nothing is asked for.
pub(super) fn first_monday(now: Timestamp) -> Timestamp {
    let weeks = i64::try_from(WEEKS).unwrap_or_default() - 1;
    Timestamp::from_second(monday(now.as_second()) - weeks * WEEK).unwrap_or(now)
}

fn monday(second: i64) -> i64 {
    second - (second - MONDAY).rem_euclid(WEEK)
}

pub(super) fn add_up(history: &[Past], now: Timestamp) -> Use {
    let first = first_monday(now);
    let (mut users, mut machines) = (BTreeMap::new(), BTreeMap::new());
    let mut weeks: BTreeMap<i64, Duration> =
        (0..).map(|week| first.as_second() + week * WEEK).take(WEEKS).map(|m| (m, Duration::ZERO)).collect();
    for past in history {
        let from = past.started.max(first);
        let to = past.ended.map_or(now, |(ended, _)| ended).min(now);
        let total = between(from, to);
        *users.entry(past.user.to_string()).or_insert(Duration::ZERO) += total;
        *machines.entry(past.slot.machine.to_string()).or_insert(Duration::ZERO) += total;
        for (monday, held) in &mut weeks {
            let begin = Timestamp::from_second(*monday).unwrap_or(first).max(from);
            let end = Timestamp::from_second(*monday + WEEK).unwrap_or(first).min(to);
            *held += between(begin, end);
        }
    }
    let weeks =
        weeks.into_iter().filter_map(|(monday, held)| Some((Timestamp::from_second(monday).ok()?, held)));
    Use { weeks: weeks.collect(), users: ranked(users), machines: ranked(machines) }
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

fn ranked(totals: BTreeMap<String, Duration>) -> Vec<(String, Duration)> {
    let mut rows: Vec<_> = totals.into_iter().filter(|(_, held)| !held.is_zero()).collect();
    rows.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    rows.truncate(MOST_ROWS);
    rows
}

/// Rows of a name, a bar and hours. The words are in it, so that it needs no table beside it.
pub(super) fn bars(title: &str, rows: &[(String, Duration)], lang: Lang) -> Markup {
    const ROW: usize = 26;
    const NAMES: usize = 150;
    const BARS: usize = 380;
    let most = rows.iter().map(|(_, held)| held.as_secs()).max().unwrap_or_default().max(1);
    let width = |held: &Duration| {
        let share = held.as_secs() * u64::try_from(BARS).unwrap_or_default() / most;
        usize::try_from(share).unwrap_or_default()
    };
    html! {
        svg.chart viewBox={ "0 0 620 " (rows.len() * ROW + 4) } role="img" aria-label=(title) {
            title { (title) }
            @for (index, (name, held)) in rows.iter().enumerate() {
                text x="0" y=(index * ROW + 17) { (name) }
                rect x=(NAMES) y=(index * ROW + 4) width=(width(held)) height=(ROW - 8) rx="3" {}
                text x=(NAMES + width(held) + 6) y=(index * ROW + 17) { (hours(*held, lang)) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reservation::{EndReason, ReservationId};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn past(user: &str, slot: &str, started: &str, ended: Option<&str>) -> Past {
        Past {
            id: ReservationId::new(),
            user: user.parse().unwrap(),
            slot: slot.parse().unwrap(),
            started: at(started),
            ended: ended.map(|ended| (at(ended), EndReason::Expired)),
            detail: None,
        }
    }

    #[test]
    fn hours_fall_into_the_weeks_they_were_used_in() {
        // A Wednesday.
        let now = at("2026-11-25T12:00:00Z");
        assert_eq!(first_monday(now), at("2026-09-07T00:00:00Z"));
        let history = [
            past("ada", "gpu1/1", "2026-11-22T22:00:00Z", Some("2026-11-23T03:00:00Z")),
            past("bob", "gpu2/1", "2026-11-25T10:00:00Z", None),
            past("old", "gpu2/1", "2026-01-01T00:00:00Z", Some("2026-01-01T08:00:00Z")),
        ];
        let used = add_up(&history, now);
        let hours = |h: u64| Duration::from_secs(h * 3600);
        assert_eq!(used.weeks.len(), WEEKS);
        let last: Vec<_> = used.weeks.iter().rev().take(2).map(|(_, held)| *held).collect();
        assert_eq!(last, [hours(5), hours(2)], "3 h of ada's and 2 of bob's, then 2 of ada's");
        assert_eq!(used.users, [("ada".to_owned(), hours(5)), ("bob".to_owned(), hours(2))]);
        assert_eq!(used.machines, [("gpu1".to_owned(), hours(5)), ("gpu2".to_owned(), hours(2))]);
    }
}
