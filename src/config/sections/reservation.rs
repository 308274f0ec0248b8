//! `[reservation]`

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::ReservationRules;
use crate::config::table::{Section, Table};
use crate::config::value::Value;
use crate::config::words::show_duration;

pub(super) const RESERVATION: Section = Section {
    title: "[reservation]",
    key: "reservation",
    keys: &[
        "lifetime",
        "warnings",
        "grace",
        "per_user",
        "auto_reserve",
        "keep_shells",
        "keep_shells_for",
        "idle",
        "hold",
    ],
    later: &[],
};

const SECOND: Duration = Duration::from_secs(1);
/// A few fit on a list that is read at a glance; each costs memory in the container.
const KEEP_SHELLS: RangeInclusive<u64> = 0..=9;
const DEFAULT_KEEP_SHELLS: u64 = 4;
const HOUR: Duration = Duration::from_secs(3600);
const LIFETIMES: RangeInclusive<Duration> = SECOND..=Duration::from_secs(30 * 24 * 3600);
/// A person has to be able to come; and nobody may keep others out by not coming.
const HOLDS: RangeInclusive<Duration> = SECOND..=HOUR;
const DEFAULT_HOLD: Duration = Duration::from_secs(5 * 60);
const DEFAULT_LIFETIME: Duration = Duration::from_secs(8 * 3600);
const DEFAULT_WARNINGS: [Duration; 4] = [
    Duration::from_secs(30 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(60),
];

pub(super) fn reservation(table: &mut Table<'_, '_>) -> ReservationRules {
    let written = table.take("lifetime").map(|value| value.duration(LIFETIMES));
    // A lifetime that was refused says nothing about the warnings.
    let lifetime = written.unwrap_or(Some(DEFAULT_LIFETIME)).unwrap_or(*LIFETIMES.end());
    let warnings = match table.take("warnings") {
        Some(value) => warnings(value, lifetime),
        None => DEFAULT_WARNINGS.into_iter().filter(|warning| *warning < lifetime).collect(),
    };
    let grace = table.take("grace").and_then(|value| value.duration(Duration::ZERO..=HOUR));
    let per_user = table.take("per_user").and_then(|value| one(&value));
    let auto_reserve = table.take("auto_reserve").and_then(|value| value.flag());
    let keep_shells = table.take("keep_shells").and_then(|value| value.whole(KEEP_SHELLS));
    let keep_shells_for =
        table.take("keep_shells_for").and_then(|value| value.duration(SECOND..=*LIFETIMES.end()));
    let idle = table.take("idle").and_then(|value| value.duration(SECOND..=*LIFETIMES.end()));
    let hold = table.take("hold").and_then(|value| value.duration(HOLDS));
    ReservationRules {
        lifetime,
        warnings,
        grace: grace.unwrap_or(Duration::from_secs(30)),
        per_user: per_user.unwrap_or(1),
        auto_reserve: auto_reserve.unwrap_or(true),
        keep_shells: usize::try_from(keep_shells.unwrap_or(DEFAULT_KEEP_SHELLS)).unwrap_or(usize::MAX),
        keep_shells_for,
        idle,
        hold: hold.unwrap_or(DEFAULT_HOLD),
    }
}

fn warnings(value: Value<'_, '_>, lifetime: Duration) -> Vec<Duration> {
    let mut warnings: Vec<Duration> = Vec::new();
    for value in value.list().unwrap_or_default() {
        let Some(warning) = value.duration(SECOND..=*LIFETIMES.end()) else { continue };
        let word = show_duration(warning);
        if warning >= lifetime {
            let lifetime = show_duration(lifetime);
            value.refuse(format!("a warning at {word} never comes: the lifetime is {lifetime}"));
        } else if warnings.contains(&warning) {
            value.refuse(format!("{word} is there twice"));
        }
        warnings.push(warning);
    }
    warnings.sort_by(|one, two| two.cmp(one));
    warnings
}

fn one(value: &Value<'_, '_>) -> Option<usize> {
    match value.whole(1..=1000)? {
        1 => Some(1),
        number => {
            value.refuse(format!("{number} is not supported by this version of clusteria, only 1 is"));
            None
        }
    }
}
