use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::reservation::plan::SlotPlan;
use crate::reservation::view::SlotState;

mod line;

fn plan(name: &str, slots: u16) -> MachinePlan {
    let name: MachineName = name.parse().unwrap();
    let slot = |number| SlotPlan { id: SlotId { machine: name.clone(), number }, gpus: vec![] };
    MachinePlan { slots: (1..=slots).map(slot).collect(), label: None, name }
}

fn book(machines: &[(&str, u16)]) -> Book {
    let plans: Vec<_> = machines.iter().map(|(name, slots)| plan(name, *slots)).collect();
    let mut book = Book::new("lab".into(), plans, "not asked yet");
    for (name, _) in machines {
        book.set_offline(&name.parse().unwrap(), None);
    }
    book
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn claim(user: &str, target: Target, cause: Cause) -> Claim {
    Claim {
        user: user.parse().unwrap(),
        target,
        cause,
        lifetime: Duration::from_secs(100),
        auto_reserve: true,
    }
}

fn get(book: &mut Book, user: &str, target: &str) -> Result<Claimed, Refusal> {
    let target = if target.is_empty() { Target::Any } else { target.parse().unwrap() };
    book.claim(&claim(user, target, Cause::Explicit), at(0))
}

fn new(claimed: Claimed) -> Reservation {
    match claimed {
        Claimed::New(r) => r,
        Claimed::Already(r) => panic!("{r:?} was there already"),
    }
}

#[test]
fn the_freest_machine_is_chosen_and_reserving_twice_is_reserving_once() {
    let mut book = book(&[("gpu1", 1), ("gpu2", 2), ("gpu3", 2)]);
    let first = new(get(&mut book, "ada", "").unwrap());
    assert_eq!(first.slot.to_string(), "gpu2/1");
    assert_eq!(get(&mut book, "ada", "gpu2").unwrap(), Claimed::Already(first.clone()));
    assert_eq!(new(get(&mut book, "bob", "").unwrap()).slot.to_string(), "gpu3/1");
    assert_eq!(
        get(&mut book, "ada", "gpu1"),
        Err(Refusal::HoldsAnother { slot: first.slot, deadline: at(100) })
    );
    let nowhere = |place: &str| Err(Refusal::UnknownMachine(place.into()));
    assert_eq!(get(&mut book, "ada", "gpu9"), nowhere("gpu9"), "what is not there is said first");
}

#[test]
fn of_two_of_one_user_the_younger_goes_on() {
    let found = |slot: &str| Reservation {
        id: ReservationId::new(),
        user: "ada".parse().unwrap(),
        slot: slot.parse().unwrap(),
        started: at(0),
        deadline: at(100),
        state: State::Active,
    };
    let (one, other) = (found("gpu1/1"), found("gpu2/1"));
    let (old, young) = if one.id < other.id { (one, other) } else { (other, one) };
    for order in [[&old, &young], [&young, &old]] {
        let mut book = book(&[("gpu1", 1), ("gpu2", 1)]);
        assert_eq!(book.adopt(order[0].clone()), Adopted::default());
        assert_eq!(book.adopt(order[1].clone()), Adopted { displaced: None, rival: Some(old.clone()) });
        assert_eq!(book.of(&old.user).unwrap().id, young.id);
        assert_eq!(book.get(&old.id).unwrap().state, State::Ending(EndReason::Failed));
        assert_eq!(book.adopt(young.clone()), Adopted::default(), "twice is once");
    }
}

#[test]
fn a_wall_clock_that_is_set_ends_nobody() {
    let moment = |wall: i64, boot| Moment { wall: at(wall), boot: Duration::from_secs(boot) };
    let mut book = book(&[("gpu1", 1)]);
    assert_eq!(book.observe(moment(0, 50)), None);
    let mine = new(get(&mut book, "ada", "").unwrap());
    assert_eq!(book.observe(moment(10, 60)), None);
    // Nine hours forward in a second, as a machine that finds its time server late.
    assert_eq!(book.observe(moment(9 * 3600, 61)), Some(SignedDuration::from_secs(9 * 3600 - 11)));
    assert!(book.due(at(9 * 3600)).is_empty());
    assert_eq!(book.get(&mine.id).unwrap().left(at(9 * 3600)), Duration::from_secs(89));
    // And back again: it lasts no longer either.
    assert!(book.observe(moment(20, 70)).is_some());
    assert_eq!(book.get(&mine.id).unwrap().deadline, at(100));
    assert_eq!(book.due(at(100)).len(), 1);
    // A machine that slept moves both clocks.
    assert_eq!(book.observe(moment(5000, 5050)), None);
    assert_eq!(book.due(at(5000)).len(), 1);
}

#[test]
fn a_taken_slot_and_a_full_house_say_who_and_when() {
    let mut book = book(&[("gpu1", 1)]);
    let held = new(get(&mut book, "ada", "gpu1/1").unwrap());
    let taken = Refusal::Taken { slot: held.slot.clone(), by: "ada".parse().unwrap(), frees: Some(at(100)) };
    assert_eq!(get(&mut book, "bob", "gpu1/1"), Err(taken));
    let full = |machine: Option<&str>| Refusal::Full {
        machine: machine.map(|m| m.parse().unwrap()),
        frees: Some((held.slot.clone(), at(100))),
    };
    assert_eq!(get(&mut book, "bob", "gpu1"), Err(full(Some("gpu1"))));
    assert_eq!(get(&mut book, "bob", ""), Err(full(None)));
    assert_eq!(get(&mut book, "bob", "gpu9"), Err(Refusal::UnknownMachine("gpu9".into())));
    assert_eq!(get(&mut book, "bob", "gpu1/7"), Err(Refusal::UnknownSlot("gpu1/7".parse().unwrap())));
}

#[test]
fn after_an_expiry_only_a_person_may_reserve_again() {
    let mut book = book(&[("gpu1", 1)]);
    let mine = new(get(&mut book, "ada", "").unwrap());
    assert!(book.activate(&mine.id));
    assert_eq!(book.due(at(99)), vec![]);
    assert_eq!(book.due(at(100)).len(), 1);
    book.begin_end(&mine.id, EndReason::Expired);
    assert!(book.of(&mine.user).is_none());
    let ended = book.finish(&mine.id, EndReason::Failed, None, at(101)).unwrap();
    assert_eq!(ended.reason, EndReason::Expired, "the first reason wins");
    let automatic = claim("ada", Target::Any, Cause::Automatic);
    assert_eq!(book.claim(&automatic, at(200)), Err(Refusal::ExpiredBefore { slot: mine.slot, at: at(101) }));
    let again = new(get(&mut book, "ada", "").unwrap());
    book.finish(&again.id, EndReason::Released, None, at(300));
    assert!(book.claim(&automatic, at(301)).is_ok(), "an explicit reservation re-arms it");
}

#[test]
fn an_offline_machine_is_refused_with_its_reason_and_keeps_its_reservations() {
    let mut book = book(&[("gpu1", 2), ("gpu2", 1)]);
    let mine = new(get(&mut book, "ada", "gpu1").unwrap());
    assert!(book.set_offline(&mine.slot.machine, Some("no route".into())));
    assert!(!book.set_offline(&mine.slot.machine, Some("no route".into())), "no news");
    let offline = Refusal::Offline { machine: mine.slot.machine.clone(), reason: "no route".into() };
    assert_eq!(get(&mut book, "bob", "gpu1/2"), Err(offline));
    assert_eq!(new(get(&mut book, "bob", "").unwrap()).slot.to_string(), "gpu2/1");
    assert_eq!(book.of(&mine.user).unwrap().id, mine.id);
}

#[test]
fn a_cancelled_start_cannot_become_active() {
    let mut book = book(&[("gpu1", 1)]);
    let mine = new(get(&mut book, "ada", "").unwrap());
    assert_eq!(book.begin_end(&mine.id, EndReason::Released).unwrap().state, State::Starting);
    assert!(book.begin_end(&mine.id, EndReason::Admin).is_none(), "ending twice is ending once");
    assert!(!book.activate(&mine.id));
    let taken = Refusal::Taken { slot: mine.slot, by: mine.user, frees: None };
    assert_eq!(get(&mut book, "bob", "gpu1/1"), Err(taken));
}

#[derive(Debug, Clone)]
enum Step {
    Claim(u8, Option<(u8, u8)>, bool),
    Activate(u8),
    BeginEnd(u8),
    Finish(u8),
    Adopt(u8, u8, u8),
    Offline(u8, bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..5u8, proptest::option::of((1..4u8, 1..4u8)), any::<bool>())
            .prop_map(|(u, t, c)| Step::Claim(u, t, c)),
        (0..9u8).prop_map(Step::Activate),
        (0..9u8).prop_map(Step::BeginEnd),
        (0..9u8).prop_map(Step::Finish),
        (5..9u8, 1..4u8, 1..4u8).prop_map(|(u, m, s)| Step::Adopt(u, m, s)),
        (1..4u8, any::<bool>()).prop_map(|(m, up)| Step::Offline(m, up)),
    ]
}

