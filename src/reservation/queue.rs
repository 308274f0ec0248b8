//! The queue: who waits for what, in which order, and for whom a free slot is held.
//!
//! First come, first served for each slot: one who waits for gpu1 does not stop one who waits for any
//! when gpu2 frees. Whoever's turn it is has the slot held for a while; whoever does not come in that time
//! goes out, so that nobody waits behind somebody who sleeps.
//!
//! ```text
//!        join            assign              claim
//!  (out) ────▶ waiting ─────────▶ held for ────────▶ (a reservation)
//!                 ▲                  │  │
//!                 └──────────────────┘  └───────────▶ (out, told so)
//!                    give_back             drop_late
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::clock::moved;
use super::names::{SlotId, UserName};
use super::plan::Target;

/// How long somebody is told that their turn has passed.
const TOLD_FOR: SignedDuration = SignedDuration::from_hours(24);
/// As many may wait. More than any cluster has students; a bound all the same.
const MOST: usize = 10_000;

/// Somebody who waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Who.
    pub user: UserName,
    /// For what.
    pub target: Target,
    /// Since when.
    pub since: Timestamp,
    /// The slot that is held for them: it is their turn.
    pub hold: Option<Hold>,
}

/// A free slot that is held for the one whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Which.
    pub slot: SlotId,
    /// Until when.
    pub until: Timestamp,
}

/// A turn that passed unused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// What was held.
    pub slot: SlotId,
    /// Until when.
    pub at: Timestamp,
}

/// Who waits, in order. All time is passed in.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Queue {
    waiting: Vec<Waiting>,
    missed: BTreeMap<UserName, Missed>,
    revision: u64,
}

impl Queue {
    /// As it was before a restart. Nothing is held yet: that follows from the order.
    pub(super) fn restored(waiting: Vec<Waiting>, missed: BTreeMap<UserName, Missed>) -> Self {
        let waiting = waiting.into_iter().map(|waiting| Waiting { hold: None, ..waiting }).collect();
        Self { waiting, missed, revision: 0 }
    }

    /// In order.
    #[must_use]
    pub fn waiting(&self) -> &[Waiting] {
        &self.waiting
    }

    /// One user's place.
    #[must_use]
    pub fn get(&self, user: &UserName) -> Option<&Waiting> {
        self.waiting.iter().find(|waiting| waiting.user == *user)
    }

    /// Whose turn passed unused.
    #[must_use]
    pub fn missed(&self) -> &BTreeMap<UserName, Missed> {
        &self.missed
    }

    /// Changes whenever there is something to write down.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// For whom a slot is held.
    #[must_use]
    pub fn holder(&self, slot: &SlotId) -> Option<&Waiting> {
        self.waiting.iter().find(|w| w.hold.as_ref().is_some_and(|hold| hold.slot == *slot))
    }

    /// When the next hold is over.
    #[must_use]
    pub fn next_end(&self) -> Option<Timestamp> {
        self.waiting.iter().filter_map(|waiting| waiting.hold.as_ref()).map(|hold| hold.until).min()
    }

    /// Joins at the end. Asking again for the same keeps the place; asking for something else is joining anew,
    /// because others have waited longer for that. False when the queue takes nobody more.
    pub(super) fn join(&mut self, user: &UserName, target: Target, now: Timestamp) -> bool {
        if self.get(user).is_some_and(|waiting| waiting.target == target) {
            return true;
        }
        self.leave(user);
        if self.waiting.len() >= MOST {
            return false;
        }
        self.waiting.push(Waiting { user: user.clone(), target, since: now, hold: None });
        self.touch();
        true
    }

    /// Leaves, with what was held. What is told of a missed turn is over too.
    pub(super) fn leave(&mut self, user: &UserName) -> Option<Waiting> {
        if self.missed.remove(user).is_some() {
            self.touch();
        }
        let at = self.waiting.iter().position(|waiting| waiting.user == *user)?;
        self.touch();
        Some(self.waiting.remove(at))
    }

    /// Whoever did not come while their slot was held goes out.
    pub(super) fn drop_late(&mut self, now: Timestamp) {
        let late = |waiting: &Waiting| waiting.hold.clone().filter(|hold| hold.until <= now);
        for (user, hold) in self.waiting.iter().filter_map(|w| Some((w.user.clone(), late(w)?))) {
            self.missed.insert(user, Missed { slot: hold.slot, at: hold.until });
        }
        let (waiting, missed) = (self.waiting.len(), self.missed.len());
        self.waiting.retain(|waiting| late(waiting).is_none());
        self.missed.retain(|_, missed| now.duration_since(missed.at) < TOLD_FOR);
        if self.waiting.len() != waiting || self.missed.len() != missed {
            self.touch();
        }
    }

    /// Whoever's held slot can no longer be used waits on in their place.
    pub(super) fn give_back(&mut self, is_free: impl Fn(&SlotId) -> bool) {
        for waiting in &mut self.waiting {
            if waiting.hold.as_ref().is_some_and(|hold| !is_free(&hold.slot)) {
                waiting.hold = None;
                self.revision = self.revision.wrapping_add(1);
            }
        }
    }

    /// Holds free slots for those who have waited longest, until the moment given.
    pub(super) fn assign(&mut self, mut free: Vec<SlotId>, until: Timestamp) {
        free.retain(|slot| self.holder(slot).is_none());
        for at in 0..self.waiting.len() {
            let Some(slot) = self.best(at, &free) else { continue };
            free.retain(|other| *other != slot);
            if let Some(waiting) = self.waiting.get_mut(at) {
                waiting.hold = Some(Hold { slot, until });
                self.touch();
            }
        }
    }

    /// The slot for the one at this place: the one that fewest others can only have, then one of the freest machine.
    fn best(&self, at: usize, free: &[SlotId]) -> Option<SlotId> {
        let me = self.waiting.get(at).filter(|me| me.hold.is_none())?;
        let narrower = |slot: &SlotId| {
            let behind = self.waiting.iter().skip(at.saturating_add(1));
            behind.filter(|w| w.hold.is_none() && w.target != Target::Any && w.target.matches(slot)).count()
        };
        let crowded = |slot: &SlotId| {
            usize::MAX.saturating_sub(free.iter().filter(|other| other.machine == slot.machine).count())
        };
        let mine = free.iter().filter(|slot| me.target.matches(slot));
        mine.min_by_key(|slot| (narrower(slot), crowded(slot))).cloned()
    }

    /// The wall clock has been set.
    pub(super) fn shift(&mut self, by: SignedDuration) {
        for waiting in &mut self.waiting {
            waiting.since = moved(waiting.since, by);
            if let Some(hold) = &mut waiting.hold {
                hold.until = moved(hold.until, by);
            }
        }
        for missed in self.missed.values_mut() {
            missed.at = moved(missed.at, by);
        }
        self.touch();
    }

    fn touch(&mut self) {
        self.revision = self.revision.wrapping_add(1);
    }
}

/// How long things take, as the site has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// How long a reservation lasts: how long those ahead may take.
    pub lifetime: Duration,
    /// How long a free slot is held for the one whose turn it is.
    pub hold: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self { lifetime: Duration::from_secs(8 * 3600), hold: Duration::from_secs(5 * 60) }
    }
}
