//! What the site plans: machines and their slots; and what people ask for of them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::names::{MachineName, NameError, SlotId};

/// A machine as the site plans it.
#[derive(Debug, Clone)]
pub struct MachinePlan {
    /// Its name.
    pub name: MachineName,
    /// What people call it.
    pub label: Option<String>,
    /// Its slots, in order.
    pub slots: Vec<SlotPlan>,
}

/// A slot as the site plans it.
#[derive(Debug, Clone)]
pub struct SlotPlan {
    /// Its place.
    pub id: SlotId,
    /// Its GPUs.
    pub gpus: Vec<String>,
}

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// The freest slot anywhere.
    #[default]
    Any,
    /// The first free slot of a machine.
    Machine(MachineName),
    /// This slot.
    Slot(SlotId),
}

impl Target {
    /// Does a slot satisfy it?
    #[must_use]
    pub fn matches(&self, slot: &SlotId) -> bool {
        match self {
            Self::Any => true,
            Self::Machine(machine) => *machine == slot.machine,
            Self::Slot(wanted) => wanted == slot,
        }
    }

    /// Is there a slot that would satisfy both?
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::Machine(machine), Self::Slot(slot)) | (Self::Slot(slot), Self::Machine(machine)) => {
                *machine == slot.machine
            }
            (Self::Machine(one), Self::Machine(two)) => one == two,
            (Self::Slot(one), Self::Slot(two)) => one == two,
        }
    }
}

/// As it is typed; nothing for anywhere.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => Ok(()),
            Self::Machine(machine) => machine.fmt(f),
            Self::Slot(slot) => slot.fmt(f),
        }
    }
}

impl std::str::FromStr for Target {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('/') { text.parse().map(Self::Slot) } else { text.parse().map(Self::Machine) }
    }
}
