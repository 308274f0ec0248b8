//! `[auth.throttle]`

use std::time::Duration;

use crate::config::Throttle;
use crate::config::table::{Section, Table};

pub(super) const THROTTLE: Section = Section {
    title: "[auth.throttle]",
    key: "throttle",
    keys: &["free", "first_delay", "max_delay", "forget"],
    later: &[],
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

pub(super) fn throttle(table: &mut Table<'_, '_>) -> Throttle {
    let free = table.take("free").and_then(|value| value.whole(1..=1000));
    let mut time = |key, allowed| table.take(key).and_then(|value| value.duration(allowed));
    let first_delay = time("first_delay", Duration::from_millis(100)..=HOUR).unwrap_or(SECOND);
    let max_delay = time("max_delay", SECOND..=HOUR).unwrap_or(Duration::from_secs(5 * 60));
    let forget = time("forget", SECOND..=DAY).unwrap_or(Duration::from_secs(30 * 60));
    let free = free.and_then(|number| u32::try_from(number).ok()).unwrap_or(5);
    Throttle { free, first_delay, max_delay: max_delay.max(first_delay), forget }
}
