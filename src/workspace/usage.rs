//! What every container uses: each agent is asked now and then, and more often while somebody looks.
//!
//! Only ever a picture of a moment ago; nobody who shows it waits for a container. Whoever does show it says so by
//! [`Board::picture`] or [`Board::look`], and hears of news by [`Board::changes`]. [`Board::machines`] has it for the
//! eye: added up for each machine, and without what only trembles.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use super::Inner;
use crate::agent::protocol::{GpuPlan, RefusedKind};
use crate::agent::usage::alarm::{Alarm, Alarms};
use crate::agent::usage::report::{Gpus, Usage};
use crate::audit::Event;
use crate::bridge::{self, BridgeError};
use crate::config::Config;
use crate::error_chain::in_full;
use crate::reservation::{Refusal, Reservation, ReservationId, SlotId, State, UserName};
use crate::text::Lang;
use crate::text::usage::trouble;

mod cards;
mod machines;
mod steady;

use cards::Cards;
pub use machines::{MachineUse, Machines, Model, SlotUse};

/// Between two rounds while nobody looks, and while somebody does.
const PERIOD: Duration = Duration::from_secs(20);
const LOOKED_PERIOD: Duration = Duration::from_secs(3);
/// Who has looked so long ago looks no more.
const LOOKS: Duration = Duration::from_secs(10);
/// An agent answers from what it knows, so at once.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);
/// Agents that are asked at the same time.
const AT_ONCE: usize = 16;
/// What was said so long ago is no figure any more: three rounds.
const STALE: Duration = Duration::from_secs(70);
/// From an answering agent to GPUs that answer: a driver that was asleep takes seconds.
const GPU_LIMIT: Duration = Duration::from_secs(25);
const GPU_PAUSE: Duration = Duration::from_millis(100);

/// What one container used at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// When it was asked.
    pub at: Timestamp,
    /// Whose it is.
    pub user: UserName,
    /// Where.
    pub slot: SlotId,
    /// What it said: bounded, its words printable.
    pub usage: Usage,
}

/// All that is known. Its lock is a `std` mutex: no section awaits.
#[derive(Debug)]
pub struct Board {
    state: Mutex<Pages>,
    bell: watch::Sender<u64>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Pages {
    seen: BTreeMap<ReservationId, Seen>,
    alarms: BTreeMap<ReservationId, Alarms>,
    /// The same as `seen`, for the eye.
    steady: BTreeMap<ReservationId, (Instant, SlotId, Usage)>,
    cards: Cards,
    machines: Machines,
    looked: Option<Instant>,
    asked: Option<Instant>,
}

impl Default for Board {
    fn default() -> Self {
        Self { state: Mutex::default(), bell: watch::Sender::new(0), wake: Notify::new() }
    }
}

impl Board {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of each slot in use, at once. Somebody looks: the next rounds come soon.
    pub fn picture(&self) -> BTreeMap<SlotId, Seen> {
        self.look();
        self.pages().seen.values().map(|seen| (seen.slot.clone(), seen.clone())).collect()
    }

    /// Somebody looks: the next rounds come soon.
    pub fn look(&self) {
        let before = self.pages().looked.replace(Instant::now());
        // Who asks rests for long.
        if before.is_none_or(|looked| looked.elapsed() >= LOOKS) {
            self.wake.notify_one();
        }
    }

    /// What is known of each machine, for the eye; nothing where nobody has asked for long.
    #[must_use]
    pub fn machines(&self) -> Machines {
        let pages = self.pages();
        if pages.asked.is_some_and(|asked| asked.elapsed() < STALE) {
            pages.machines.clone()
        } else {
            Machines::default()
        }
    }

    /// Rings when there is something new to see.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.bell.subscribe()
    }

    /// Until the next round.
    fn rest(&self) -> Duration {
        let pages = self.pages();
        let is_looked_at = pages.looked.is_some_and(|looked| looked.elapsed() < LOOKS);
        let period = if is_looked_at { LOOKED_PERIOD } else { PERIOD };
        pages.asked.map_or(Duration::ZERO, |asked| period.saturating_sub(asked.elapsed()))
    }

    /// Keeps what was said; what of it must be told.
    fn note(&self, reservation: &Reservation, usage: Usage, wanted: usize) -> Vec<Alarm> {
        let mut pages = self.pages();
        let alarms = pages.alarms.entry(reservation.id.clone()).or_default().look(&usage, wanted);
        let shown = steady::steady(pages.steady.get(&reservation.id).map(|(_, _, shown)| shown), &usage);
        pages.steady.insert(reservation.id.clone(), (Instant::now(), reservation.slot.clone(), shown));
        let seen = Seen {
            at: Timestamp::now(),
            user: reservation.user.clone(),
            slot: reservation.slot.clone(),
            usage,
        };
        pages.seen.insert(reservation.id.clone(), seen);
        alarms
    }

    /// It has ended: the next one's use is not this.
    pub(super) fn forget(&self, id: &ReservationId, config: &Config) {
        {
            let mut pages = self.pages();
            pages.seen.remove(id);
            pages.alarms.remove(id);
            if pages.steady.remove(id).is_none() {
                return;
            }
        }
        if self.sum_up(config) {
            self.ring();
        }
    }

    fn ring(&self) {
        self.bell.send_modify(|rung| *rung = rung.wrapping_add(1));
    }

    fn keep_only(&self, active: &[Reservation]) {
        let mut pages = self.pages();
        let runs = |id: &ReservationId| active.iter().any(|reservation| reservation.id == *id);
        pages.seen.retain(|id, _| runs(id));
        pages.alarms.retain(|id, _| runs(id));
        pages.steady.retain(|id, (at, ..)| runs(id) && at.elapsed() < STALE);
    }

