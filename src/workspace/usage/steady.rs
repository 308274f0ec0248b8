//! Figures for the eye: what only trembles stays as it was, so that a picture of them is not drawn again and again.
//! A figure is never further from the truth than its step.

use crate::agent::usage::report::{Amount, Budget, Gpu, Gpus, Store, StoreState, Usage};

/// Points of a percentage.
const BUSY_STEP: u64 = 5;
/// Degrees.
const CELSIUS_STEP: u64 = 3;
/// What has no limit is as if it had this one at least.
const UNLIMITED: u64 = 1 << 30;
/// Hundredths of a load; of a high one an eighth.
const LOAD_STEP: u64 = 25;

/// The newest look, as it is shown after the one shown before. Without what nobody but the container's user may see.
pub(super) fn steady(shown: Option<&Usage>, new: &Usage) -> Usage {
    let none = Usage::default();
    let shown = shown.unwrap_or(&none);
    Usage {
        gpus: gpus(&shown.gpus, &new.gpus),
        budget: new.budget.map(|budget| share(shown.budget.as_ref(), budget)),
        memory: new.memory.map(|memory| amount(shown.memory, memory)),
        processors_percent: None,
        load_hundredths: new.load_hundredths.map(|load| {
            let step = LOAD_STEP.max(u64::from(load) / 8);
            narrow(kept(shown.load_hundredths.map(u64::from), load.into(), step))
        }),
        machine_memory: new.machine_memory.map(|memory| amount(shown.machine_memory, memory)),
        machine_processors: new.machine_processors,
        processes: None,
        stores: new.stores.iter().map(|store| stores(&shown.stores, store)).collect(),
        oom_kills: new.oom_kills,
        forks_refused: 0,
    }
}

fn gpus(shown: &Gpus, new: &Gpus) -> Gpus {
    match (shown, new) {
        (Gpus::Listed { gpus: before, .. }, Gpus::Listed { gpus, .. }) => {
            let find = |gpu: &Gpu| before.iter().find(|other| other.uuid == gpu.uuid);
            Gpus::Listed { gpus: gpus.iter().map(|new| gpu(find(new), new)).collect(), processes: Vec::new() }
        }
        (_, Gpus::Listed { gpus, .. }) => {
            Gpus::Listed { gpus: gpus.iter().map(|new| gpu(None, new)).collect(), processes: Vec::new() }
        }
        (_, Gpus::Silent { seconds }) => Gpus::Silent { seconds: waited(*seconds) },
        (_, other) => other.clone(),
    }
}

fn gpu(shown: Option<&Gpu>, new: &Gpu) -> Gpu {
    let limit = new.memory_total;
    let used = |gpu: &Gpu| gpu.memory_used.map(|used| Amount { used, limit });
    Gpu {
        memory_used: used(new).map(|memory| amount(shown.and_then(used), memory).used),
        busy_percent: new.busy_percent.map(|busy| {
            let before = shown.and_then(|gpu| gpu.busy_percent).map(u64::from);
            narrow(rounded(before, busy.into(), BUSY_STEP).min(busy.max(100).into()))
        }),
        celsius: new.celsius.map(|celsius| {
            let before = shown.and_then(|gpu| gpu.celsius).map(u64::from);
            narrow(kept(before, celsius.into(), CELSIUS_STEP))
        }),
        ..new.clone()
    }
}

fn share(shown: Option<&Budget>, new: Budget) -> Budget {
    let before = shown.filter(|shown| shown.is_over() == new.is_over()).and_then(|shown| shown.used);
    let used = new.used.map(|used| kept(before, used, step_of(new.bytes)));
    Budget { used, ..new }
}

fn amount(shown: Option<Amount>, new: Amount) -> Amount {
    let step = step_of(new.limit.unwrap_or_else(|| new.used.saturating_mul(8).max(UNLIMITED)));
    let used = rounded(shown.map(|shown| shown.used), new.used, step);
    Amount { used: new.limit.map_or(used, |limit| used.min(limit.max(new.used))), ..new }
}

fn stores(shown: &[Store], new: &Store) -> Store {
    let state = match &new.state {
        StoreState::Space { used, total } => {
            let is_full = |state: &StoreState| state.percent() >= Some(99);
            let before = shown.iter().find(|store| store.target == new.target).map(|store| &store.state);
            let before = before.filter(|state| is_full(state) == is_full(&new.state));
            let before = before.and_then(|state| match state {
                StoreState::Space { used, .. } => Some(*used),
                _ => None,
            });
            StoreState::Space { used: kept(before, *used, step_of(*total)), total: *total }
        }
        StoreState::Silent { seconds } => StoreState::Silent { seconds: waited(*seconds) },
        other => other.clone(),
    };
    Store { target: new.target.clone(), state }
}

/// A power of two of about a hundredth.
fn step_of(whole: u64) -> u64 {
    1 << (whole / 64).max(1).ilog2()
}

