//! Faults at random on three real machines, under people who work: nothing is lost, nothing is there twice.
//!
//! `tests/chaos/run --seed N --faults M` runs as long as one likes; what runs here by itself is short. Every decision
//! comes from the seed; what the machine makes of it in which moment is the machine's. A run that fails prints its
//! seed and the faults of its last round.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "chaos/mod.rs"]
mod chaos;
mod common;

use std::time::{SystemTime, UNIX_EPOCH};

/// Always the same, so that a change that breaks something breaks it here.
const FIXED_SEED: u64 = 4;
const SHORT: usize = 15;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[test]
fn nothing_is_lost_and_nothing_is_there_twice() {
    let fresh = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    match (number("CLUSTERIA_CHAOS_SEED"), number("CLUSTERIA_CHAOS_FAULTS")) {
        (None, None) => chaos::run(FIXED_SEED, SHORT),
        (seed, faults) => {
            chaos::run(seed.unwrap_or(fresh), faults.map_or(SHORT, |n| usize::try_from(n).unwrap()));
        }
    }
}
