//! What of a container's use somebody must be told, once for each time it happens. Pure.

use super::report::{Gpus, Usage};

/// From here on a store counts as full, in percent; it counts as emptied again only below the second.
const FULL: u64 = 99;
const ROOM_AGAIN: u64 = 97;

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alarm {
    /// The kernel has killed so many processes: memory was over.
    OutOfMemory {
        /// How many since the last look.
        kills: u64,
        /// The limit in bytes.
        limit: Option<u64>,
    },
    /// A process could not be started: there are too many.
    TooManyProcesses {
        /// The limit.
        limit: Option<u64>,
    },
    /// A store is full.
    StoreFull {
        /// Where.
        target: String,
        /// In percent.
        percent: u64,
    },
    /// A store does not answer.
    StoreSilent {
        /// Where.
        target: String,
    },
    /// More GPU memory is used than the slot's share.
    OverBudget {
        /// Bytes used.
        used: u64,
        /// Bytes of the share.
        budget: u64,
    },
    /// GPUs of the slot do not answer any more.
    GpusLost {
        /// So many should be there.
        wanted: usize,
        /// So many are.
        found: usize,
    },
}

/// What has been told already.
#[derive(Debug, Default)]
pub struct Alarms {
    before: Option<(u64, u64)>,
    full: Vec<String>,
    silent: Vec<String>,
    over_budget: bool,
    gpus_lost: bool,
}

impl Alarms {
    /// What is new since the last look. `wanted`: how many GPUs the slot has.
    pub fn look(&mut self, usage: &Usage, wanted: usize) -> Vec<Alarm> {
        let mut alarms = self.counters(usage);
        self.stores(usage, &mut alarms);
        self.budget(usage, &mut alarms);
        self.gpus(&usage.gpus, wanted, &mut alarms);
        alarms
    }

    fn counters(&mut self, usage: &Usage) -> Vec<Alarm> {
        // Whoever begins to look is not told of what happened before.
        let now = (usage.oom_kills, usage.forks_refused);
        let (kills, forks) = self.before.replace(now).unwrap_or(now);
        let mut alarms = Vec::new();
        if usage.oom_kills > kills {
            let limit = usage.memory.and_then(|memory| memory.limit);
            alarms.push(Alarm::OutOfMemory { kills: usage.oom_kills - kills, limit });
        }
        if usage.forks_refused > forks {
            alarms.push(Alarm::TooManyProcesses { limit: usage.processes.and_then(|p| p.limit) });
        }
        alarms
    }

    fn stores(&mut self, usage: &Usage, alarms: &mut Vec<Alarm>) {
        for store in &usage.stores {
            let (target, percent) = (&store.target, store.state.percent());
            if let Some(percent) = percent {
                self.silent.retain(|told| told != target);
                if percent < ROOM_AGAIN {
                    self.full.retain(|told| told != target);
                } else if percent >= FULL && !self.full.contains(target) {
                    self.full.push(target.clone());
                    alarms.push(Alarm::StoreFull { target: target.clone(), percent });
                }
            } else if !self.silent.contains(target) {
                self.silent.push(target.clone());
                alarms.push(Alarm::StoreSilent { target: target.clone() });
            }
        }
    }

    fn budget(&mut self, usage: &Usage, alarms: &mut Vec<Alarm>) {
        let Some(budget) = usage.budget else { return };
        // Not known right now is no reason to be told again.
        let Some(used) = budget.used else { return };
        if budget.is_over() && !self.over_budget {
            alarms.push(Alarm::OverBudget { used, budget: budget.bytes });
        }
        self.over_budget = budget.is_over();
    }

    fn gpus(&mut self, gpus: &Gpus, wanted: usize, alarms: &mut Vec<Alarm>) {
        let Some(found) = gpus.count() else { return };
        if found < wanted && !self.gpus_lost {
            alarms.push(Alarm::GpusLost { wanted, found });
        }
        self.gpus_lost = found < wanted;
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::{Amount, Budget, Store, StoreState};
    use super::*;

    #[test]
    fn each_rise_is_told_once() {
        let mut alarms = Alarms::default();
        let mut usage = Usage { oom_kills: 4, ..Usage::default() };
        usage.memory = Some(Amount { used: 1, limit: Some(8) });
        assert_eq!(alarms.look(&usage, 0), [], "what was before is not told");
        usage.oom_kills = 6;
        assert_eq!(alarms.look(&usage, 0), [Alarm::OutOfMemory { kills: 2, limit: Some(8) }]);
        assert_eq!(alarms.look(&usage, 0), []);
        let budget = |used| Some(Budget { bytes: 100, used });
        for (used, expected) in [(Some(101), 1), (Some(150), 0), (None, 0), (Some(160), 0), (Some(90), 0)] {
            usage.budget = budget(used);
            assert_eq!(alarms.look(&usage, 0).len(), expected, "{used:?}");
        }
        usage.budget = budget(Some(101));
        assert_eq!(alarms.look(&usage, 0), [Alarm::OverBudget { used: 101, budget: 100 }]);
    }

    #[test]
    fn a_full_store_is_told_again_only_after_there_was_room() {
        let mut alarms = Alarms::default();
        let store = |used| Usage {
            stores: vec![Store { target: "/storage".into(), state: StoreState::Space { used, total: 1000 } }],
            ..Usage::default()
        };
        let told: Vec<usize> =
            [980, 990, 1000, 975, 990, 960, 995, 1000].map(|used| alarms.look(&store(used), 0).len()).into();
        assert_eq!(told, [0, 1, 0, 0, 0, 0, 1, 0]);
        let silent = Usage {
            stores: vec![Store { target: "/storage".into(), state: StoreState::Silent { seconds: 9 } }],
            ..Usage::default()
        };
        assert_eq!(alarms.look(&silent, 0), [Alarm::StoreSilent { target: "/storage".into() }]);
        assert_eq!(alarms.look(&silent, 0), []);
    }

    #[test]
    fn lost_gpus_are_told_unless_nothing_is_known() {
        let mut alarms = Alarms::default();
        let usage = |gpus| Usage { gpus, ..Usage::default() };
        assert_eq!(alarms.look(&usage(Gpus::Unknown), 1), []);
        let silent = usage(Gpus::Silent { seconds: 9 });
        assert_eq!(alarms.look(&silent, 1), [Alarm::GpusLost { wanted: 1, found: 0 }]);
        assert_eq!(alarms.look(&silent, 1), []);
        assert_eq!(alarms.look(&usage(Gpus::None), 0), []);
    }
}