fn kept(shown: Option<u64>, new: u64, step: u64) -> u64 {
    shown.filter(|shown| shown.abs_diff(new) < step).unwrap_or(new)
}

/// The same on a scale of such steps.
fn rounded(shown: Option<u64>, new: u64, step: u64) -> u64 {
    match kept(shown, new, step) {
        same if Some(same) == shown => same,
        // A little is not nothing.
        new => {
            let scale = if new < step { (step / 16).max(1) } else { step };
            new.saturating_add(scale / 2) / scale * scale
        }
    }
}

/// Seconds, then minutes.
fn waited(seconds: u32) -> u32 {
    if seconds < 60 { seconds / 10 * 10 } else { seconds / 60 * 60 }
}

fn narrow(figure: u64) -> u32 {
    u32::try_from(figure).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(busy: u32, used: u64, celsius: u32, load: u32) -> Usage {
        let gpu = Gpu {
            index: 0,
            uuid: "GPU-1".into(),
            name: "H100".into(),
            memory_used: Some(used << 20),
            memory_total: Some(80 << 30),
            busy_percent: Some(busy),
            celsius: Some(celsius),
        };
        Usage {
            gpus: Gpus::Listed { gpus: vec![gpu], processes: Vec::new() },
            load_hundredths: Some(load),
            memory: Some(Amount { used: used << 20, limit: Some(256 << 30) }),
            ..Usage::default()
        }
    }

    #[test]
    fn what_trembles_stays_and_what_moves_is_followed() {
        let first = steady(None, &usage(42, 3000, 61, 120));
        let Gpus::Listed { gpus, .. } = &first.gpus else { panic!() };
        assert_eq!((gpus[0].busy_percent, gpus[0].celsius), (Some(40), Some(61)));
        assert_eq!(gpus[0].memory_used, Some(3 << 30), "to the GiB, of 80");
        let mut shown = first.clone();
        for (busy, used, celsius, load) in [(44, 3100, 63, 130), (36, 2900, 59, 110), (43, 3500, 62, 140)] {
            shown = steady(Some(&shown), &usage(busy, used, celsius, load));
            assert_eq!(shown, first);
        }
        let moved = steady(Some(&shown), &usage(46, 9000, 70, 200));
        let Gpus::Listed { gpus, .. } = &moved.gpus else { panic!() };
        assert_eq!((gpus[0].busy_percent, gpus[0].celsius), (Some(45), Some(70)));
        assert_eq!(moved.load_hundredths, Some(200));
        let idle = steady(Some(&steady(None, &usage(5, 0, 30, 0))), &usage(0, 0, 30, 0));
        let Gpus::Listed { gpus, .. } = &idle.gpus else { panic!() };
        assert_eq!(gpus[0].busy_percent, Some(0));
        let small =
            Usage { memory: Some(Amount { used: 5 << 20, limit: Some(1 << 30) }), ..Usage::default() };
        assert_eq!(steady(None, &small).memory, small.memory, "a little is not nothing");
    }

    #[test]
    fn without_a_limit_a_little_more_is_no_news() {
        let memory =
            |used: u64| Usage { memory: Some(Amount { used: used << 20, limit: None }), ..Usage::default() };
        let shown = steady(None, &memory(5));
        assert_eq!((steady(Some(&shown), &memory(9)), shown.clone()), (shown.clone(), memory(5)));
        assert_ne!(steady(Some(&shown), &memory(40)), shown);
    }

    #[test]
    fn what_is_full_or_over_is_said_at_once() {
        let store = |used| Usage {
            stores: vec![Store { target: "/s".into(), state: StoreState::Space { used, total: 1000 } }],
            ..Usage::default()
        };
        let shown = steady(Some(&steady(None, &store(985))), &store(990));
        assert_eq!(shown, store(990));
        assert_eq!(steady(Some(&shown), &store(991)), shown);
        let share =
            |used| Usage { budget: Some(Budget { bytes: 6400, used: Some(used) }), ..Usage::default() };
        assert_eq!(steady(Some(&share(6399)), &share(6401)), share(6401));
        assert_eq!(steady(Some(&share(6401)), &share(6402)), share(6401));
    }

    #[test]
    fn lies_without_bounds_are_no_trouble() {
        let all = u64::MAX;
        let mut liar = usage(u32::MAX, 0, u32::MAX, u32::MAX);
        let Gpus::Listed { gpus, .. } = &mut liar.gpus else { panic!() };
        (gpus[0].memory_used, gpus[0].memory_total) = (Some(all), Some(0));
        liar.memory = Some(Amount { used: all, limit: Some(1) });
        liar.machine_memory = Some(Amount { used: all, limit: None });
        liar.stores = vec![Store { target: "/s".into(), state: StoreState::Space { used: all, total: 0 } }];
        let shown = steady(None, &liar);
        assert_eq!(steady(Some(&shown), &liar), shown);
        steady(Some(&shown), &Usage::default());
    }
}
