//! The queue: how it behaves, and that no history breaks its promises.

use std::collections::BTreeMap;

use super::*;
use crate::reservation::queue::Hold;

const HOLD: i64 = 30;
const LIFETIME: u64 = 100;

fn user(name: &str) -> UserName {
    name.parse().unwrap()
}

fn target(text: &str) -> Target {
    if text.is_empty() { Target::Any } else { text.parse().unwrap() }
}

fn open(machines: &[(&str, u16)]) -> Book {
    let mut book = book(machines);
    book.set_times(Times {
        lifetime: Duration::from_secs(LIFETIME),
        hold: Duration::from_secs(HOLD.unsigned_abs()),
    });
    book
}

fn ask(book: &mut Book, name: &str, what: &str, now: i64) -> Result<SlotId, Refusal> {
    book.claim(&claim(name, target(what), Cause::Explicit), at(now)).map(|claimed| match claimed {
        Claimed::New(r) | Claimed::Already(r) => r.slot,
    })
}

fn join(book: &mut Book, name: &str, what: &str, now: i64) {
    book.join(&user(name), &target(what), at(now)).unwrap();
}

fn end(book: &mut Book, name: &str, now: i64) {
    let mine = book.of(&user(name)).unwrap().id.clone();
    book.finish(&mine, EndReason::Released, None, at(now)).unwrap();
    book.settle(at(now));
}

fn held(book: &Book, name: &str) -> Option<(String, i64)> {
    let hold = book.queue().get(&user(name))?.hold.clone()?;
    Some((hold.slot.to_string(), hold.until.as_second() - at(0).as_second()))
}

#[test]
fn who_waits_for_one_machine_does_not_stop_who_waits_for_any() {
    let mut book = open(&[("gpu1", 1), ("gpu2", 1)]);
    ask(&mut book, "ada", "gpu1", 0).unwrap();
    ask(&mut book, "bob", "gpu2", 0).unwrap();
    join(&mut book, "eve", "gpu1", 1);
    join(&mut book, "kim", "", 2);
    join(&mut book, "lea", "gpu1", 3);
    let line = book.line(at(5));
    let places: Vec<_> = line.iter().map(|w| (w.user.as_str(), w.place, w.estimate)).collect();
    assert_eq!(places, [("eve", 1, Some(at(100))), ("kim", 2, Some(at(100))), ("lea", 3, Some(at(200)))]);
    end(&mut book, "bob", 10);
    assert_eq!((held(&book, "eve"), held(&book, "kim")), (None, Some(("gpu2/1".into(), 40))));
    let line = book.line(at(12));
    assert_eq!((line[1].place, line[2].place), (0, 2), "whose turn it is stands before nobody");
    assert_eq!(
        ask(&mut book, "lea", "", 13),
        Err(Refusal::Full { machine: None, frees: Some(("gpu1/1".parse().unwrap(), at(100))) })
    );
    assert_eq!(ask(&mut book, "kim", "", 14).unwrap().to_string(), "gpu2/1");
    assert!(book.queue().get(&user("kim")).is_none(), "who has a place is out");
}

#[test]
fn a_held_slot_is_for_its_holder_then_for_the_next_and_the_late_one_is_told() {
    let mut book = open(&[("gpu1", 1)]);
    ask(&mut book, "ada", "", 0).unwrap();
    join(&mut book, "bob", "", 1);
    join(&mut book, "eve", "", 2);
    end(&mut book, "ada", 10);
    let refused = |book: &mut Book, name, now| ask(book, name, "gpu1/1", now).unwrap_err();
    let held_for = |name: &str, until| Refusal::Held {
        slot: "gpu1/1".parse().unwrap(),
        user: user(name),
        until: at(until),
    };
    assert_eq!(refused(&mut book, "ada", 11), held_for("bob", 40));
    assert_eq!(refused(&mut book, "eve", 39), held_for("bob", 40));
    assert!(matches!(
        book.view(at(39)).machines[0].slots[0].state, SlotState::Held { ref user, .. } if user.as_str() == "bob"
    ));
    assert_eq!(refused(&mut book, "bob", 40), held_for("eve", 70), "bob came too late");
    assert_eq!(book.queue().missed()[&user("bob")].at, at(40));
    join(&mut book, "bob", "", 41);
    assert!(book.queue().missed().is_empty(), "who is back need not be told");
    assert!(ask(&mut book, "eve", "", 69).is_ok());
}

