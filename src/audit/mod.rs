//! The audit log: who did what and when, one JSON object a line. docs/audit.md documents the schema.
//!
//! Noting an event never waits: a thread of its own writes, from a bounded queue. What does not fit
//! is counted, and the count is the next line that is written.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use jiff::Timestamp;
use serde::Serialize;

mod writer;

pub use writer::AuditError;

use crate::reservation::{EndReason, ReservationId, SlotId, UserName};

/// Events that may wait for the disk: some megabytes at most.
const QUEUE: usize = 8192;

/// Something that happened. Names and places only: no password, code, key or command line.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event")]
#[allow(missing_docs, reason = "the fields are documented in docs/audit.md, for those who read the log")]
pub enum Event {
    /// Somebody tried to log in, and what came of it.
    #[serde(rename = "login")]
    Login {
        /// As it was typed, made printable.
        user: String,
        source: SocketAddr,
        method: &'static str,
        outcome: Outcome,
        /// Why it was refused; for administrators only.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'static str>,
        /// The key's fingerprint.
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    #[serde(rename = "reservation.claimed")]
    Claimed { user: UserName, slot: SlotId, reservation: ReservationId, deadline: Timestamp },
    #[serde(rename = "reservation.ready")]
    Ready { user: UserName, slot: SlotId, reservation: ReservationId },
    #[serde(rename = "reservation.ended")]
    Ended {
        user: UserName,
        slot: SlotId,
        reservation: ReservationId,
        reason: EndReason,
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// A session channel has asked for its program.
    #[serde(rename = "channel")]
    Channel {
        user: UserName,
        source: SocketAddr,
        kind: &'static str,
        /// So many of this connection's before it were not written.
        #[serde(skip_serializing_if = "is_zero")]
        unwritten: u64,
    },
    /// A connection into the container, a listener in it, or something of the client's own that is lent to it.
    #[serde(rename = "forward")]
    Forward {
        user: UserName,
        source: SocketAddr,
        kind: &'static str,
        target: String,
        /// As above.
        #[serde(skip_serializing_if = "is_zero")]
        unwritten: u64,
    },
    /// A user changed something of their own: a key, the password, the second factor, the charter.
    #[serde(rename = "account")]
    Account { user: UserName, act: &'static str, target: String },
    /// An administrator did something.
    #[serde(rename = "admin")]
    Admin { admin: String, act: String, target: String, outcome: Outcome },
    /// A container ran into a limit, or its GPUs or stores failed.
    #[serde(rename = "usage")]
    Usage { user: UserName, slot: SlotId, reservation: ReservationId, kind: &'static str, detail: String },
    /// Events before this one are missing.
    #[serde(rename = "dropped")]
    Dropped { count: u64 },
    /// The gateway has started, or stopped.
    #[serde(rename = "gateway")]
    Gateway { act: &'static str },
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was done.
    Ok,
    /// One factor was right, another is asked for.
    Partial,
    /// It was not done.
    Refused,
}

/// An event with its time, as it is written.
#[derive(Debug, Serialize)]
struct Line<'a> {
    /// The schema's version.
    v: u32,
    time: Timestamp,
    #[serde(flatten)]
    event: &'a Event,
}

/// The way to the log; without a path it goes nowhere. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Audit {
    queue: Option<Arc<Queue>>,
}

#[derive(Debug)]
struct Queue {
    events: SyncSender<(Timestamp, Event)>,
    dropped: Arc<AtomicU64>,
    reopen: Arc<AtomicBool>,
}

impl Audit {
    /// Opens the log for appending and starts its writer.
    ///
    /// # Errors
    /// [`AuditError`] when the file cannot be opened: nothing should run that was meant to be audited.
    pub fn open(path: Option<&Path>) -> Result<Self, AuditError> {
        let Some(path) = path else { return Ok(Self::default()) };
        let (events, queued) = sync_channel(QUEUE);
        let (dropped, reopen) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        writer::start(path, queued, dropped.clone(), reopen.clone())?;
        Ok(Self { queue: Some(Arc::new(Queue { events, dropped, reopen })) })
    }

    /// Notes an event. Never waits.
    pub fn note(&self, event: Event) {
        let Some(queue) = &self.queue else { return };
        match queue.events.try_send((Timestamp::now(), event)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                queue.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Opens the file anew: the old one has been moved away.
    pub fn reopen(&self) {
        if let Some(queue) = &self.queue {
            queue.reopen.store(true, Ordering::Relaxed);
            self.note(Event::Gateway { act: "log reopened" });
        }
    }
}

/// Writes one event at once: for commands that run beside the gateway.
///
/// # Errors
/// [`AuditError`]
pub fn append(path: &Path, event: &Event) -> Result<(), AuditError> {
    writer::append(path, Timestamp::now(), event)
}
