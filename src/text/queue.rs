//! What is said of the queue.

use std::time::Duration;

use jiff::Timestamp;

use super::refusal::clock;
use super::{Lang, Say, printable, span};
use crate::reservation::view::WaitingView;
use crate::reservation::{Missed, SlotId, UserName};

/// Lines about the queue.
#[derive(Debug)]
#[allow(missing_docs, reason = "each variant stands beside its two renderings below")]
pub enum Line<'a> {
    /// Somebody's own place, or turn.
    Mine {
        waiting: &'a WaitingView,
        now: Timestamp,
    },
    /// What to do with a turn, for those who have no menu before them.
    TakeTurn,
    /// One of those who wait.
    Other {
        waiting: &'a WaitingView,
        now: Timestamp,
    },
    Nobody,
    /// How to join.
    HowToJoin,
    Left,
    /// The turn passed unused.
    MissedTurn(&'a Missed),
    /// Whoever stops watching keeps the place.
    StopsWatching,
    /// An administrator took somebody out.
    Removed {
        user: &'a UserName,
    },
}

impl Say for Line<'_> {
    fn say(&self, lang: Lang) -> String {
        match self {
            Self::Mine { waiting, now } => mine(waiting, *now, lang),
            Self::TakeTurn => {
                lang.pick("To take it: clusteria reserve", "Pour la prendre : clusteria reserve").into()
            }
            Self::Other { waiting, now } => other(waiting, *now, lang),
            Self::Nobody => lang.pick("Nobody is waiting.", "Personne n'attend.").into(),
            Self::HowToJoin => lang
                .pick(
                    "To wait in line: clusteria queue join [TARGET]",
                    "Pour entrer dans la file : clusteria queue join [CIBLE]",
                )
                .into(),
            Self::Left => lang.pick("You have left the queue.", "Vous avez quitté la file.").into(),
            Self::MissedTurn(missed) => {
                let (slot, at) = (&missed.slot, clock(missed.at));
                lang.pick(
                    format!("It was your turn in the queue: {slot} was held for you until {at}, and you are out now. To join again: clusteria queue join"),
                    format!("C'était votre tour dans la file : {slot} vous a été gardée jusqu'à {at}, et vous n'y êtes plus. Pour y revenir : clusteria queue join"),
                )
            }
            Self::StopsWatching => lang
                .pick(
                    "You keep your place. To give it up: clusteria queue leave",
                    "Vous gardez votre rang dans la file. Pour en sortir : clusteria queue leave",
                )
                .into(),
            Self::Removed { user } => {
                lang.pick(format!("{user} is out of the queue"), format!("{user} n'est plus dans la file"))
            }
        }
    }
}

/// `for gpu1/2`, `anywhere`.
fn wanted(waiting: &WaitingView, lang: Lang) -> String {
    match waiting.target.as_deref().map(printable) {
        Some(target) => lang.pick(format!("for {target}"), format!("pour {target}")),
        None => lang.pick("for any slot", "pour n'importe quelle place").into(),
    }
}

fn mine(waiting: &WaitingView, now: Timestamp, lang: Lang) -> String {
    if let Some(held) = &waiting.held {
        return turn(&held.slot, held.until, now, lang);
    }
    let (place, wanted) = (waiting.place, wanted(waiting, lang));
    let when = when(waiting.estimate, now, lang);
    lang.pick(
        format!("You are number {place} in the queue {wanted}. {when}"),
        format!("Vous êtes numéro {place} dans la file {wanted}. {when}"),
    )
}

fn turn(slot: &SlotId, until: Timestamp, now: Timestamp, lang: Lang) -> String {
    let (left, until) = (span(left(until, now)), clock(until));
    lang.pick(
        format!("It is your turn: {slot} is held for you until {until} ({left})."),
        format!("C'est votre tour : {slot} vous est gardée jusqu'à {until} ({left})."),
    )
}

fn when(estimate: Option<Timestamp>, now: Timestamp, lang: Lang) -> String {
    match estimate.map(|turn| (turn, left(turn, now))) {
        Some((_, Duration::ZERO)) => lang
            .pick("It should be your turn in a moment.", "Cela devrait être votre tour dans un instant.")
            .into(),
        Some((turn, left)) => {
            let (left, turn) = (span(left), moment(turn, left));
            lang.pick(
                format!("It should be your turn by {turn} ({left}) at the latest."),
                format!("Cela devrait être votre tour à {turn} (dans {left}) au plus tard."),
            )
        }
        None => lang
            .pick(
                "Nothing you wait for can be used at present.",
                "Rien de ce que vous attendez n'est utilisable pour l'instant.",
            )
            .into(),
    }
}

fn other(waiting: &WaitingView, now: Timestamp, lang: Lang) -> String {
    let user = &waiting.user;
    let wanted = wanted(waiting, lang);
    if let Some(held) = &waiting.held {
        let (slot, until) = (&held.slot, clock(held.until));
        return lang.pick(
            format!("{user}: {slot} is held until {until}"),
            format!("{user} : {slot} est gardée jusqu'à {until}"),
        );
    }
    let since = span(left(now, waiting.since));
    let turn = waiting.estimate.map(|turn| (moment(turn, left(turn, now)), span(left(turn, now))));
    let turn = turn.map_or_else(String::new, |(at, left)| {
        lang.pick(format!(", turn by {at} ({left})"), format!(", tour avant {at} ({left})"))
    });
    lang.pick(
        format!("{user} {wanted}, waiting for {since}{turn}"),
        format!("{user} {wanted}, attend depuis {since}{turn}"),
    )
}

/// With the date where the hour alone could be taken for another day's.
fn moment(time: Timestamp, left: Duration) -> String {
    let far = left.as_secs() >= 20 * 3600;
    time.strftime(if far { "%Y-%m-%d %H:%M UTC" } else { "%H:%M UTC" }).to_string()
}

fn left(until: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(now)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reservation::view::HoldView;

    #[test]
    fn places_and_turns_read_well() {
        let now: Timestamp = "2026-08-01T10:00:00Z".parse().unwrap();
        let mut waiting = WaitingView {
            user: "ada".parse().unwrap(),
            target: Some("gpu1".into()),
            since: now,
            place: 2,
            estimate: Some("2026-08-01T12:30:00Z".parse().unwrap()),
            held: None,
        };
        let said = |waiting: &WaitingView, lang| Line::Mine { waiting, now }.say(lang);
        assert_eq!(
            said(&waiting, Lang::En),
            "You are number 2 in the queue for gpu1. It should be your turn by 12:30 UTC (2 h 30 min) at the latest."
        );
        assert_eq!(
            said(&waiting, Lang::Fr),
            "Vous êtes numéro 2 dans la file pour gpu1. Cela devrait être votre tour à 12:30 UTC (dans 2 h 30 min) au plus tard."
        );
        waiting.estimate = None;
        assert!(said(&waiting, Lang::En).ends_with("Nothing you wait for can be used at present."));
        waiting.held = Some(HoldView {
            slot: "gpu1/2".parse().unwrap(),
            until: "2026-08-01T10:05:00Z".parse().unwrap(),
        });
        assert_eq!(
            said(&waiting, Lang::En),
            "It is your turn: gpu1/2 is held for you until 10:05 UTC (5 min)."
        );
    }
}
