//! Which GPUs the slots of machines have, each counted once. Pure.
//!
//! The configuration names them by index, by UUID, or by one name for several; an agent by UUID, in the driver's order. Nobody
//! says which of the ones is which of the others. So an entry of the configuration counts until an agent has listed the GPUs of
//! a slot that has it; from then on they are known by their UUIDs.

use std::collections::{BTreeMap, BTreeSet};

use crate::agent::usage::report::{Gpu, Gpus, Usage};
use crate::config::{Machine, Slot};
use crate::reservation::{MachineName, SlotId};

/// A slot's GPUs as the configuration has them: slots with the same entry have the same GPUs.
type Entry = BTreeSet<String>;
/// By UUID: which model each is.
type Listing = BTreeMap<String, String>;

/// What agents have listed the last time, for each entry of a machine.
#[derive(Debug, Default)]
pub(super) struct Cards(BTreeMap<(MachineName, Entry), Listing>);

impl Cards {
    /// Takes in what was `seen`. It replaces what was listed before, for a GPU may have been replaced; one that only does not
    /// answer any more is still what it was.
    pub(super) fn note(&mut self, machine: &Machine, seen: &BTreeMap<SlotId, Usage>) {
        let mut told: BTreeMap<Entry, Listing> = BTreeMap::new();
        for slot in &machine.slots {
            if let Some(gpus) = listed(slot, seen) {
                let named = gpus.iter().map(|gpu| (gpu.uuid.clone(), gpu.name.clone()));
                told.entry(entry(slot)).or_default().extend(named);
            }
        }
        for (entry, mut listing) in told {
            let missing = entry.len().saturating_sub(listing.len());
            let known = self.0.entry((machine.name.clone(), entry)).or_default();
            known.retain(|uuid, _| !listing.contains_key(uuid));
            listing.extend(std::mem::take(known).into_iter().take(missing));
            *known = listing;
        }
    }

    /// How many there are: those that do not answer any more, too.
    pub(super) fn count(&self, machine: &Machine) -> usize {
        let entries: BTreeSet<Entry> = machine.slots.iter().map(entry).collect();
        let listing = |entry| self.listing(machine, entry).map(|listing| (entry, listing));
        let told: Vec<(&Entry, &Listing)> = entries.iter().filter_map(listing).collect();
        let by_uuid: BTreeSet<&String> = told.iter().flat_map(|(_, listing)| listing.keys()).collect();
        let by_entry: BTreeSet<&String> = told.iter().flat_map(|(entry, _)| *entry).collect();
        let untold: BTreeSet<&String> =
            entries.iter().flatten().filter(|id| !by_entry.contains(id)).collect();
        by_uuid.union(&untold).count().saturating_add(never_seen(&told))
    }

    /// The model of each that is known.
    pub(super) fn of_machine(&self, machine: &Machine) -> BTreeMap<&str, &str> {
        let entries: BTreeSet<Entry> = machine.slots.iter().map(entry).collect();
        let listings = entries.iter().filter_map(|entry| self.listing(machine, entry));
        listings.flatten().map(|(uuid, name)| (uuid.as_str(), name.as_str())).collect()
    }

    /// The models of one slot's, as an agent has listed them the last time.
    pub(super) fn of_slot(&self, machine: &Machine, slot: &Slot) -> impl Iterator<Item = &str> {
        self.listing(machine, &entry(slot)).into_iter().flatten().map(|(_, name)| name.as_str())
    }

    fn listing(&self, machine: &Machine, entry: &Entry) -> Option<&Listing> {
        self.0.get(&(machine.name.clone(), entry.clone()))
    }
}

/// How many of the entries' GPUs no agent has listed yet. Entries may have some in common, and each is missing once.
fn never_seen(told: &[(&Entry, &Listing)]) -> usize {
    let short = told.iter().filter(|(entry, listing)| listing.len() < entry.len());
    let short: BTreeSet<&String> = short.flat_map(|(entry, _)| *entry).collect();
    let near = told.iter().filter(|(entry, _)| entry.iter().any(|id| short.contains(id)));
    let (mut named, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for (entry, listing) in near {
        named.extend(*entry);
        seen.extend(listing.keys());
    }
    named.len().saturating_sub(seen.len())
}

fn entry(slot: &Slot) -> Entry {
    slot.gpus.iter().cloned().collect()
}

/// A slot's GPUs, where its agent lists them.
pub(super) fn listed<'a>(slot: &Slot, seen: &'a BTreeMap<SlotId, Usage>) -> Option<&'a [Gpu]> {
    match seen.get(&slot.id)? {
        Usage { gpus: Gpus::Listed { gpus, .. }, .. } => Some(gpus),
        _ => None,
    }
}
