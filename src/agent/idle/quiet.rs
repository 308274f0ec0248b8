//! For how long nothing has happened, and what follows from it. Pure.

use std::time::Duration;

/// What to do after a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Nothing,
    /// It ends in so long, unless something happens.
    Warn(Duration),
    /// It is time.
    End,
}

#[derive(Debug)]
pub(super) struct Quiet {
    limit: Duration,
    /// Times before the end, longest first, all shorter than the limit.
    warnings: Vec<Duration>,
    /// Between two looks at most so much counts: a machine that slept was not idle, and everybody is warned first.
    most: Duration,
    lasted: Duration,
    last: Option<Duration>,
    /// How many of the warnings have been said.
    said: usize,
}

impl Quiet {
    pub(super) fn new(limit: Duration, mut warnings: Vec<Duration>, period: Duration) -> Self {
        warnings.retain(|warning| *warning < limit);
        warnings.sort_unstable();
        warnings.reverse();
        Self { limit, warnings, most: period * 2, lasted: Duration::ZERO, last: None, said: 0 }
    }

    pub(super) fn lasted(&self) -> Duration {
        self.lasted
    }

    /// Takes in what was seen since the last look.
    pub(super) fn step(&mut self, now: Duration, is_busy: bool) -> Step {
        let passed = self.last.map_or(Duration::ZERO, |last| now.saturating_sub(last).min(self.most));
        self.last = Some(now);
        if is_busy {
            (self.lasted, self.said) = (Duration::ZERO, 0);
            return Step::Nothing;
        }
        self.lasted += passed;
        let left = self.limit.saturating_sub(self.lasted);
        let due = self.warnings.iter().take_while(|warning| **warning >= left).count();
        if due > self.said {
            self.said = due;
            return self.warnings.get(due - 1).map_or(Step::Nothing, |warning| Step::Warn(*warning));
        }
        if left.is_zero() { Step::End } else { Step::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn quiet() -> Quiet {
        Quiet::new(seconds(100), vec![seconds(10), seconds(30), seconds(500)], seconds(5))
    }

    #[test]
    fn it_warns_and_ends_when_nothing_happens() {
        let mut quiet = quiet();
        let mut steps = Vec::new();
        for look in 0..=22 {
            let step = quiet.step(seconds(look * 5), false);
            if step != Step::Nothing {
                steps.push((look * 5, step));
            }
        }
        let expected = [
            (70, Step::Warn(seconds(30))),
            (90, Step::Warn(seconds(10))),
            (100, Step::End),
            (105, Step::End),
            (110, Step::End),
        ];
        assert_eq!(steps, expected);
    }

    #[test]
    fn one_busy_look_begins_it_all_again() {
        let mut quiet = quiet();
        for look in 0..=19 {
            quiet.step(seconds(look * 5), false);
        }
        assert_eq!(quiet.lasted(), seconds(95));
        assert_eq!(quiet.step(seconds(100), true), Step::Nothing);
        assert_eq!(quiet.lasted(), seconds(0));
        for look in 21..=33 {
            assert_eq!(quiet.step(seconds(look * 5), false), Step::Nothing, "{look}");
        }
        assert_eq!(quiet.step(seconds(170), false), Step::Warn(seconds(30)), "warned anew");
    }

    #[test]
    fn a_machine_that_slept_is_not_idle_for_that_long() {
        let mut quiet = quiet();
        quiet.step(seconds(0), false);
        assert_eq!(quiet.step(seconds(100_000), false), Step::Nothing);
        assert_eq!(quiet.lasted(), seconds(10));
    }

    proptest! {
        /// It never ends without every warning having been said since the last thing that happened, and never before
        /// the limit has passed since then.
        #[test]
        fn nothing_ends_unwarned(looks in prop::collection::vec((1_u64..40, prop::bool::weighted(0.1)), 1..200)) {
            let mut quiet = quiet();
            let (mut now, mut since, mut said) = (0, 0, 0);
            for (passed, is_busy) in looks {
                now += passed;
                if is_busy {
                    (since, said) = (now, 0);
                }
                match quiet.step(seconds(now), is_busy) {
                    Step::Warn(_) => said += 1,
                    Step::End => prop_assert!(said >= 1 && now - since >= 100, "{now} {since} {said}"),
                    Step::Nothing => {}
                }
            }
        }
    }
}