    /// Adds up what is known. Is it worth showing?
    fn sum_up(&self, config: &Config) -> bool {
        let pages = &mut *self.pages();
        let seen = pages.steady.values().map(|(_, slot, usage)| (slot.clone(), usage.clone())).collect();
        let machines = machines::sum_up(config, &seen, &mut pages.cards);
        let is_new = machines != pages.machines;
        if is_new {
            pages.machines = machines;
        }
        is_new
    }
}

/// Asks for ever.
pub(super) async fn keep(inner: Arc<Inner>) {
    while !inner.stopping.is_cancelled() {
        let rest = inner.usage.rest();
        if rest.is_zero() {
            ask_all(&inner).await;
            continue;
        }
        tokio::select! {
            () = sleep(rest) => {}
            // Somebody looks: the rest may be shorter now.
            () = inner.usage.wake.notified() => {}
            () = inner.stopping.cancelled() => {}
        }
    }
}

async fn ask_all(inner: &Inner) {
    let active: Vec<Reservation> =
        inner.desk.read(|book| book.held().filter(|r| r.state == State::Active).cloned().collect());
    inner.usage.keep_only(&active);
    stream::iter(&active).for_each_concurrent(AT_ONCE, |reservation| ask(inner, reservation)).await;
    inner.usage.pages().asked = Some(Instant::now());
    if inner.usage.sum_up(&inner.config) || !active.is_empty() {
        inner.usage.ring();
    }
}

async fn ask(inner: &Inner, reservation: &Reservation) {
    let agent = inner.container(reservation.clone()).agent;
    match timeout(ANSWER_LIMIT, bridge::usage(&agent)).await {
        // It may have ended meanwhile.
        Ok(Ok(usage)) if inner.desk.read(|book| book.get(&reservation.id).is_some()) => {
            let wanted = gpu_plan(&inner.config, &reservation.slot).count;
            for alarm in inner.usage.note(reservation, usage, wanted) {
                tell(inner, reservation, &alarm);
            }
        }
        Ok(Ok(_)) => {}
        Ok(Err(e)) => tracing::debug!(slot = %reservation.slot, "its use is not known: {}", in_full(&e)),
        Err(_) => tracing::debug!(slot = %reservation.slot, "its use is not known: no answer in time"),
    }
}

/// To the administrators; the user's terminals have it from their agent.
fn tell(inner: &Inner, reservation: &Reservation, alarm: &Alarm) {
    let (kind, detail) = described(alarm);
    let Reservation { user, slot, id, .. } = reservation.clone();
    tracing::warn!(%user, %slot, reservation = %id, kind, "{detail}");
    inner.audit.note(Event::Usage { user, slot, reservation: id, kind, detail });
}

fn described(alarm: &Alarm) -> (&'static str, String) {
    match alarm {
        Alarm::OutOfMemory { kills, limit } => {
            ("out of memory", format!("{kills} killed, limit {}", limit.unwrap_or_default()))
        }
        Alarm::TooManyProcesses { limit } => {
            ("too many processes", format!("limit {}", limit.unwrap_or_default()))
        }
        Alarm::StoreFull { target, percent } => ("store full", format!("{target} {percent} %")),
        Alarm::StoreSilent { target } => ("store silent", target.clone()),
        Alarm::OverBudget { used, budget } => ("over the GPU share", format!("{used} of {budget}")),
        Alarm::GpusLost { wanted, found } => ("GPUs lost", format!("{found} of {wanted} answer")),
    }
}

/// What the slot has of GPUs.
pub(super) fn gpu_plan(config: &Config, slot: &SlotId) -> GpuPlan {
    let machine = config.machines.iter().find(|machine| machine.name == slot.machine);
    let slots = machine.map(|machine| machine.slots.as_slice()).unwrap_or_default();
    let Some(own) = slots.iter().find(|candidate| candidate.id == *slot) else { return GpuPlan::default() };
    let others = slots.iter().filter(|other| other.id != *slot);
    GpuPlan {
        count: own.gpus.len(),
        shared: others.flat_map(|other| &other.gpus).any(|gpu| own.gpus.contains(gpu)),
        budget: own.limits.gpu_memory,
    }
}

/// Before anybody is let in: are the slot's GPUs there, and do they answer?
pub(super) async fn check_gpus(inner: &Inner, reservation: &Reservation) -> Result<(), Refusal> {
    let wanted = gpu_plan(&inner.config, &reservation.slot).count;
    if wanted == 0 {
        return Ok(());
    }
    let agent = inner.container(reservation.clone()).agent;
    let limit = Instant::now() + GPU_LIMIT;
    let mut last = Gpus::Unknown;
    while Instant::now() < limit && !matches!(last, Gpus::Silent { .. }) {
        match timeout(ANSWER_LIMIT, bridge::usage(&agent)).await {
            // An agent of an older gateway cannot say.
            Ok(Err(BridgeError::Refused { kind: RefusedKind::Malformed, .. })) => return Ok(()),
            Ok(Ok(usage)) => last = usage.gpus,
            Ok(Err(_)) | Err(_) => {}
        }
        match last.count() {
            Some(found) if found >= wanted => return Ok(()),
            Some(_) => break,
            None => sleep(GPU_PAUSE).await,
        }
    }
    let found = last.count().unwrap_or_default();
    let detail = trouble(&last, Lang::En).unwrap_or_default();
    Err(Refusal::GpusMissing { slot: reservation.slot.clone(), wanted, found, detail })
}