proptest! {
    /// Random lives: no slot twice, no user twice, nothing held that was finished.
    #[test]
    fn no_history_breaks_the_invariants(steps in proptest::collection::vec(step(), 1..80)) {
        let mut book = book(&[("gpu1", 2), ("gpu2", 3), ("gpu3", 1)]);
        let mut finished = Vec::new();
        for (time, step) in steps.into_iter().enumerate() {
            let now = at(time as i64);
            let nth = |book: &Book, n: u8| book.held().nth(n as usize).map(|r| r.id.clone());
            match step {
                Step::Claim(user, target, explicit) => {
                    let target = target.map_or(Target::Any, |(m, s)| format!("gpu{m}/{s}").parse().unwrap());
                    let cause = if explicit { Cause::Explicit } else { Cause::Automatic };
                    let before = book.held().count();
                    match book.claim(&claim(&format!("u{user}"), target.clone(), cause), now) {
                        Ok(Claimed::New(r)) => {
                            prop_assert!(target.matches(&r.slot));
                            prop_assert_eq!(book.held().count(), before + 1);
                        }
                        _ => prop_assert_eq!(book.held().count(), before),
                    }
                }
                Step::Activate(n) => { nth(&book, n).map(|id| book.activate(&id)); }
                Step::BeginEnd(n) => { nth(&book, n).map(|id| book.begin_end(&id, EndReason::Released)); }
                Step::Finish(n) => if let Some(id) = nth(&book, n) {
                    book.finish(&id, EndReason::Failed, None, now);
                    finished.push(id);
                },
                Step::Adopt(user, machine, slot) => {
                    let user: UserName = format!("u{user}").parse().unwrap();
                    if book.of(&user).is_none() {
                        book.adopt(Reservation {
                            id: ReservationId::new(), user, slot: format!("gpu{machine}/{slot}").parse().unwrap(),
                            started: now, deadline: at(1000), state: State::Active,
                        });
                    }
                }
                Step::Offline(machine, up) => {
                    book.set_offline(&format!("gpu{machine}").parse().unwrap(), (!up).then(|| "cut".into()));
                }
            }
            let live: Vec<_> = book.held().filter(|r| r.is_live()).map(|r| r.user.clone()).collect();
            let mut unique = live.clone();
            unique.sort();
            unique.dedup();
            prop_assert_eq!(unique.len(), live.len(), "a user with two live reservations");
            prop_assert!(book.held().all(|r| !finished.contains(&r.id)));
            let view = book.view(now);
            let shown = view.machines.iter().flat_map(|m| &m.slots)
                .filter(|s| matches!(s.state, SlotState::Reserved { .. } | SlotState::Starting { .. } | SlotState::Ending { .. }))
                .count();
            let planned = book.held().filter(|r| r.slot.number <= match r.slot.machine.as_str() { "gpu1" => 2, "gpu2" => 3, _ => 1 }).count();
            prop_assert_eq!(shown, planned);
        }
    }
}
