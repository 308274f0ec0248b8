//! What must be true when the faults are healed and all has settled.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::journal::Journal;
use super::world::{Container, GRACE_SECONDS, World};

/// Engines that were away are asked again after at most 30 s.
const SETTLES: Duration = Duration::from_secs(75);
/// On top of the grace: an engine's own time to stop and remove.
const MARGIN_SECONDS: i64 = 10;

/// Waits until book, engines and folders say the same; complains when they never do.
pub fn settle(world: &World) -> Result<Vec<Container>, String> {
    let limit = Instant::now() + SETTLES;
    loop {
        match look(world) {
            Ok(containers) => return Ok(containers),
            Err(why) if Instant::now() > limit => return Err(format!("it never settles: {why}")),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

fn look(world: &World) -> Result<Vec<Container>, String> {
    // Nobody reserves or releases meanwhile.
    let _still = world.changes.write().unwrap();
    let book = world.book().ok_or("the gateway does not answer")?;
    let containers = world.containers().ok_or("an engine does not answer")?;
    twice(&containers)?;
    overdue(&containers)?;
    for machine in book["machines"].as_array().ok_or("no machines")? {
        if !machine["offline"].is_null() {
            return Err(format!("{} is offline: {}", machine["name"], machine["offline"]));
        }
    }
    let mut held = BTreeMap::new();
    for reservation in book["reservations"].as_array().ok_or("no reservations")? {
        if reservation["state"] != "active" {
            return Err(format!("{reservation}"));
        }
        let text = |field: &str| reservation[field].as_str().unwrap_or_default().to_owned();
        held.insert(text("id"), (text("user"), text("slot")));
    }
    // Seven people want six slots: where nobody has one, something keeps them from it.
    if held.is_empty() {
        return Err("nobody gets a slot".to_owned());
    }
    let runs: BTreeMap<_, _> = containers
        .iter()
        .filter(|container| container.running)
        .map(|c| (c.reservation.clone(), (c.user.clone(), c.slot.clone())))
        .collect();
    if let Some(stopped) = containers.iter().find(|container| !container.running) {
        return Err(format!("left behind: {stopped:?}"));
    }
    if held != runs {
        return Err(format!("the book holds {held:?}, the engines run {runs:?}"));
    }
    let folders = world.run_folders();
    let here = held.into_iter().filter(|(_, (_, slot))| slot.starts_with("gpu1/"));
    let ids: BTreeSet<String> = here.map(|(id, _)| id).collect();
    if folders != ids {
        return Err(format!("folders {folders:?}, reservations {ids:?}"));
    }
    Ok(containers)
}

/// No slot twice, nobody with two. At once, not in the end.
fn twice(containers: &[Container]) -> Result<(), String> {
    let (mut slots, mut users) = (BTreeSet::new(), BTreeSet::new());
    for container in containers.iter().filter(|container| container.running) {
        if !slots.insert(container.slot.clone()) {
            panic!("two containers on {}: {containers:?}", container.slot);
        }
        if !users.insert(container.user.clone()) {
            panic!("{} has two: {containers:?}", container.user);
        }
    }
    Ok(())
}

fn overdue(containers: &[Container]) -> Result<(), String> {
    let now = Timestamp::now();
    for container in containers.iter().filter(|container| container.running) {
        let late = now.duration_since(container.deadline).as_secs();
        if late > GRACE_SECONDS + MARGIN_SECONDS {
            return Err(format!("{late} s past its deadline: {container:?}"));
        }
    }
    Ok(())
}

/// What ran before and still had time, and was neither given back nor taken by a fault, runs.
pub fn lost(before: &[Container], after: &[Container], journal: &Journal) -> Vec<String> {
    let soon = Timestamp::now() + jiff::SignedDuration::from_secs(3);
    let runs: BTreeSet<_> = after.iter().map(|container| &container.reservation).collect();
    before
        .iter()
        .filter(|one| one.running && one.deadline > soon && !runs.contains(&one.reservation))
        .filter(|one| !journal.is_released(&one.reservation))
        .filter(|one| !journal.is_taken(&one.reservation, &one.machine))
        .map(|one| format!("lost: {one:?}"))
        .collect()
}