#[test]
fn who_waited_may_be_an_editor_also_after_an_expiry() {
    let mut book = open(&[("gpu1", 1)]);
    let mine = book.claim(&claim("bob", Target::Any, Cause::Explicit), at(0)).map(new).unwrap();
    book.begin_end(&mine.id, EndReason::Expired);
    book.finish(&mine.id, EndReason::Expired, None, at(1));
    let editor = claim("bob", Target::Any, Cause::Automatic);
    assert!(matches!(book.claim(&editor, at(2)), Err(Refusal::ExpiredBefore { .. })));
    join(&mut book, "bob", "", 3);
    assert!(book.claim(&editor, at(4)).is_ok(), "to wait is to choose");
}

#[test]
fn a_machine_that_goes_gives_the_turn_back_and_what_is_wanted_most_narrowly_is_left() {
    let mut book = open(&[("gpu1", 1), ("gpu2", 1)]);
    let gpu1: MachineName = "gpu1".parse().unwrap();
    for (name, slot) in [("ada", "gpu1"), ("bob", "gpu2")] {
        ask(&mut book, name, slot, 0).unwrap();
    }
    join(&mut book, "eve", "", 1);
    join(&mut book, "kim", "gpu1", 2);
    end(&mut book, "ada", 3);
    assert_eq!(held(&book, "eve"), Some(("gpu1/1".into(), 33)));
    book.set_draining(&gpu1, true);
    book.settle(at(5));
    assert_eq!(held(&book, "eve"), None);
    assert_eq!(book.line(at(5))[0].place, 1, "in the old place");
    assert_eq!(book.line(at(5))[1].estimate, None, "nothing kim waits for can be used");
    // Both free at once: eve can take either, kim only one.
    end(&mut book, "bob", 6);
    book.leave(&user("eve"), at(7)).unwrap();
    join(&mut book, "eve", "", 8);
    assert_eq!(held(&book, "eve").unwrap().0, "gpu2/1");
    book.set_draining(&gpu1, false);
    book.settle(at(9));
    assert_eq!(held(&book, "kim").unwrap().0, "gpu1/1");
    assert_eq!(book.leave(&user("ada"), at(9)), Err(Refusal::NotQueued));
}

#[test]
fn asking_for_something_else_is_joining_anew() {
    let mut book = open(&[("gpu1", 1)]);
    ask(&mut book, "ada", "", 0).unwrap();
    join(&mut book, "bob", "", 1);
    join(&mut book, "eve", "", 2);
    join(&mut book, "bob", "", 3);
    let order = |book: &Book| book.queue().waiting().iter().map(|w| w.user.to_string()).collect::<Vec<_>>();
    assert_eq!(order(&book), ["bob", "eve"]);
    join(&mut book, "bob", "gpu1", 4);
    assert_eq!(order(&book), ["eve", "bob"]);
    let nowhere = book.join(&user("bob"), &target("gpu1/9"), at(5));
    assert_eq!(nowhere, Err(Refusal::UnknownSlot("gpu1/9".parse().unwrap())));
    let holder = book.join(&user("ada"), &Target::Any, at(5));
    assert!(matches!(holder, Err(Refusal::HoldsAnother { .. })));
}

#[derive(Debug, Clone)]
enum Step {
    Claim(u8, u8, bool),
    Activate(u8),
    End(u8),
    Finish(u8),
    Adopt(u8, u8),
    Join(u8, u8),
    Leave(u8),
    Machine(u8, bool, bool),
    Pass(u16),
    SetWall(i32),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..7u8, 0..11u8, any::<bool>()).prop_map(|(u, t, c)| Step::Claim(u, t, c)),
        2 => (0..9u8).prop_map(Step::Activate),
        1 => (0..9u8).prop_map(Step::End),
        3 => (0..9u8).prop_map(Step::Finish),
        1 => (0..7u8, 0..6u8).prop_map(|(u, s)| Step::Adopt(u, s)),
        5 => (0..7u8, 0..11u8).prop_map(|(u, t)| Step::Join(u, t)),
        1 => (0..7u8).prop_map(Step::Leave),
        2 => (1..4u8, any::<bool>(), any::<bool>()).prop_map(|(m, on, d)| Step::Machine(m, on, d)),
        3 => (1..60u16).prop_map(Step::Pass),
        1 => (-40_000..40_000i32).prop_map(Step::SetWall),
        1 => Just(Step::Restart),
    ]
}

const SLOTS: [&str; 6] = ["gpu1/1", "gpu1/2", "gpu2/1", "gpu2/2", "gpu2/3", "gpu3/1"];
const TARGETS: [&str; 11] =
    ["", "", "gpu1", "gpu2", "gpu3", "gpu1/1", "gpu1/2", "gpu2/1", "gpu2/2", "gpu2/3", "gpu3/1"];

