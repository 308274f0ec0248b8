//! What people are shown: a picture of the cluster at one moment, the same for menu, page and commands.

use jiff::Timestamp;
use serde::Serialize;

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
    /// Its machine does not answer.
    Offline,
    /// Takes no new reservations.
    Draining,
}
