//! The book of reservations: pure rules over plain data.
//!
//! Invariants, checked by the property test at the end of `book/tests.rs`:
//! a slot is held by at most one reservation; a user has at most one live reservation;
//! what is held was claimed or adopted and has not been finished. Those of the queue: `book/line.rs`.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::clock::{self, Moment};
use super::lifecycle::{Cause, EndReason, Ended, Reservation, State};
use super::names::{MachineName, ReservationId, SlotId, UserName};
use super::plan::{MachinePlan, Target};
use super::queue::{Queue, Times};
use super::refusal::Refusal;

mod copy;
mod line;
mod picture;
#[cfg(test)]
mod tests;

pub use copy::Picture;

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
    queue: Queue,
    times: Times,
    /// Between the two clocks when they were last looked at.
    offset: Option<SignedDuration>,
}

/// What taking in a found reservation did to others.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// What the book held in that slot: it cannot be there, and is gone from the book.
    pub displaced: Option<Reservation>,
    /// The same user's older one, now ending: its container has to be closed.
    pub rival: Option<Reservation>,
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
            queue: Queue::default(),
            times: Times::default(),
            offset: None,
        }
    }

    /// Has the clocks looked at. When the wall clock has been set, everything that lasts is moved with it.
    pub fn observe(&mut self, now: Moment) -> Option<SignedDuration> {
        let before = self.offset.get_or_insert(now.offset());
        let step = clock::step(*before, now.offset())?;
        *before = now.offset();
        for reservation in self.held.values_mut() {
            reservation.deadline = clock::moved(reservation.deadline, step);
        }
        self.queue.shift(step);
        Some(step)
    }

    /// Between the two clocks, as they stood when the deadlines were last right; `None` before the first look.
    #[must_use]
    pub fn offset(&self) -> Option<SignedDuration> {
        self.offset
    }

    /// How the clocks stood when what the book holds was written down, in this same life of the machine.
    pub fn set_offset(&mut self, offset: SignedDuration) {
        self.offset = Some(offset);
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
        self.check_target(&claim.target)?;
        // First those who were there first.
        self.settle(now);
        if let Some(mine) = self.of(&claim.user) {
            return if claim.target.matches(&mine.slot) {
                Ok(Claimed::Already(mine.clone()))
            } else {
                Err(Refusal::HoldsAnother { slot: mine.slot.clone(), deadline: mine.deadline })
            };
        }
        self.check_automatic(claim)?;
        let slot = self.choose(claim)?;
        let lifetime = jiff::SignedDuration::try_from(claim.lifetime).unwrap_or(jiff::SignedDuration::MAX);
        let reservation = Reservation {
            id: ReservationId::new(),
            user: claim.user.clone(),
            slot: slot.clone(),
            started: now,
            deadline: now.checked_add(lifetime).unwrap_or(Timestamp::MAX),
            state: State::Starting,
        };
        self.queue.leave(&claim.user);
        self.held.insert(slot, reservation.clone());
        Ok(Claimed::New(reservation))
    }

    /// Is there such a place at all?
    ///
    /// # Errors
    /// [`Refusal::UnknownMachine`], [`Refusal::UnknownSlot`]
    pub fn check_target(&self, target: &Target) -> Result<(), Refusal> {
        match target {
            Target::Any => Ok(()),
            Target::Machine(name) => self.machine(name).map(|_| ()),
            Target::Slot(slot) => match self.machine(&slot.machine)?.plan.slots.iter().any(|p| p.id == *slot)
            {
                true => Ok(()),
                false => Err(Refusal::UnknownSlot(slot.clone())),
            },
        }
    }

    /// A forgotten editor that reconnects all night must not take a new GPU.
    fn check_automatic(&self, claim: &Claim) -> Result<(), Refusal> {
        if claim.cause == Cause::Explicit {
            return Ok(());
        }
        if !claim.auto_reserve {
            return Err(Refusal::AutoReserveOff);
        }
        // Whoever waited has chosen.
        if self.held_for(claim).is_some() {
            return Ok(());
        }
        match self.last.get(&claim.user) {
            Some(last) if matches!(last.reason, EndReason::Expired | EndReason::Idle | EndReason::Admin) => {
                Err(Refusal::ExpiredBefore { slot: last.slot.clone(), at: last.at })
            }
            _ => Ok(()),
        }
    }

    fn choose(&self, claim: &Claim) -> Result<SlotId, Refusal> {
        if let Some(slot) = self.held_for(claim) {
            return Ok(slot);
        }
        match &claim.target {
            Target::Slot(slot) => self.choose_slot(slot),
            Target::Machine(name) => {
                let machine = self.machine(name)?;
                usable(machine)?;
                self.free_slots(machine).next().ok_or_else(|| self.full(&claim.target))
            }
            Target::Any => self.choose_any(),
        }
    }

    /// What is held for the one who claims, where it is what they ask for.
    fn held_for(&self, claim: &Claim) -> Option<SlotId> {
        let hold = self.queue.get(&claim.user)?.hold.as_ref()?;
        claim.target.matches(&hold.slot).then(|| hold.slot.clone())
    }

    fn choose_slot(&self, slot: &SlotId) -> Result<SlotId, Refusal> {
        if let Some(holder) = self.held.get(slot) {
            return Err(Refusal::Taken {
                slot: slot.clone(),
                by: holder.user.clone(),
                frees: holder.is_live().then_some(holder.deadline),
            });
        }
        usable(self.machine(&slot.machine)?)?;
        match self.queue.holder(slot) {
            Some(_) => Err(self.full(&Target::Slot(slot.clone()))),
            None => Ok(slot.clone()),
        }
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
            [only] => Err(usable(only).err().unwrap_or_else(|| self.full(&Target::Any))),
            _ => Err(self.full(&Target::Any)),
        }
    }

    /// Neither taken nor held for anybody.
    fn free_slots<'a>(&'a self, machine: &'a Machine) -> impl Iterator<Item = SlotId> + 'a {
        let slots = machine.plan.slots.iter().map(|plan| plan.id.clone());
        slots.filter(|id| !self.held.contains_key(id) && self.queue.holder(id).is_none())
    }

    fn full(&self, target: &Target) -> Refusal {
        let machine = match target {
            Target::Any => None,
            Target::Machine(name) => Some(name.clone()),
            Target::Slot(slot) => Some(slot.machine.clone()),
        };
        let wanted = self.held.values().filter(|r| target.matches(&r.slot));
        let frees = wanted.min_by_key(|r| r.deadline).map(|r| (r.slot.clone(), r.deadline));
        match self.queue.waiting().iter().find_map(|w| Some((w, w.hold.as_ref()?))) {
            Some((first, hold)) if frees.is_none() && target.matches(&hold.slot) => {
                Refusal::Held { slot: hold.slot.clone(), user: first.user.clone(), until: hold.until }
            }
            _ => Refusal::Full { machine, frees },
        }
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

    /// Takes in a reservation that was found running, or that was written down as running. The container is the
    /// truth: whatever the book held in that slot under another id is dropped. Of two of one user (the ledger
    /// was lost or old) the younger lives, because that is where they work now; the other begins to end.
    pub fn adopt(&mut self, mut found: Reservation) -> Adopted {
        if self.held.get(&found.slot).is_some_and(|known| known.id == found.id) {
            return Adopted::default();
        }
        let displaced = self.held.remove(&found.slot);
        self.queue.leave(&found.user);
        let other = self.held.values_mut().find(|r| r.user == found.user && r.is_live());
        let rival = match other {
            Some(other) if found.is_live() && other.id < found.id => {
                let before = other.clone();
                other.state = State::Ending(EndReason::Failed);
                Some(before)
            }
            Some(_) if found.is_live() => {
                let before = found.clone();
                found.state = State::Ending(EndReason::Failed);
                Some(before)
            }
            _ => None,
        };
        self.held.insert(found.slot.clone(), found);
        Adopted { displaced, rival }
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
}

fn usable(machine: &Machine) -> Result<(), Refusal> {
    let name = || machine.plan.name.clone();
    match &machine.offline {
        Some(reason) => Err(Refusal::Offline { machine: name(), reason: reason.clone() }),
        None if machine.draining => Err(Refusal::Draining(name())),
        None => Ok(()),
    }
}
