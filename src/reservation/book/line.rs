//! The book's side of the queue: who may join it, which slots go to it, and when it should be whose turn.
//!
//! Invariants, checked by the property tests in `tests/line.rs`: a held slot goes to nobody but its holder; nobody is
//! given a slot while somebody who asked for the same has waited longer; once settled, nobody waits for a slot that is
//! free and held for nobody.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::{Book, usable};
use crate::reservation::clock::moved;
use crate::reservation::names::{SlotId, UserName};
use crate::reservation::plan::Target;
use crate::reservation::queue::{Missed, Queue, Times, Waiting};
use crate::reservation::refusal::Refusal;
use crate::reservation::view::{HoldView, WaitingView};

impl Book {
    /// How long things take here.
    pub fn set_times(&mut self, times: Times) {
        self.times = times;
    }

    /// The queue as it was written down.
    pub fn restore_queue(&mut self, waiting: Vec<Waiting>, missed: BTreeMap<UserName, Missed>) {
        self.queue = Queue::restored(waiting, missed);
        for user in self.held.values().filter(|r| r.is_live()).map(|r| &r.user) {
            self.queue.leave(user);
        }
    }

    /// Who waits.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// A place in the queue; asking again for the same keeps it. Also for what cannot be used at present:
    /// machines come back.
    ///
    /// # Errors
    /// [`Refusal::HoldsAnother`], [`Refusal::UnknownMachine`], [`Refusal::UnknownSlot`], [`Refusal::QueueFull`]
    pub fn join(&mut self, user: &UserName, target: &Target, now: Timestamp) -> Result<(), Refusal> {
        self.check_target(target)?;
        if let Some(mine) = self.of(user) {
            return Err(Refusal::HoldsAnother { slot: mine.slot.clone(), deadline: mine.deadline });
        }
        if !self.queue.join(user, target.clone(), now) {
            return Err(Refusal::QueueFull);
        }
        self.settle(now);
        Ok(())
    }

    /// Gives up a place in the queue, and what was held.
    ///
    /// # Errors
    /// [`Refusal::NotQueued`]
    pub fn leave(&mut self, user: &UserName, now: Timestamp) -> Result<(), Refusal> {
        self.queue.leave(user).ok_or(Refusal::NotQueued)?;
        self.settle(now);
        Ok(())
    }

    /// Lets late ones go and holds what is free for those whose turn it is. True when something changed.
    pub fn settle(&mut self, now: Timestamp) -> bool {
        let before = self.queue.revision();
        let free: Vec<SlotId> = self.free_for_the_queue();
        self.queue.drop_late(now);
        self.queue.give_back(|slot| free.contains(slot));
        let hold = SignedDuration::try_from(self.times.hold).unwrap_or(SignedDuration::MAX);
        self.queue.assign(free, moved(now, hold));
        self.queue.revision() != before
    }

    /// Slots that nobody has, on machines that can be used; held or not.
    fn free_for_the_queue(&self) -> Vec<SlotId> {
        let machines = self.machines.iter().filter(|machine| usable(machine).is_ok());
        let slots = machines.flat_map(|machine| &machine.plan.slots).map(|plan| plan.id.clone());
        slots.filter(|id| !self.held.contains_key(id)).collect()
    }

    /// The queue as people are shown it, in order.
    #[must_use]
    pub fn line(&self, now: Timestamp) -> Vec<WaitingView> {
        let mut frees = self.frees(now);
        let waiting = self.queue.waiting();
        let view = |(at, me): (usize, &Waiting)| {
            let ahead = waiting.iter().take(at).filter(|w| w.hold.is_none() && w.target.overlaps(&me.target));
            WaitingView {
                user: me.user.clone(),
                target: (me.target != Target::Any).then(|| me.target.to_string()),
                since: me.since,
                place: if me.hold.is_some() { 0 } else { ahead.count().saturating_add(1) },
                estimate: if me.hold.is_some() { Some(now) } else { self.estimate(&me.target, &mut frees) },
                held: me.hold.as_ref().map(|h| HoldView { slot: h.slot.clone(), until: h.until }),
            }
        };
        waiting.iter().enumerate().map(view).collect()
    }

    /// When each slot that can be used is free at the latest; those that are held for somebody, after them.
    fn frees(&self, now: Timestamp) -> HashMap<SlotId, Timestamp> {
        let machines = self.machines.iter().filter(|machine| usable(machine).is_ok());
        let slots = machines.flat_map(|machine| &machine.plan.slots);
        let free = |id: &SlotId| match self.held.get(id) {
            Some(r) if r.is_live() => r.deadline.max(now),
            Some(_) => now,
            None if self.queue.holder(id).is_some() => self.after_one_more(now),
            None => now,
        };
        slots.map(|plan| (plan.id.clone(), free(&plan.id))).collect()
    }

    /// Those ahead take what frees first for them, for as long as they may.
    fn estimate(&self, target: &Target, frees: &mut HashMap<SlotId, Timestamp>) -> Option<Timestamp> {
        let mine = frees.iter_mut().filter(|(slot, _)| target.matches(slot));
        let (_, free) = mine.min_by(|(one, at), (two, then)| (&**at, one).cmp(&(&**then, two)))?;
        let turn = *free;
        *free = self.after_one_more(turn);
        Some(turn)
    }

    fn after_one_more(&self, time: Timestamp) -> Timestamp {
        moved(time, SignedDuration::try_from(self.times.lifetime).unwrap_or(SignedDuration::MAX))
    }
}