/// What must be so, kept as simply as possible: lists, and the boot's clock.
#[derive(Default)]
struct Truth {
    boot: i64,
    wall: i64,
    /// Users in order, and what they want.
    line: Vec<(UserName, Target)>,
    /// For whom which slot is held until when on the boot's clock.
    holds: BTreeMap<UserName, (SlotId, i64)>,
    /// Ends on the boot's clock.
    ends: BTreeMap<ReservationId, i64>,
    offline: [bool; 4],
    draining: [bool; 4],
}

impl Truth {
    fn moment(&self) -> Moment {
        Moment { wall: self.now(), boot: Duration::from_secs(self.boot.unsigned_abs()) }
    }

    fn now(&self) -> Timestamp {
        at(self.boot + self.wall)
    }

    fn usable(&self, slot: &SlotId) -> bool {
        let machine = usize::from(slot.machine.as_str().as_bytes()[3] - b'0');
        !self.offline[machine] && !self.draining[machine]
    }

    fn leaves(&mut self, user: &UserName) {
        self.line.retain(|(other, _)| other != user);
        self.holds.remove(user);
    }

    /// After a settled step: the book says the same, and nobody was overtaken.
    fn check(&mut self, book: &Book) -> Result<(), TestCaseError> {
        let late: Vec<_> =
            self.holds.iter().filter(|(_, (_, until))| *until <= self.boot).map(|(u, _)| u.clone()).collect();
        for user in late {
            prop_assert!(book.queue().missed().contains_key(&user));
            self.leaves(&user);
        }
        let taken: BTreeMap<SlotId, ReservationId> =
            book.held().map(|r| (r.slot.clone(), r.id.clone())).collect();
        let queue = book.queue();
        let order: Vec<_> = queue.waiting().iter().map(|w| (w.user.clone(), w.target.clone())).collect();
        prop_assert_eq!(&order, &self.line, "the order");
        let usable: Vec<SlotId> =
            SLOTS.iter().map(|slot| slot.parse().unwrap()).filter(|slot| self.usable(slot)).collect();
        let is_free = |slot: &SlotId| usable.contains(slot) && !taken.contains_key(slot);
        self.holds.retain(|_, (slot, _)| is_free(slot));
        for (at, waiting) in queue.waiting().iter().enumerate() {
            let Some(Hold { slot, until }) = &waiting.hold else {
                prop_assert!(!self.holds.contains_key(&waiting.user), "a hold was taken away");
                let idle = SLOTS.iter().map(|slot| slot.parse().unwrap()).find(|slot: &SlotId| {
                    waiting.target.matches(slot) && is_free(slot) && queue.holder(slot).is_none()
                });
                prop_assert_eq!(idle, None, "{} waits for a slot that is free", waiting.user);
                continue;
            };
            prop_assert!(waiting.target.matches(slot) && is_free(slot));
            let until = until.as_second() - self.now().as_second() + self.boot;
            match self.holds.get(&waiting.user) {
                Some(known) => prop_assert_eq!(known, &(slot.clone(), until), "a hold stays as it is"),
                None => {
                    prop_assert_eq!(until, self.boot + HOLD);
                    let overtaken =
                        queue.waiting().iter().take(at).find(|w| w.hold.is_none() && w.target.matches(slot));
                    prop_assert_eq!(overtaken, None);
                    self.holds.insert(waiting.user.clone(), (slot.clone(), until));
                }
            }
        }
        let mut slots: Vec<_> = self.holds.values().map(|(slot, _)| slot).collect();
        slots.sort();
        slots.dedup();
        prop_assert_eq!(slots.len(), self.holds.len(), "a slot held for two");
        let mut users: Vec<_> = book.held().filter(|r| r.is_live()).map(|r| &r.user).collect();
        prop_assert!(users.iter().all(|user| queue.get(user).is_none()), "waits with a reservation");
        users.sort();
        let all = users.len();
        users.dedup();
        prop_assert_eq!(users.len(), all, "a user with two reservations");
        for r in book.held() {
            let left = r.deadline.as_second() - self.now().as_second();
            prop_assert_eq!(left, self.ends[&r.id] - self.boot, "the wall clock moved an end");
        }
        for (place, view) in book.line(self.now()).iter().enumerate() {
            prop_assert!(view.place <= place + 1);
            prop_assert!(view.estimate.is_none_or(|turn| turn >= self.now()));
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn no_history_breaks_the_queue(steps in proptest::collection::vec(step(), 1..120)) {
        let machines = [("gpu1", 2), ("gpu2", 3), ("gpu3", 1)];
        let mut book = open(&machines);
        let mut truth = Truth::default();
        for step in steps {
            book.observe(truth.moment());
            let now = truth.now();
            let nth = |book: &Book, n: u8| book.held().nth(n as usize).map(|r| r.id.clone());
            match step {
                Step::Claim(u, t, explicit) => {
                    let cause = if explicit { Cause::Explicit } else { Cause::Automatic };
                    let claim = claim(&format!("u{u}"), target(TARGETS[usize::from(t)]), cause);
                    let free = |book: &Book| SLOTS.iter().any(|slot| {
                        let slot: SlotId = slot.parse().unwrap();
                        claim.target.matches(&slot) && truth.usable(&slot) && book.held.get(&slot).is_none()
                            && book.queue().holder(&slot).is_none_or(|w| w.user == claim.user)
                    });
                    let had = book.of(&claim.user).is_some();
                    book.settle(now);
                    let could = free(&book);
                    match book.claim(&claim, now) {
                        Ok(Claimed::New(r)) => {
                            prop_assert!(claim.target.matches(&r.slot) && truth.usable(&r.slot));
                            let other = truth.holds.iter()
                                .find(|(user, (slot, until))| **user != r.user && *slot == r.slot && *until > truth.boot);
                            prop_assert_eq!(other, None, "somebody else's turn was taken");
                            truth.ends.insert(r.id.clone(), truth.boot + LIFETIME as i64);
                            truth.leaves(&r.user);
                        }
                        Ok(Claimed::Already(_)) => prop_assert!(had),
                        Err(_) => prop_assert!(had || !could || !explicit),
                    }
                }
                Step::Activate(n) => { nth(&book, n).map(|id| book.activate(&id)); }
                Step::End(n) => { nth(&book, n).map(|id| book.begin_end(&id, EndReason::Expired)); }
                Step::Finish(n) => {
                    nth(&book, n).map(|id| book.finish(&id, EndReason::Failed, None, now));
                }
                Step::Adopt(u, s) => {
                    let r = Reservation {
                        id: ReservationId::new(), user: user(&format!("u{u}")), slot: SLOTS[usize::from(s)].parse().unwrap(),
                        started: now, deadline: now + SignedDuration::from_secs(50), state: State::Active,
                    };
                    truth.ends.insert(r.id.clone(), truth.boot + 50);
                    truth.leaves(&r.user);
                    book.adopt(r);
                }
                Step::Join(u, t) => {
                    let (user, target) = (user(&format!("u{u}")), target(TARGETS[usize::from(t)]));
                    // Time has passed before anybody asks.
                    book.settle(now);
                    truth.check(&book)?;
                    let joined = book.join(&user, &target, now);
                    prop_assert_eq!(joined.is_ok(), book.of(&user).is_none());
                    if joined.is_ok() && !truth.line.contains(&(user.clone(), target.clone())) {
                        truth.leaves(&user);
                        truth.line.push((user, target));
                    }
                }
                Step::Leave(u) => {
                    book.settle(now);
                    truth.check(&book)?;
                    let user = user(&format!("u{u}"));
                    let was = truth.line.iter().any(|(other, _)| *other == user);
                    prop_assert_eq!(book.leave(&user, now).is_ok(), was);
                    truth.leaves(&user);
                }
                Step::Machine(m, on, draining) => {
                    let name = format!("gpu{m}").parse().unwrap();
                    truth.offline[usize::from(m)] = !on;
                    truth.draining[usize::from(m)] = draining;
                    book.set_offline(&name, (!on).then(|| "cut".into()));
                    book.set_draining(&name, draining);
                }
                Step::Pass(seconds) => truth.boot += i64::from(seconds),
                Step::SetWall(offset) => truth.wall = i64::from(offset),
                Step::Restart => {
                    let (held, queue) = (book.held().cloned().collect::<Vec<_>>(), book.queue().clone());
                    let offset = book.offset().unwrap();
                    book = open(&machines);
                    held.into_iter().for_each(|r| { book.adopt(r); });
                    book.restore_queue(queue.waiting().to_vec(), queue.missed().clone());
                    book.set_offset(offset);
                    for m in 1..4 {
                        let name = format!("gpu{m}").parse().unwrap();
                        book.set_offline(&name, truth.offline[m].then(|| "cut".into()));
                        book.set_draining(&name, truth.draining[m]);
                    }
                    // Who was held for is in front still, and has the time anew.
                    truth.holds.clear();
                }
            }
            book.observe(truth.moment());
            book.settle(truth.now());
            truth.check(&book)?;
            prop_assert!(!book.settle(truth.now()), "settled is settled");
        }
    }
}
