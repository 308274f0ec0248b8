//! The run: rounds of a few faults at once, each round healed, settled and looked at.

mod check;
mod faults;
mod journal;
mod people;
mod random;
mod world;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use faults::{Fault, Takes};
use journal::Journal;
use people::Person;
use random::Random;
use world::{USERS, World};

/// Of one round, at different places.
const AT_ONCE: u64 = 3;

/// Runs until so many faults have happened. `CLUSTERIA_CHAOS_ONLY=frozen,killed` keeps to some.
pub fn run(seed: u64, faults: usize) {
    println!("chaos: seed {seed}, {faults} faults");
    let only = std::env::var("CLUSTERIA_CHAOS_ONLY").unwrap_or_default();
    let only: Vec<String> = only.split(',').filter(|word| !word.is_empty()).map(String::from).collect();
    let world = World::start();
    let (journal, over) = (Journal::default(), AtomicBool::new(false));
    let began = Instant::now();
    let mut kinds = BTreeMap::new();
    std::thread::scope(|scope| {
        let _ends = Ends(&over);
        for (user, number) in USERS.into_iter().zip(1..) {
            let random = Random::new(seed).fork(number);
            let client = world.client();
            let person =
                Person { user, world: &world, client, journal: &journal, random, over: &over, held: None };
            scope.spawn(move || person.live());
        }
        let mut random = Random::new(seed);
        let mut done = 0;
        let mut round = 0;
        while done < faults {
            round += 1;
            let drawn =
                draw(&mut random, &world, (faults - done).min(usize::try_from(AT_ONCE).unwrap()), &only);
            for fault in &drawn {
                let kind = fault.name().split(" gpu").next().unwrap().trim_start_matches("gpu").to_owned();
                *kinds.entry(kind_of(&kind)).or_insert(0_usize) += 1;
            }
            done += drawn.len();
            play(&world, &journal, &mut random, drawn, round, (seed, began));
        }
    });
    let counts = journal.counts();
    println!("chaos: seed {seed}: {faults} faults in {} s: {kinds:?}; {counts:?}", began.elapsed().as_secs());
}

/// Without the machine's name.
fn kind_of(name: &str) -> String {
    let words =
        name.split(' ').filter(|word| !word.contains("gpu") && !word.contains(|c: char| c.is_ascii_digit()));
    words.collect::<Vec<_>>().join(" ")
}

struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn draw(random: &mut Random, world: &World, most: usize, only: &[String]) -> Vec<Box<dyn Fault>> {
    let count = 1 + random.below(most as u64);
    let mut drawn: Vec<Box<dyn Fault>> = Vec::new();
    for _ in 0..count {
        let fault = faults::draw(random, world, only);
        if drawn.iter().all(|other| other.place() != fault.place()) {
            drawn.push(fault);
        }
    }
    drawn
}

fn play(
    world: &World,
    journal: &Journal,
    random: &mut Random,
    mut drawn: Vec<Box<dyn Fault>>,
    round: usize,
    (seed, began): (u64, Instant),
) {
    let names: Vec<String> = drawn.iter().map(|fault| fault.name()).collect();
    let before = world.containers().unwrap_or_default();
    let start = Instant::now();
    for fault in &mut drawn {
        journal.begins(fault.takes());
        fault.inject(world);
        std::thread::sleep(Duration::from_millis(random.below(200)));
    }
    std::thread::sleep(Duration::from_millis(100 + random.below(900)));
    drawn.sort_by_key(|fault| fault.heals_in_turn());
    for fault in &mut drawn {
        fault.heal(world);
    }
    let healed = start.elapsed();
    let settled = check::settle(world);
    let mut bad: Vec<String> = settled.as_ref().err().into_iter().cloned().collect();
    if let Ok(after) = &settled {
        bad.extend(check::lost(&before, after, journal));
        bad.extend(told_wrong(world, &drawn));
    }
    bad.extend(journal.judge());
    journal.settled();
    println!(
        "{:>5} s  round {round}: {} · healed in {:.1} s, settled in {:.1} s",
        began.elapsed().as_secs(),
        names.join(" + "),
        healed.as_secs_f64(),
        (start.elapsed() - healed).as_secs_f64()
    );
    assert!(bad.is_empty(), "seed {seed}, round {round}, {names:?}:\n{}", bad.join("\n"));
}

/// Who loses their reservation by a fault is told that it failed, not something else.
fn told_wrong(world: &World, drawn: &[Box<dyn Fault>]) -> Vec<String> {
    let ends = world.ends();
    let taken = drawn.iter().filter_map(|fault| match fault.takes() {
        Takes::Reservation(id) => Some(id),
        _ => None,
    });
    taken
        .filter_map(|id| match ends.get(&id) {
            None => Some(format!("nobody was told how {id} ended")),
            Some(reasons)
                if reasons.iter().all(|r| ["failed", "released", "expired"].contains(&r.as_str())) =>
            {
                None
            }
            Some(reasons) => Some(format!("{id} ended as {reasons:?}")),
        })
        .collect()
}
