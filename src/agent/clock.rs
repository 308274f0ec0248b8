//! The deadline on the boot-time clock: it counts while the machine sleeps and no one can set it.

use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::clock_gettime;

use super::end::Why;
use super::protocol::AgentConfig;
use super::serve::Agent;
use crate::text::agent::Notice;

/// When the reservation ends, and who is warned when.
#[derive(Debug)]
pub(super) struct Deadline {
    at: Duration,
    /// Times before the deadline, soonest first.
    warnings: Vec<Duration>,
}

impl Deadline {
    /// Now, on this clock.
    pub(super) fn now() -> Duration {
        clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default()
    }

    pub(super) fn new(started: Duration, config: &AgentConfig) -> Self {
        let at = started.saturating_add(Duration::from_millis(config.lifetime_ms));
        let mut warnings: Vec<_> = config.warnings_ms.iter().copied().map(Duration::from_millis).collect();
        warnings.sort_unstable();
        warnings.reverse();
        Self { at, warnings }
    }

    /// Warns and, at the deadline, ends everything.
    pub(super) fn keep(&self, agent: &Agent) {
        for warning in &self.warnings {
            let due = self.at.saturating_sub(*warning);
            // A warning that was due before the start is not worth a line.
            if due > Self::now() {
                sleep_until(due);
                agent.terminals.say(&Notice::EndsIn { slot: &agent.config.slot, left: *warning });
            }
        }
        sleep_until(self.at);
        agent.end.begin(agent, Why::Expired, agent.grace());
    }
}

fn sleep_until(due: Duration) {
    while Deadline::now() < due {
        let slept = TimerFd::new(ClockId::CLOCK_BOOTTIME, TimerFlags::TFD_CLOEXEC).and_then(|timer| {
            let expiry = Expiration::OneShot(TimeSpec::from_duration(due));
            timer.set(expiry, TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
            timer.wait()
        });
        if slept.is_err() {
            // No timer to be had: look at the clock again soon.
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}
