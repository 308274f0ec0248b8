//! Idle reclaim: a container in which nothing happens for the time that the site has set is given back.
//!
//! Something happens while a session or a listener of a client is open, while a connection that was dialled for one
//! stands, while the processors compute, and while a GPU is used. What cannot be read counts as use: a
//! training run must not end because a driver does not answer. The decision is pure ([`quiet`]), the looking is not
//! ([`measure`]). The agent only finds that nothing happens and warns; the gateway ends the reservation, so that it is
//! on record why. Without a gateway nothing ends before its deadline.

use std::collections::HashSet;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use nix::sys::stat::fstat;

use super::clock::Deadline;
use super::protocol::{Event, Reply};
use super::serve::Agent;
use crate::text::agent::Notice;

mod gpu;
mod measure;
mod quiet;

use measure::Meter;
use quiet::{Quiet, Step};

/// Looks this often at the site's time, within bounds.
const LOOKS: u32 = 20;
const SHORTEST_PERIOD: Duration = Duration::from_millis(200);
const LONGEST_PERIOD: Duration = Duration::from_secs(10);
/// Dialled connections that are remembered; more are old ones that nobody has looked at, as nothing is off.
const MOST_DIALLED: usize = 4096;

/// Who uses the container from outside.
#[derive(Debug, Default)]
pub(super) struct Idle {
    /// Open conversations that a client stands behind.
    held: AtomicUsize,
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Something was asked since the last look.
    is_touched: bool,
    /// Sockets that were handed to the gateway, by inode.
    dialled: HashSet<u64>,
    /// For `status`: for how long nothing has happened.
    quiet: Duration,
}

/// A client stands behind a conversation for as long as this lives.
pub(super) struct InUse<'a>(&'a Idle);

impl Idle {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn hold(&self) -> InUse<'_> {
        self.held.fetch_add(1, Ordering::Relaxed);
        InUse(self)
    }

    /// A connection goes to the gateway; as long as it stands, it is in use.
    pub(super) fn note_dialled(&self, connection: &impl AsFd) {
        let mut shared = self.shared();
        shared.is_touched = true;
        if let Ok(stat) = fstat(connection)
            && shared.dialled.len() < MOST_DIALLED
        {
            shared.dialled.insert(stat.st_ino);
        }
    }

    /// For `status`.
    pub(super) fn state(&self, agent: &Agent) -> Reply {
        let milliseconds = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        Reply::Idle {
            quiet_ms: milliseconds(self.shared().quiet),
            limit_ms: agent.config.idle_ms.unwrap_or_default(),
        }
    }

    /// Is a client connected, or was one since the last look?
    fn is_connected(&self) -> bool {
        let mut shared = self.shared();
        if !shared.dialled.is_empty() {
            let open = measure::open_sockets();
            shared.dialled.retain(|inode| open.contains(inode));
        }
        let touched = std::mem::take(&mut shared.is_touched);
        touched || !shared.dialled.is_empty() || self.held.load(Ordering::Relaxed) > 0
    }

    /// Looks for ever.
    pub(super) fn watch(agent: &Arc<Agent>, limit: Duration) {
        let period = (limit / LOOKS).clamp(SHORTEST_PERIOD, LONGEST_PERIOD);
        let warnings = agent.config.warnings_ms.iter().copied().map(Duration::from_millis).collect();
        let mut quiet = Quiet::new(limit, warnings, period);
        let mut meter = Meter::default();
        while !agent.end.has_begun() {
            sleep(period);
            let (computes, connected) =
                (meter.processors_compute(Deadline::now()), agent.idle.is_connected());
            // A GPU is asked only while nothing else happens: it costs most.
            let is_busy = computes || connected || gpu::is_used(agent);
            let step = quiet.step(Deadline::now(), is_busy);
            agent.idle.shared().quiet = quiet.lasted();
            match step {
                Step::Nothing => {}
                Step::Warn(left) => {
                    agent.terminals.say(&Notice::IdleEndsIn { slot: &agent.config.slot, left });
                }
                Step::End => agent.door.tell(&Event::Idle),
            }
        }
    }
}

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        self.0.shared().is_touched = true;
        self.0.held.fetch_sub(1, Ordering::Relaxed);
    }
}
