//! Two clocks: the wall's, which people read and administrators set, and the boot's, which only counts
//! (also while the machine sleeps).
//!
//! Everything in the book is wall time, because people read it. When the wall clock is set, what the book
//! holds is moved by as much: a reservation lasts as long as it was given for, whatever the wall says.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A wall clock that is corrected by less than this has not been set. Slewing does not come here: it moves
/// both clocks.
const STEP: SignedDuration = SignedDuration::from_secs(1);

/// One moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// What the wall says.
    pub wall: Timestamp,
    /// Since the machine's start.
    pub boot: Duration,
}

impl Moment {
    /// What has to be added to the boot's clock to read the wall's.
    #[must_use]
    pub fn offset(self) -> SignedDuration {
        let boot = SignedDuration::try_from(self.boot).unwrap_or(SignedDuration::MAX);
        self.wall.duration_since(Timestamp::UNIX_EPOCH).saturating_sub(boot)
    }
}

/// By how much a wall clock has been set since it stood so.
pub(super) fn step(before: SignedDuration, now: SignedDuration) -> Option<SignedDuration> {
    let step = now.saturating_sub(before);
    (step.abs() >= STEP).then_some(step)
}

/// A time as a wall clock that has been set by this much shows it.
pub(super) fn moved(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX })
}
