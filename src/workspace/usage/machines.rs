//! What each machine uses, as far as the agents of its containers tell. Pure.
//!
//! What nobody measures is not known: a GPU in whose slots nothing runs has a model from the last time, and no figures.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cards::{Cards, listed};
use crate::agent::usage::report::{Amount, Gpu, Gpus, Usage};
use crate::config::{Config, Machine, Slot};
use crate::reservation::{MachineName, SlotId};

/// Each machine. Cheap to clone, and the same until something is worth showing.
pub type Machines = Arc<BTreeMap<MachineName, MachineUse>>;

/// What is known of one machine. Its words are bounded and printable, and still from outside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MachineUse {
    /// GPUs that its slots have, each counted once.
    pub gpus: usize,
    /// Those that are measured now.
    pub measured: usize,
    /// Which they are, the most frequent first; also of those that are not measured now.
    pub models: Vec<Model>,
    /// GPU memory of those that are measured.
    pub gpu_memory: Option<Amount>,
    /// How busy they are on the average, in percent.
    pub busy_percent: Option<u32>,
    /// The warmest.
    pub celsius: Option<u32>,
    /// Where none is measured: why, if an agent says.
    pub trouble: Option<Gpus>,
    /// The machine's memory.
    pub memory: Option<Amount>,
    /// Its load of the last minute, in hundredths.
    pub load_hundredths: Option<u32>,
    /// Its processors.
    pub processors: Option<u32>,
    /// Its slots of which something is known.
    pub slots: BTreeMap<SlotId, SlotUse>,
}

/// So many GPUs of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// As nvidia-smi calls it.
    pub name: String,
    /// How many.
    pub count: usize,
}

/// What is known of one slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlotUse {
    /// What runs there uses, where something runs that can be asked.
    pub usage: Option<Usage>,
    /// What its GPUs are.
    pub models: Vec<Model>,
}

/// Adds up what was `seen` in each slot; what GPUs are is remembered in `cards`.
pub(super) fn sum_up(config: &Config, seen: &BTreeMap<SlotId, Usage>, cards: &mut Cards) -> Machines {
    let machines = config.machines.iter();
    Arc::new(machines.map(|machine| (machine.name.clone(), one(machine, seen, cards))).collect())
}

fn one(machine: &Machine, seen: &BTreeMap<SlotId, Usage>, cards: &mut Cards) -> MachineUse {
    cards.note(machine, seen);
    let listings = machine.slots.iter().filter_map(|slot| listed(slot, seen));
    // A GPU that several slots share is one.
    let measured: BTreeMap<&str, &Gpu> = listings.flatten().map(|gpu| (gpu.uuid.as_str(), gpu)).collect();
    let usages: Vec<&Usage> = machine.slots.iter().filter_map(|slot| seen.get(&slot.id)).collect();
    let busy: Vec<u64> = measured.values().filter_map(|gpu| gpu.busy_percent).map(u64::from).collect();
    let trouble = usages.iter().map(|usage| &usage.gpus).find(|gpus| is_trouble(gpus));
    let slot_use = |slot: &Slot| {
        let found = of_slot(machine, slot, seen, cards);
        (found != SlotUse::default()).then(|| (slot.id.clone(), found))
    };
    MachineUse {
        gpus: cards.count(machine),
        measured: measured.len(),
        gpu_memory: memory(measured.values()),
        busy_percent: mean(&busy),
        celsius: measured.values().filter_map(|gpu| gpu.celsius).max(),
        trouble: trouble.cloned().filter(|_| measured.is_empty()),
        memory: usages.iter().find_map(|usage| usage.machine_memory),
        load_hundredths: usages.iter().find_map(|usage| usage.load_hundredths),
        processors: usages.iter().find_map(|usage| usage.machine_processors),
        models: models(cards.of_machine(machine).into_values()),
        slots: machine.slots.iter().filter_map(slot_use).collect(),
    }
}

fn of_slot(machine: &Machine, slot: &Slot, seen: &BTreeMap<SlotId, Usage>, cards: &Cards) -> SlotUse {
    let usage = seen.get(&slot.id).cloned();
    let models = match &usage {
        Some(_) => models(listed(slot, seen).into_iter().flatten().map(|gpu| gpu.name.as_str())),
        None => models(cards.of_slot(machine, slot)),
    };
    SlotUse { usage, models }
}

fn is_trouble(gpus: &Gpus) -> bool {
    matches!(gpus, Gpus::Missing | Gpus::Silent { .. } | Gpus::Failed { .. })
}

