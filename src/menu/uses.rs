//! What machines and slots use, as menus draw it: cleaned once, and shared by all who show the same moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::model::clean_text;
use crate::agent::usage::report::{Gpus, StoreState, Usage};
use crate::reservation::{MachineName, SlotId};
use crate::text::usage::short_model;
use crate::workspace::usage::{MachineUse, Machines, Model, SlotUse};

/// What is known of each machine, made safe for terminals. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uses(Arc<BTreeMap<MachineName, MachineUse>>);

impl From<&Machines> for Uses {
    /// Made safe where it enters, so that no drawing code can forget.
    fn from(machines: &Machines) -> Self {
        let mut machines = BTreeMap::clone(machines);
        for machine in machines.values_mut() {
            machine.models.iter_mut().for_each(clean_model);
            machine.trouble.iter_mut().for_each(clean_gpus);
            for slot in machine.slots.values_mut() {
                slot.models.iter_mut().for_each(clean_model);
                slot.usage.iter_mut().for_each(clean_usage);
            }
        }
        Self(Arc::new(machines))
    }
}

impl Uses {
    pub(super) fn machine(&self, name: &MachineName) -> Option<&MachineUse> {
        self.0.get(name)
    }

    pub(super) fn slot(&self, id: &SlotId) -> Option<&SlotUse> {
        self.machine(&id.machine)?.slots.get(id)
    }
}

fn clean_model(model: &mut Model) {
    model.name = short_model(&clean_text(&model.name)).to_owned();
}

fn clean_usage(usage: &mut Usage) {
    clean_gpus(&mut usage.gpus);
    for store in &mut usage.stores {
        store.target = clean_text(&store.target);
        if let StoreState::Failed { why } = &mut store.state {
            *why = clean_text(why);
        }
    }
}

fn clean_gpus(gpus: &mut Gpus) {
    match gpus {
        Gpus::Listed { gpus, .. } => gpus.iter_mut().for_each(|gpu| gpu.name = clean_text(&gpu.name)),
        Gpus::Failed { why } => *why = clean_text(why),
        Gpus::Unknown | Gpus::None | Gpus::Missing | Gpus::Silent { .. } => {}
    }
}
