//! The book of reservations: pure rules over plain data.
//!
//! Invariants, checked by the property test at the end of `book/tests.rs`:
//! a slot is held by at most one reservation; a user has at most one live reservation;
//! what is held was claimed or adopted and has not been finished.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::lifecycle::{Cause, EndReason, Ended, Reservation, State};
use super::names::{MachineName, ReservationId, SlotId, UserName};
use super::refusal::Refusal;
use super::view::{ClusterView, MachineView, SlotState, SlotView};

mod picture;
#[cfg(test)]
mod tests;

pub use picture::Picture;

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
}

impl std::str::FromStr for Target {
    type Err = super::names::NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('/') { text.parse().map(Self::Slot) } else { text.parse().map(Self::Machine) }
    }
}

/// A request for a slot.
#[derive(Debug, Clone)]
pub struct Claim {
    /// For whom.
    pub user: UserName,
    /// What.
    pub target: Target,
    /// Asked for by a person, or by a client that just connected.
    pub cause: Cause,
    /// How long.
    pub lifetime: std::time::Duration,
    /// Does the site let clients reserve by connecting?
    pub auto_reserve: bool,
}

/// What a claim came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// A slot was free and is now the user's, `Starting`.
    New(Reservation),
    /// The user had it already: reserving twice is reserving once.
    Already(Reservation),
}

#[derive(Debug)]
struct Machine {
    plan: MachinePlan,
    /// `None` while it answers. At the start nobody has asked it yet.
    offline: Option<String>,
    draining: bool,
}

/// Who holds what. All time is passed in; nothing here waits or fails.
#[derive(Debug)]
pub struct Book {
    cluster: String,
    machines: Vec<Machine>,
    held: BTreeMap<SlotId, Reservation>,
    last: HashMap<UserName, Ended>,
}

impl Book {
    /// An empty book: every machine offline for `reason` until it has answered once.
    #[must_use]
    pub fn new(cluster: String, plans: Vec<MachinePlan>, reason: &str) -> Self {
        let machine = |plan| Machine { plan, offline: Some(reason.to_owned()), draining: false };
        Self {
            cluster,
            machines: plans.into_iter().map(machine).collect(),
            held: BTreeMap::new(),
            last: HashMap::new(),
        }
    }

    /// The user's live reservation.
    #[must_use]
    pub fn of(&self, user: &UserName) -> Option<&Reservation> {
        self.held.values().find(|r| r.user == *user && r.is_live())
    }

    /// A held reservation by id, in any state.
    #[must_use]
    pub fn get(&self, id: &ReservationId) -> Option<&Reservation> {
        self.held.values().find(|r| r.id == *id)
    }

    /// Everything held, by slot.
    pub fn held(&self) -> impl Iterator<Item = &Reservation> {
        self.held.values()
    }

    /// How the user's last reservation ended.
    #[must_use]
    pub fn last_of(&self, user: &UserName) -> Option<&Ended> {
        self.last.get(user)
    }

    /// Remembers how reservations ended before this book was opened.
    pub fn remember(&mut self, ended: Ended) {
        self.last.insert(ended.user.clone(), ended);
    }

    /// Gives a slot to a user, or says why not.
    ///
    /// # Errors
    /// Any [`Refusal`] about slots and machines.
    pub fn claim(&mut self, claim: &Claim, now: Timestamp) -> Result<Claimed, Refusal> {
        if let Some(mine) = self.of(&claim.user) {
            return if claim.target.matches(&mine.slot) {
                Ok(Claimed::Already(mine.clone()))
            } else {
                Err(Refusal::HoldsAnother { slot: mine.slot.clone(), deadline: mine.deadline })
            };
        }
        self.check_automatic(claim)?;
        let slot = self.choose(&claim.target)?;
        let lifetime = jiff::SignedDuration::try_from(claim.lifetime).unwrap_or(jiff::SignedDuration::MAX);
        let reservation = Reservation {
            id: ReservationId::new(),
            user: claim.user.clone(),
            slot: slot.clone(),
            started: now,
            deadline: now.checked_add(lifetime).unwrap_or(Timestamp::MAX),
            state: State::Starting,
        };
        self.held.insert(slot, reservation.clone());
        Ok(Claimed::New(reservation))
    }

