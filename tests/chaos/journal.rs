//! What happened when: faults and people's work, so that a cut can be held against its cause.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::faults::Takes;
use super::people::Held;

/// A fault is felt a little before its heal is noted as done and a little after.
const MARGIN: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub enum Outcome {
    /// So many bytes were carried and checked.
    Intact(u64),
    /// It ended early, and said so.
    Cut(String),
    /// Bytes that nobody sent, or a success that was none.
    Wrong(String),
}

#[derive(Debug)]
pub struct Work {
    pub user: &'static str,
    pub kind: &'static str,
    pub held: Held,
    pub began: Instant,
    pub ended: Instant,
    pub outcome: Outcome,
}

struct Past {
    takes: Takes,
    from: Instant,
    /// `None` while it lasts.
    to: Option<Instant>,
}

#[derive(Default)]
struct Pages {
    faults: Vec<Past>,
    work: Vec<Work>,
    reserved: BTreeSet<String>,
    released: BTreeSet<String>,
    counts: Counts,
}

/// For the report.
#[derive(Debug, Default, Clone)]
pub struct Counts {
    pub reservations: usize,
    pub refused: usize,
    pub transfers: usize,
    pub cut: usize,
    pub bytes: u64,
}

#[derive(Default)]
pub struct Journal(Mutex<Pages>);

impl Journal {
    pub fn reserved(&self, id: &str, fresh: bool) {
        let mut pages = self.0.lock().unwrap();
        if pages.reserved.insert(id.to_owned()) || fresh {
            pages.counts.reservations = pages.reserved.len();
        }
    }

    pub fn refused(&self) {
        self.0.lock().unwrap().counts.refused += 1;
    }

    pub fn releasing(&self, id: &str) {
        self.0.lock().unwrap().released.insert(id.to_owned());
    }

    pub fn is_released(&self, id: &str) -> bool {
        self.0.lock().unwrap().released.contains(id)
    }

    pub fn worked(&self, work: Work) {
        self.0.lock().unwrap().work.push(work);
    }

    pub fn begins(&self, takes: Takes) {
        self.0.lock().unwrap().faults.push(Past { takes, from: Instant::now(), to: None });
    }

    /// All faults are over and everything has settled.
    pub fn settled(&self) {
        let mut pages = self.0.lock().unwrap();
        for fault in pages.faults.iter_mut().filter(|fault| fault.to.is_none()) {
            fault.to = Some(Instant::now());
        }
    }

    pub fn counts(&self) -> Counts {
        self.0.lock().unwrap().counts.clone()
    }

    /// Did a fault take this reservation, or its machine?
    pub fn is_taken(&self, id: &str, machine: &str) -> bool {
        let pages = self.0.lock().unwrap();
        pages.faults.iter().any(|fault| match &fault.takes {
            Takes::Machine(name) => name == machine && fault.to.is_none(),
            Takes::Reservation(other) => other == id,
            Takes::Nothing | Takes::Connections | Takes::Path(_) => false,
        })
    }

    /// Looks through the work since the last time. Returns what has no excuse.
    pub fn judge(&self) -> Vec<String> {
        let mut pages = self.0.lock().unwrap();
        let mut bad = Vec::new();
        for work in std::mem::take(&mut pages.work) {
            pages.counts.transfers += 1;
            match &work.outcome {
                Outcome::Intact(bytes) => pages.counts.bytes += bytes,
                Outcome::Cut(_) if pages.excuses(&work) => pages.counts.cut += 1,
                Outcome::Cut(why) | Outcome::Wrong(why) => {
                    bad.push(format!("{} of {}, {:?}: {why}", work.kind, work.user, work.held));
                }
            }
        }
        bad
    }
}

impl Pages {
    fn excuses(&self, work: &Work) -> bool {
        let overdue = work.held.deadline.duration_since(Timestamp::now()).as_secs_f64()
            < work.ended.elapsed().as_secs_f64() + 3.0;
        overdue
            || self.released.contains(&work.held.id)
            || self.faults.iter().any(|fault| fault.excuses(work))
    }
}

impl Past {
    fn excuses(&self, work: &Work) -> bool {
        let meets = self.from <= work.ended && self.to.is_none_or(|to| to + MARGIN >= work.began);
        match &self.takes {
            Takes::Nothing => false,
            Takes::Connections => meets,
            Takes::Machine(machine) | Takes::Path(machine) => *machine == work.held.machine && meets,
            Takes::Reservation(id) => *id == work.held.id,
        }
    }
}
