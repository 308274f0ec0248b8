//! Saying now and then what happens ten thousand times.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two lines about the same thing.
const EVERY: Duration = Duration::from_secs(60);

/// One thing to complain about, or to keep a record of: so many lines at once, and one more each time that some time has
/// passed.
#[derive(Debug)]
pub(crate) struct Complaint {
    burst: u32,
    every: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Lines that may be said at once.
    left: u32,
    /// Up to when `left` is reckoned.
    since: Option<Instant>,
    unsaid: u64,
}

impl Default for Complaint {
    fn default() -> Self {
        Self::paced(1, EVERY)
    }
}

impl Complaint {
    pub(crate) fn paced(burst: u32, every: Duration) -> Self {
        Self { burst, every, state: Mutex::new(State { left: burst, since: None, unsaid: 0 }) }
    }

    /// Says it now? Then how often it happened unsaid.
    pub(crate) fn again(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.refill(&mut state, now);
        let Some(left) = state.left.checked_sub(1) else {
            state.unsaid += 1;
            return None;
        };
        state.left = left;
        Some(std::mem::take(&mut state.unsaid))
    }

    fn refill(&self, state: &mut State, now: Instant) {
        let since = *state.since.get_or_insert(now);
        let passed = now.saturating_duration_since(since);
        let times = passed.as_nanos().checked_div(self.every.as_nanos()).unwrap_or_default();
        let gained = u32::try_from(times).unwrap_or(u32::MAX);
        state.left = state.left.saturating_add(gained).min(self.burst);
        state.since = Some(if state.left == self.burst { now } else { since + self.every * gained });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_at_once_and_then_counted() {
        let (complaint, now) = (Complaint::default(), Instant::now());
        assert_eq!(complaint.again(now), Some(0));
        for _ in 0..10_000 {
            assert_eq!(complaint.again(now + EVERY / 2), None);
        }
        assert_eq!(complaint.again(now + EVERY), Some(10_000));
        assert_eq!(complaint.again(now + EVERY), None);
    }

    #[test]
    fn some_are_said_at_once_and_then_one_at_a_time() {
        let (every, now) = (Duration::from_millis(100), Instant::now());
        let complaint = Complaint::paced(3, every);
        let said = |at: Instant| (0..10).filter_map(|_| complaint.again(at)).collect::<Vec<_>>();
        assert_eq!(said(now), [0, 0, 0]);
        assert_eq!(said(now + every * 3 / 2), [7], "one and a half");
        assert_eq!(said(now + every * 2), [9], "what is left of a step is kept");
        assert_eq!(said(now + every * 1000), [9, 0, 0], "never more at once");
        assert!(said(now).is_empty(), "a clock that goes back");
    }
}