    /// A forgotten editor that reconnects all night must not take a new GPU.
    fn check_automatic(&self, claim: &Claim) -> Result<(), Refusal> {
        if claim.cause == Cause::Explicit {
            return Ok(());
        }
        if !claim.auto_reserve {
            return Err(Refusal::AutoReserveOff);
        }
        match self.last.get(&claim.user) {
            Some(last) if matches!(last.reason, EndReason::Expired | EndReason::Idle | EndReason::Admin) => {
                Err(Refusal::ExpiredBefore { slot: last.slot.clone(), at: last.at })
            }
            _ => Ok(()),
        }
    }

    fn choose(&self, target: &Target) -> Result<SlotId, Refusal> {
        match target {
            Target::Slot(slot) => self.choose_slot(slot),
            Target::Machine(name) => {
                let machine = self.machine(name)?;
                usable(machine)?;
                self.free_slots(machine).next().ok_or_else(|| self.full(Some(name)))
            }
            Target::Any => self.choose_any(),
        }
    }

    fn choose_slot(&self, slot: &SlotId) -> Result<SlotId, Refusal> {
        let machine = self.machine(&slot.machine)?;
        if !machine.plan.slots.iter().any(|plan| plan.id == *slot) {
            return Err(Refusal::UnknownSlot(slot.clone()));
        }
        if let Some(holder) = self.held.get(slot) {
            return Err(Refusal::Taken {
                slot: slot.clone(),
                by: holder.user.clone(),
                frees: holder.is_live().then_some(holder.deadline),
            });
        }
        usable(machine)?;
        Ok(slot.clone())
    }

    /// The machine with most free slots; the first in the configuration among equals.
    fn choose_any(&self) -> Result<SlotId, Refusal> {
        let mut best: Option<(usize, SlotId)> = None;
        for machine in self.machines.iter().filter(|m| usable(m).is_ok()) {
            let mut free = self.free_slots(machine);
            if let Some(first) = free.next() {
                let count = 1 + free.count();
                if best.as_ref().is_none_or(|(most, _)| count > *most) {
                    best = Some((count, first));
                }
            }
        }
        if let Some((_, slot)) = best {
            return Ok(slot);
        }
        match self.machines.as_slice() {
            // With one machine its own trouble is the better answer.
            [only] => Err(usable(only).err().unwrap_or_else(|| self.full(None))),
            _ => Err(self.full(None)),
        }
    }

    fn free_slots<'a>(&'a self, machine: &'a Machine) -> impl Iterator<Item = SlotId> + 'a {
        machine.plan.slots.iter().map(|plan| plan.id.clone()).filter(|id| !self.held.contains_key(id))
    }

    fn full(&self, machine: Option<&MachineName>) -> Refusal {
        let frees = self
            .held
            .values()
            .filter(|r| machine.is_none_or(|name| r.slot.machine == *name))
            .min_by_key(|r| r.deadline)
            .map(|r| (r.slot.clone(), r.deadline));
        Refusal::Full { machine: machine.cloned(), frees }
    }

    fn machine(&self, name: &MachineName) -> Result<&Machine, Refusal> {
        self.machines
            .iter()
            .find(|m| m.plan.name == *name)
            .ok_or_else(|| Refusal::UnknownMachine(name.to_string()))
    }

    /// The container runs. False when the reservation is no longer `Starting`: its starter must clean up.
    pub fn activate(&mut self, id: &ReservationId) -> bool {
        match self.held.values_mut().find(|r| r.id == *id) {
            Some(reservation) if reservation.state == State::Starting => {
                reservation.state = State::Active;
                true
            }
            _ => false,
        }
    }

