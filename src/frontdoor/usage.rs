//! What commands show of the containers' use.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::ask::ask;
use crate::bridge;
use crate::reservation::{Reservation, SlotId};
use crate::text::usage::{Limited, lines as usage_lines};
use crate::text::{Lang, Say};
use crate::workspace::Workspaces;
use crate::workspace::usage::Seen;

/// What the slot may use, in one line; empty where nothing is limited.
pub(crate) fn limits(workspaces: &Workspaces, slot: &SlotId, lang: Lang) -> String {
    let slots = workspaces.config().machines.iter().flat_map(|machine| &machine.slots);
    let limits = slots.into_iter().find(|candidate| candidate.id == *slot).map(|found| &found.limits);
    limits.map(|limits| Limited(limits).say(lang)).unwrap_or_default()
}

/// For the one whose container it is.
pub(super) async fn lines(workspaces: &Workspaces, reservation: &Reservation, lang: Lang) -> Vec<String> {
    let mut lines = vec![limits(workspaces, &reservation.slot, lang)];
    if let Some(usage) = ask(workspaces, reservation, bridge::usage).await {
        lines.extend(usage_lines(&usage, true, lang));
    }
    lines.retain(|line| !line.is_empty());
    lines
}

/// For their programs: `usage`, and `limits`.
pub(super) async fn facts(workspaces: &Workspaces, reservation: &Reservation) -> [(&'static str, Value); 2] {
    let usage = ask(workspaces, reservation, bridge::usage).await;
    [("usage", json!(usage)), ("limits", limit_facts(workspaces, &reservation.slot))]
}

fn limit_facts(workspaces: &Workspaces, slot: &SlotId) -> Value {
    let slots = workspaces.config().machines.iter().flat_map(|machine| &machine.slots);
    let limits = slots.into_iter().find(|candidate| candidate.id == *slot).map(|found| &found.limits);
    limits.map_or(Value::Null, |limits| {
        json!({ "memory": limits.memory, "cpus": limits.cpus, "shm": limits.shm, "pids": limits.pids,
            "disk": limits.disk, "gpu_memory": limits.gpu_memory })
    })
}

/// Beside each slot of `machines`, where something is known. What others run stays theirs; an administrator sees it.
pub(super) fn add_to_slots(machines: &mut Value, seen: &BTreeMap<SlotId, Seen>, for_admin: bool) {
    let slots = machines.as_array_mut().into_iter().flatten().filter_map(|machine| machine.get_mut("slots"));
    for slot in slots.filter_map(Value::as_array_mut).flatten() {
        let id = slot.get("id").and_then(Value::as_str).and_then(|id| id.parse::<SlotId>().ok());
        let Some(seen) = id.and_then(|id| seen.get(&id)) else { continue };
        let mut usage = json!(seen.usage);
        if !for_admin && let Some(listed) = usage.pointer_mut("/gpus/listed").and_then(Value::as_object_mut) {
            listed.remove("processes");
        }
        super::add_fact(&mut usage, "at", json!(seen.at));
        super::add_fact(slot, "usage", usage);
    }
}
