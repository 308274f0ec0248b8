//! What people are shown: a picture of the cluster at one moment, the same for menu, page and commands.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::names::{MachineName, SlotId, UserName};

/// The whole cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClusterView {
    /// Its name.
    pub cluster: String,
    /// When this picture was taken.
    pub now: Timestamp,
    /// In the order of the configuration.
    pub machines: Vec<MachineView>,
    /// Who waits for a slot, in order.
    pub queue: Vec<WaitingView>,
}

impl ClusterView {
    /// A user's place in the queue.
    #[must_use]
    pub fn waiting(&self, user: &UserName) -> Option<&WaitingView> {
        self.queue.iter().find(|waiting| waiting.user == *user)
    }
}

/// Somebody in the queue. Gateways of two versions tell each other: what is new in it needs `#[serde(default)]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingView {
    /// Who.
    pub user: UserName,
    /// For which machine or slot; `None` for any.
    pub target: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// 1 for the next one of those who wait for what they wait for; 0 when it is their turn.
    pub place: usize,
    /// When it should be their turn at the latest; `None` while nothing they wait for can be used.
    pub estimate: Option<Timestamp>,
    /// What is held for them: it is their turn.
    pub held: Option<HoldView>,
}

/// A slot that is held for the one whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldView {
    /// Which.
    pub slot: SlotId,
    /// Until when.
    pub until: Timestamp,
}

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MachineView {
    /// Its name.
    pub name: MachineName,
    /// What people call it.
    pub label: Option<String>,
    /// Why it cannot be used, if it cannot: text from outside, escape it.
    pub offline: Option<String>,
    /// Takes no new reservations.
    pub draining: bool,
    /// Its slots in order.
    pub slots: Vec<SlotView>,
}

impl MachineView {
    /// Slots that can be reserved now.
    #[must_use]
    pub fn free(&self) -> usize {
        self.slots.iter().filter(|slot| slot.state == SlotState::Free).count()
    }
}

impl SlotState {
    /// Can this user reserve it now?
    #[must_use]
    pub fn is_for(&self, user: &UserName) -> bool {
        match self {
            Self::Free => true,
            Self::Held { user: holder, .. } => holder == user,
            _ => false,
        }
    }
}

/// One slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SlotView {
    /// Its place.
    pub id: SlotId,
    /// Its GPUs.
    pub gpus: Vec<String>,
    /// Its state.
    #[serde(flatten)]
    pub state: SlotState,
}

/// A slot's state as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum SlotState {
    /// Can be reserved.
    Free,
    /// Somebody works in it.
    Reserved {
        /// Who.
        user: UserName,
        /// Until when at the latest.
        deadline: Timestamp,
    },
    /// Its container is being started.
    Starting {
        /// For whom.
        user: UserName,
        /// Until when at the latest.
        deadline: Timestamp,
    },
    /// Its container is being ended.
    Ending {
        /// Whose it was.
        user: UserName,
    },
    /// It is free, and held for the one in the queue whose turn it is.
    Held {
        /// For whom.
        user: UserName,
        /// Until when.
        until: Timestamp,
    },
    /// Its machine does not answer.
    Offline,
    /// Takes no new reservations.
    Draining,
}