    /// Begins the end. Returns the reservation as it was, if it was live; ending twice is ending once.
    pub fn begin_end(&mut self, id: &ReservationId, reason: EndReason) -> Option<Reservation> {
        let reservation = self.held.values_mut().find(|r| r.id == *id && r.is_live())?;
        let before = reservation.clone();
        reservation.state = State::Ending(reason);
        Some(before)
    }

    /// The container is gone: the slot is free again. The reason of [`Book::begin_end`] wins over this one.
    pub fn finish(
        &mut self,
        id: &ReservationId,
        reason: EndReason,
        detail: Option<String>,
        now: Timestamp,
    ) -> Option<Ended> {
        let slot = self.held.values().find(|r| r.id == *id)?.slot.clone();
        let reservation = self.held.remove(&slot)?;
        let reason = match reservation.state {
            State::Ending(first) => first,
            State::Starting | State::Active => reason,
        };
        let ended = Ended { id: reservation.id, user: reservation.user, slot, at: now, reason, detail };
        self.remember(ended.clone());
        Some(ended)
    }

    /// Takes in a reservation that was found running. The container is the truth: whatever the book
    /// held in that slot under another id is dropped and returned.
    pub fn adopt(&mut self, found: Reservation) -> Option<Reservation> {
        match self.held.get(&found.slot) {
            Some(known) if known.id == found.id => None,
            _ => self.held.insert(found.slot.clone(), found),
        }
    }

    /// Notes that a machine answers (`None`) or why it does not. True when that is news.
    pub fn set_offline(&mut self, name: &MachineName, reason: Option<String>) -> bool {
        match self.machines.iter_mut().find(|m| m.plan.name == *name) {
            Some(machine) if machine.offline != reason => {
                machine.offline = reason;
                true
            }
            _ => false,
        }
    }

    /// Stops or resumes new reservations on a machine. False when there is no such machine.
    pub fn set_draining(&mut self, name: &MachineName, draining: bool) -> bool {
        match self.machines.iter_mut().find(|m| m.plan.name == *name) {
            Some(machine) => {
                machine.draining = draining;
                true
            }
            None => false,
        }
    }

    /// Why a machine cannot be used, if it cannot.
    #[must_use]
    pub fn offline(&self, name: &MachineName) -> Option<&str> {
        self.machines.iter().find(|m| m.plan.name == *name)?.offline.as_deref()
    }

    /// Live reservations whose time is over.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Vec<Reservation> {
        self.held.values().filter(|r| r.is_live() && r.deadline <= now).cloned().collect()
    }

    /// When the next live reservation is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.held.values().filter(|r| r.is_live()).map(|r| r.deadline).min()
    }

    /// A picture of it all.
    #[must_use]
    pub fn view(&self, now: Timestamp) -> ClusterView {
        let machines = self.machines.iter().map(|machine| self.machine_view(machine)).collect();
        ClusterView { cluster: self.cluster.clone(), now, machines }
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
        match self.held.get(id) {
            Some(r) => match r.state {
                State::Starting => SlotState::Starting { user: r.user.clone(), deadline: r.deadline },
                State::Active => SlotState::Reserved { user: r.user.clone(), deadline: r.deadline },
                State::Ending(_) => SlotState::Ending { user: r.user.clone() },
            },
            None if machine.offline.is_some() => SlotState::Offline,
            None if machine.draining => SlotState::Draining,
            None => SlotState::Free,
        }
    }
}

fn usable(machine: &Machine) -> Result<(), Refusal> {
    let name = || machine.plan.name.clone();
    match &machine.offline {
        Some(reason) => Err(Refusal::Offline { machine: name(), reason: reason.clone() }),
        None if machine.draining => Err(Refusal::Draining(name())),
        None => Ok(()),
    }
}
