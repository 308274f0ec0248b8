//! The book as people are shown it.

use jiff::Timestamp;

use super::{Book, Machine};
use crate::reservation::lifecycle::State;
use crate::reservation::names::SlotId;
use crate::reservation::plan::SlotPlan;
use crate::reservation::view::{ClusterView, MachineView, SlotState, SlotView};

impl Book {
    /// A picture of it all.
    #[must_use]
    pub fn view(&self, now: Timestamp) -> ClusterView {
        let machines = self.machines.iter().map(|machine| self.machine_view(machine)).collect();
        ClusterView { cluster: self.cluster.clone(), now, machines, queue: self.line(now) }
    }

    fn machine_view(&self, machine: &Machine) -> MachineView {
        let slot = |plan: &SlotPlan| SlotView {
            id: plan.id.clone(),
            gpus: plan.gpus.clone(),
            state: self.slot_state(machine, &plan.id),
        };
        MachineView {
            name: machine.plan.name.clone(),
            label: machine.plan.label.clone(),
            offline: machine.offline.clone(),
            draining: machine.draining,
            slots: machine.plan.slots.iter().map(slot).collect(),
        }
    }

    fn slot_state(&self, machine: &Machine, id: &SlotId) -> SlotState {
        if let Some(r) = self.held.get(id) {
            return match r.state {
                State::Starting => SlotState::Starting { user: r.user.clone(), deadline: r.deadline },
                State::Active => SlotState::Reserved { user: r.user.clone(), deadline: r.deadline },
                State::Ending(_) => SlotState::Ending { user: r.user.clone() },
            };
        }
        let held = self.queue.holder(id).and_then(|waiting| Some((waiting, waiting.hold.as_ref()?)));
        match held {
            _ if machine.offline.is_some() => SlotState::Offline,
            _ if machine.draining => SlotState::Draining,
            Some((waiting, hold)) => SlotState::Held { user: waiting.user.clone(), until: hold.until },
            None => SlotState::Free,
        }
    }
}
