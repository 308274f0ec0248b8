//! Saying once what happens ten thousand times.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two lines about the same thing.
const EVERY: Duration = Duration::from_secs(60);

/// One thing to complain about.
#[derive(Debug, Default)]
pub(crate) struct Complaint(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    said: Option<Instant>,
    unsaid: u64,
}

impl Complaint {
    /// Says it now? Then how often it happened unsaid.
    pub(crate) fn again(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.said.is_some_and(|said| now.duration_since(said) < EVERY) {
            state.unsaid += 1;
            return None;
        }
        state.said = Some(now);
        Some(std::mem::take(&mut state.unsaid))
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
}
