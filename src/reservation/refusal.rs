//! Why somebody does not get a slot, as data; `text::refusal` puts it into words.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::names::{MachineName, SlotId, UserName};

/// Why a reservation was refused or came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The user holds another slot already.
    HoldsAnother {
        /// Which.
        slot: SlotId,
        /// Until when.
        deadline: Timestamp,
    },
    /// Somebody holds the slot that was asked for.
    Taken {
        /// The slot.
        slot: SlotId,
        /// Who holds it.
        by: UserName,
        /// When it frees at the latest; `None` while it is being freed.
        frees: Option<Timestamp>,
    },
    /// Nothing is free.
    Full {
        /// Where it was looked: one machine, or all.
        machine: Option<MachineName>,
        /// Which slot frees first, and when at the latest.
        frees: Option<(SlotId, Timestamp)>,
    },
    /// What is free is held for those whose turn it is.
    Held {
        /// The slot.
        slot: SlotId,
        /// For whom.
        user: UserName,
        /// Until when.
        until: Timestamp,
    },
    /// The user waits for nothing.
    NotQueued,
    /// Nobody more can wait.
    QueueFull,
    /// So much of theirs is under way already.
    TooMuchAtOnce,
    /// No such machine.
    UnknownMachine(String),
    /// The machine has no such slot.
    UnknownSlot(SlotId),
    /// The machine does not answer.
    Offline {
        /// Which.
        machine: MachineName,
        /// Why (from outside: escape before showing).
        reason: String,
    },
    /// The machine takes no new reservations.
    Draining(MachineName),
    /// A client that reconnects by itself may not follow an expired reservation.
    ExpiredBefore {
        /// What expired.
        slot: SlotId,
        /// When.
        at: Timestamp,
    },
    /// The site wants an explicit choice.
    AutoReserveOff,
    /// A menu is open on the same connection: the choice is its.
    MenuIsOpen,
    /// There is no reservation (to show or to release).
    NothingReserved,
    /// The container could not be started.
    StartFailed {
        /// Where.
        slot: SlotId,
        /// Why (from outside: escape before showing).
        detail: String,
    },
    /// The container started, but not all of the slot's GPUs are in it.
    GpusMissing {
        /// Where.
        slot: SlotId,
        /// So many should be there.
        wanted: usize,
        /// So many are.
        found: usize,
        /// What nvidia-smi says (from outside: escape before showing).
        detail: String,
    },
    /// It was ended before it had started.
    Cancelled,
    /// The ledger cannot be written.
    LedgerFailed {
        /// Why.
        detail: String,
    },
    /// The user has not accepted the charter as it is now.
    CharterNotAccepted,
    /// The gateway is shutting down.
    ShuttingDown,
}