fn memory<'a>(gpus: impl Iterator<Item = &'a &'a Gpu>) -> Option<Amount> {
    let known = gpus.filter_map(|gpu| Some((gpu.memory_used?, gpu.memory_total?)));
    known.fold(None, |sum: Option<Amount>, (used, total)| {
        let before = sum.unwrap_or(Amount { used: 0, limit: Some(0) });
        let limit = before.limit.map(|limit| limit.saturating_add(total));
        Some(Amount { used: before.used.saturating_add(used), limit })
    })
}

fn mean(percent: &[u64]) -> Option<u32> {
    let sum = percent.iter().fold(0, |sum: u64, one| sum.saturating_add(*one));
    u32::try_from(sum.checked_div(u64::try_from(percent.len()).ok()?)?).ok()
}

fn models<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Model> {
    let mut models: Vec<Model> = Vec::new();
    for name in names.filter(|name| !name.is_empty()) {
        match models.iter_mut().find(|model| model.name == name) {
            Some(model) => model.count += 1,
            None => models.push(Model { name: name.to_owned(), count: 1 }),
        }
    }
    models.sort_by_key(|model| std::cmp::Reverse(model.count));
    models
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;

    fn slot(number: u16, gpus: &[&str]) -> Slot {
        let id = format!("gpu1/{number}").parse().unwrap();
        Slot { id, gpus: gpus.iter().map(|gpu| (*gpu).to_owned()).collect(), limits: Limits::default() }
    }

    fn machine(slots: Vec<Slot>) -> Machine {
        Machine {
            name: "gpu1".parse().unwrap(),
            label: None,
            engine: crate::config::EngineAddress::Unix("/dev/null".into()),
            agent: crate::config::AgentTransport::Unix,
            slots,
        }
    }

    fn gpu(uuid: &str, used: u64, busy: Option<u32>, celsius: u32) -> Gpu {
        Gpu {
            index: 0,
            uuid: uuid.into(),
            name: "H100".into(),
            memory_used: Some(used),
            memory_total: Some(80),
            busy_percent: busy,
            celsius: Some(celsius),
        }
    }

    fn seen(number: u16, gpus: Gpus) -> (SlotId, Usage) {
        (format!("gpu1/{number}").parse().unwrap(), Usage { gpus, ..Usage::default() })
    }

    fn listed(gpus: Vec<Gpu>) -> Gpus {
        Gpus::Listed { gpus, processes: Vec::new() }
    }

    #[test]
    fn a_machine_is_the_sum_of_its_gpus_and_a_shared_one_is_one() {
        let machine = machine(vec![slot(1, &["0"]), slot(2, &["1"]), slot(3, &["1"]), slot(4, &["2"])]);
        let agents = [
            seen(1, listed(vec![gpu("a", 10, Some(20), 50)])),
            seen(2, listed(vec![gpu("b", 30, Some(80), 70)])),
            seen(3, listed(vec![gpu("b", 30, Some(80), 70)])),
        ];
        let mut cards = Cards::default();
        let found = one(&machine, &agents.into(), &mut cards);
        assert_eq!((found.gpus, found.measured), (3, 2), "what is not measured is not in the figures");
        assert_eq!(found.gpu_memory, Some(Amount { used: 40, limit: Some(160) }));
        assert_eq!((found.busy_percent, found.celsius), (Some(50), Some(70)));
        assert_eq!(found.models, [Model { name: "H100".into(), count: 2 }]);
        // Nothing runs any more: no figures, and what they are is remembered.
        let found = one(&machine, &BTreeMap::new(), &mut cards);
        assert_eq!((found.gpus, found.measured, found.gpu_memory, found.busy_percent), (3, 0, None, None));
        assert_eq!(found.models[0].count, 2);
        assert_eq!(found.slots.len(), 3, "of the fourth nothing is known");
    }

    #[test]
    fn gpus_that_the_configuration_does_not_name_count_by_their_own() {
        let machine = machine(vec![slot(1, &[]), slot(2, &["nvidia.com/gpu=all"])]);
        let both = vec![gpu("a", 1, None, 1), gpu("b", 1, None, 1)];
        let agents = [seen(1, listed(both.clone())), seen(2, listed(both))];
        let found = one(&machine, &agents.into(), &mut Cards::default());
        assert_eq!((found.gpus, found.measured, found.busy_percent), (2, 2, None));
        assert_eq!(found.gpu_memory, Some(Amount { used: 2, limit: Some(160) }));
        // Nothing has been listed yet: one name counts as one.
        assert_eq!(one(&machine, &BTreeMap::new(), &mut Cards::default()).gpus, 1);
    }

    /// GPUs of a machine, and those that are measured.
    fn counted(machine: &Machine, agents: &[(SlotId, Usage)], cards: &mut Cards) -> (usize, usize) {
        let found = one(machine, &agents.iter().cloned().collect(), cards);
        (found.gpus, found.measured)
    }

    fn lists(number: u16, uuids: &[&str]) -> (SlotId, Usage) {
        seen(number, listed(uuids.iter().map(|uuid| gpu(uuid, 1, Some(1), 1)).collect()))
    }

    #[test]
    fn one_that_has_fallen_out_is_counted_once_and_not_measured() {
        let cards = &mut Cards::default();
        let both = machine(vec![slot(1, &["0", "1"])]);
        assert_eq!(counted(&both, &[lists(1, &["a", "b"])], cards), (2, 2));
        assert_eq!(counted(&both, &[lists(1, &["a"])], cards), (2, 1));
        assert_eq!(counted(&both, &[lists(1, &[])], cards), (2, 0));
        assert_eq!(counted(&both, &[], cards), (2, 0));
        let known = one(&both, &BTreeMap::new(), cards).models;
        assert_eq!(known, [Model { name: "H100".into(), count: 2 }], "both are what they were");
        assert_eq!(counted(&both, &[lists(1, &["a"])], &mut Cards::default()), (2, 1), "never seen whole");
        // Shared, by an entry of its own or by the same one: what fell out fell out once.
        let shared = machine(vec![slot(1, &["0", "1"]), slot(2, &["1", "0"]), slot(3, &["1"])]);
        let agents = [lists(1, &["a"]), lists(2, &["a"]), lists(3, &[])];
        assert_eq!(counted(&shared, &agents, &mut Cards::default()), (2, 1));
        let agents = [lists(1, &["a", "b"]), lists(3, &[])];
        assert_eq!(counted(&shared, &agents, &mut Cards::default()), (2, 2), "it is one of slot 1's");
        let chained = machine(vec![slot(1, &["0", "1"]), slot(2, &["1", "2"])]);
        let agents = [lists(1, &["a", "b"]), lists(2, &["b"])];
        assert_eq!(counted(&chained, &agents, &mut Cards::default()), (3, 2));
    }

    #[test]
    fn a_listing_takes_the_place_of_its_entry_wherever_that_stands() {
        let all = machine(vec![slot(1, &["nvidia.com/gpu=all"])]);
        assert_eq!(counted(&all, &[lists(1, &["a", "b"])], &mut Cards::default()), (2, 2));
        let shared = machine(vec![slot(1, &["0", "1"]), slot(2, &["1"]), slot(3, &["2"])]);
        let cards = &mut Cards::default();
        assert_eq!(counted(&shared, &[], cards), (3, 0));
        assert_eq!(counted(&shared, &[lists(1, &["a", "b"])], cards), (3, 2), "slot 3's is not listed yet");
        assert_eq!(counted(&shared, &[lists(2, &["b"])], cards), (3, 1));
        // Another GPU in the place of one.
        assert_eq!(counted(&shared, &[lists(1, &["a", "c"]), lists(2, &["c"])], cards), (3, 2));
    }

    #[test]
    fn gpus_are_told_in_an_order_of_their_own() {
        let machine = machine(vec![slot(1, &["1", "0"]), slot(2, &["0"])]);
        let agents = [lists(1, &["a", "b"]), lists(2, &["a"])];
        let found = one(&machine, &agents.into(), &mut Cards::default());
        assert_eq!((found.gpus, found.measured), (2, 2));
        assert_eq!(found.gpu_memory, Some(Amount { used: 2, limit: Some(160) }));
    }

    #[test]
    fn why_nothing_is_measured_is_told() {
        let machine = machine(vec![slot(1, &["0"]), slot(2, &["1"])]);
        let silent = seen(1, Gpus::Silent { seconds: 20 });
        let found = one(&machine, &[silent.clone()].into(), &mut Cards::default());
        assert_eq!(found.trouble, Some(Gpus::Silent { seconds: 20 }));
        let other = seen(2, listed(vec![gpu("b", 1, Some(1), 1)]));
        let found = one(&machine, &[silent, other].into(), &mut Cards::default());
        assert_eq!((found.trouble, found.gpus, found.measured), (None, 2, 1), "the slot itself says so");
    }
}
