//! How the reservation core grows with slots: `cargo bench --bench book`. Medians in microseconds, of one operation on a
//! cluster of ten slots a machine in which every slot but one is taken. All of them hold the book's mutex.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use clusteria::reservation::{
    Book, Cause, Claim, Claimed, EndReason, MachinePlan, ReservationId, SlotId, SlotPlan, Target,
};
use jiff::Timestamp;

const SLOTS: [usize; 4] = [10, 100, 1_000, 10_000];
const SLOTS_EACH: u16 = 10;
const TURNS: usize = 51;

fn main() {
    println!("{:>8} {:>10} {:>10} {:>10} {:>10} {:>10}", "slots", "whose", "claim", "full", "end", "view");
    for slots in SLOTS {
        let mut cluster = Cluster::of(slots);
        let someone = user(slots - 2);
        let whose = median(|| assert!(black_box(&cluster.book).of(black_box(&someone)).is_some()));
        let view = median(|| drop(black_box(black_box(&cluster.book).view(cluster.now))));
        let (mut claims, mut fulls, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        for turn in 0..TURNS {
            let newcomer = slots + 2 * turn;
            let mut id = None;
            claims.push(timed(|| id = cluster.claim(newcomer)));
            fulls.push(timed(|| assert!(cluster.claim(newcomer + 1).is_none())));
            let id = id.expect("one was free");
            ends.push(timed(|| cluster.end(&id)));
        }
        let [claim, full, end] = [claims, fulls, ends].map(middle);
        println!("{slots:>8} {whose:>10.1} {claim:>10.1} {full:>10.1} {end:>10.1} {view:>10.1}");
    }
}

struct Cluster {
    book: Book,
    now: Timestamp,
}

impl Cluster {
    /// With every slot taken but one.
    fn of(slots: usize) -> Self {
        let slot = |machine: usize, number| SlotPlan {
            id: SlotId { machine: format!("gpu{machine}").parse().unwrap(), number },
            gpus: vec![number.to_string()],
        };
        let machine = |index| MachinePlan {
            name: format!("gpu{index}").parse().unwrap(),
            label: None,
            slots: (1..=SLOTS_EACH).map(|number| slot(index, number)).collect(),
        };
        let machines = slots.div_ceil(usize::from(SLOTS_EACH));
        let mut book = Book::new("bench".into(), (0..machines).map(machine).collect(), "not asked yet");
        for index in 0..machines {
            book.set_offline(&format!("gpu{index}").parse().unwrap(), None);
        }
        let mut cluster = Self { book, now: Timestamp::now() };
        for number in 0..slots - 1 {
            let id = cluster.claim(number).expect("it is free");
            cluster.book.activate(&id);
        }
        cluster
    }

    fn claim(&mut self, number: usize) -> Option<ReservationId> {
        let claim = Claim {
            user: user(number),
            target: Target::Any,
            cause: Cause::Explicit,
            lifetime: Duration::from_secs(8 * 3600),
            auto_reserve: true,
        };
        match self.book.claim(&claim, self.now) {
            Ok(Claimed::New(reservation)) => Some(reservation.id),
            _ => None,
        }
    }

    fn end(&mut self, id: &ReservationId) {
        self.book.begin_end(id, EndReason::Released);
        self.book.finish(id, EndReason::Released, None, self.now);
    }
}

fn user(number: usize) -> clusteria::reservation::UserName {
    format!("user{number}").parse().unwrap()
}

fn timed(act: impl FnOnce()) -> f64 {
    let began = Instant::now();
    act();
    began.elapsed().as_secs_f64() * 1e6
}

fn median(act: impl Fn()) -> f64 {
    middle((0..TURNS).map(|_| timed(&act)).collect())
}

fn middle(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
