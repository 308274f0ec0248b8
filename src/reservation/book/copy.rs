//! What one gateway tells another of its book: the one that takes over, and then the one that was replaced.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::super::lifecycle::{Ended, Reservation};
use super::super::names::MachineName;
use super::super::queue::Queue;
use super::Book;

/// A copy of a book's facts. Machines and slots are not among them: each gateway has its own configuration.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Picture {
    held: Vec<Reservation>,
    last: Vec<Ended>,
    machines: Vec<Standing>,
    #[serde(default)]
    queue: Queue,
    /// Both gateways live in the same life of the machine.
    #[serde(default)]
    offset: Option<SignedDuration>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Standing {
    name: MachineName,
    offline: Option<String>,
    draining: bool,
}

impl Picture {
    /// What is held in it.
    #[must_use]
    pub fn held(&self) -> &[Reservation] {
        &self.held
    }
}

impl Book {
    /// Everything that is held, and what has ended since.
    #[must_use]
    pub fn picture(&self, since: Timestamp) -> Picture {
        let standing = |machine: &super::Machine| Standing {
            name: machine.plan.name.clone(),
            offline: machine.offline.clone(),
            draining: machine.draining,
        };
        Picture {
            held: self.held.values().cloned().collect(),
            last: self.last.values().filter(|ended| ended.at >= since).cloned().collect(),
            machines: self.machines.iter().map(standing).collect(),
            queue: self.queue.clone(),
            offset: self.offset,
        }
    }

    /// Takes another gateway's word for everything.
    pub fn copy(&mut self, picture: Picture) {
        self.held = picture.held.into_iter().map(|r| (r.slot.clone(), r)).collect();
        for ended in picture.last {
            self.remember(ended);
        }
        for standing in picture.machines {
            self.set_offline(&standing.name, standing.offline);
            self.set_draining(&standing.name, standing.draining);
        }
        self.queue = picture.queue;
        self.offset = picture.offset;
    }
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use crate::reservation::{MachinePlan, SlotPlan, State, Target};

    fn book() -> Book {
        let slots = (1..=2).map(|n| SlotPlan { id: format!("gpu1/{n}").parse().unwrap(), gpus: vec![] });
        let plan = MachinePlan { name: "gpu1".parse().unwrap(), label: None, slots: slots.collect() };
        Book::new("lab".into(), vec![plan], "not asked")
    }

    #[test]
    fn a_copy_says_the_same_and_forgets_what_it_held() {
        let (now, gpu1) = (Timestamp::UNIX_EPOCH, "gpu1".parse().unwrap());
        let mut one = book();
        one.set_offline(&gpu1, None);
        let claim = |user: &str| Claim {
            user: user.parse().unwrap(),
            target: Target::Any,
            cause: Cause::Explicit,
            lifetime: std::time::Duration::from_secs(60),
            auto_reserve: true,
        };
        let Ok(Claimed::New(ada)) = one.claim(&claim("ada"), now) else { panic!("a free slot") };
        let Ok(Claimed::New(bob)) = one.claim(&claim("bob"), now) else { panic!("a free slot") };
        one.begin_end(&bob.id, EndReason::Released);
        let mut two = book();
        two.set_offline(&gpu1, None);
        two.claim(&claim("eve"), now).unwrap();
        let wire = serde_json::to_string(&one.picture(now)).unwrap();
        two.copy(serde_json::from_str(&wire).unwrap());
        assert_eq!(two.view(now), one.view(now));
        assert_eq!(two.get(&bob.id).unwrap().state, State::Ending(EndReason::Released));
        let ended = one.finish(&ada.id, EndReason::Failed, None, now).unwrap();
        two.copy(one.picture(now));
        assert_eq!(two.last_of(&ended.user), Some(&ended));
        assert!(two.of(&ended.user).is_none());
    }
}
