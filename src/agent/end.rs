//! The end: SIGTERM to everything of the user's, time to save, SIGKILL, and the container is over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::serve::Agent;
use crate::text::agent::Notice;

/// Everybody but PID 1 (kill(2)).
const EVERYBODY: Pid = Pid::from_raw(-1);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Why it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Expired,
    Stopped,
}

#[derive(Debug, Default)]
pub(super) struct End {
    begun: AtomicBool,
}

impl End {
    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::SeqCst)
    }

    /// Ends everything. The second caller waits for the first one's work to take the process down.
    pub(super) fn begin(&self, agent: &Agent, why: Why, grace: Duration) {
        if self.begun.swap(true, Ordering::SeqCst) {
            return;
        }
        let slot = &agent.config.slot;
        agent.terminals.say(&match why {
            Why::Expired => Notice::Expired { slot, grace },
            Why::Stopped => Notice::Released { slot },
        });
        let _ = kill(EVERYBODY, Signal::SIGTERM);
        // A stopped job takes its signal when it goes on.
        let _ = kill(EVERYBODY, Signal::SIGCONT);
        let limit = Instant::now() + grace;
        while Instant::now() < limit && !only_idle_shells_are_left(agent) {
            sleep(LOOK_AGAIN);
        }
        let _ = kill(EVERYBODY, Signal::SIGKILL);
        // The reaper tells the conversations how their processes ended before we go.
        let limit = Instant::now() + Duration::from_secs(1);
        while Instant::now() < limit && others().next().is_some() {
            sleep(LOOK_AGAIN);
        }
        std::process::exit(0);
    }
}

/// Interactive shells ignore SIGTERM; SIGHUP would make them kill the jobs that are saving. When
/// nobody but they are left, nobody needs the rest of the grace. What catches SIGTERM does: a program that
/// `ssh -t` runs, a shell with a trap.
fn only_idle_shells_are_left(agent: &Agent) -> bool {
    others().all(|pid| agent.reaper.is_terminal_leader(pid) && !catches_sigterm(pid))
}

fn catches_sigterm(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    catches(&status, Signal::SIGTERM)
}

/// By the mask in `/proc/PID/status`, whose lowest bit is signal 1 (proc(5)).
fn catches(status: &str, signal: Signal) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask >> (signal as u32 - 1) & 1 == 1
}

/// Processes of the container but ours. Zombies have no more to save.
fn others() -> impl Iterator<Item = i32> {
    let own = i32::try_from(std::process::id()).unwrap_or(1);
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(move |pid| *pid != own && !is_zombie(*pid))
}

fn is_zombie(pid: i32) -> bool {
    // `pid (name) STATE …`: the name may hold anything, so look behind its last parenthesis.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_none_or(|rest| rest.trim_start().starts_with(['Z', 'X']) || rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of bash at its prompt, without a trap and with one.
    #[test]
    fn who_catches_a_signal_is_told_by_its_mask() {
        let of = |mask: &str| format!("Name:\tbash\nSigIgn:\t0000000000384004\nSigCgt:\t{mask}\n");
        assert!(!catches(&of("000000004b813efb"), Signal::SIGTERM));
        assert!(catches(&of("000000004b817efb"), Signal::SIGTERM));
        assert!(!catches("", Signal::SIGTERM));
    }
}
