//! Workspaces: reservations made real. Opens containers, ends them, and keeps book and engines in step.
//!
//! Everything here is idempotent and owned by tasks of its own: a caller that goes away (a lost
//! connection) never leaves a slot half taken.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::task::TaskTracker;

use crate::audit::{Audit, Event};
use crate::auth::Identity;
use crate::bridge::{AgentAddress, TlsAgent};
use crate::charter::Charter;
use crate::config::{AgentTransport, Config, ReservationRules};
use crate::engine::Engine;
use crate::handover::Fate;
use crate::reservation::{
    Book, Cause, Claim, Claimed, Desk, EndReason, Ended, MachineName, MachinePlan, Refusal, Reservation,
    ReservationId, SlotId, SlotPlan, State, Target, Times, UserName,
};
use crate::seats::Seats;
use crate::store::{Ledger, StoreError};

mod admin;
mod agents;
mod clock;
mod close;
mod handover;
mod keep;
mod lease;
mod open;
mod password;
mod queue;
mod reap;
mod reconcile;
mod role;
#[cfg(test)]
mod tests;
pub mod usage;

use role::{Flag, Role, Roles};

use agents::AgentKeys;
pub use lease::{Container, Lease, Start};

/// As many as the forwards of one connection, each of which may ask for the container that they all share.
const MOST_QUESTIONS: usize = 64;

/// All workspaces of the cluster.
#[derive(Clone)]
pub struct Workspaces {
    inner: Arc<Inner>,
}

struct Inner {
    config: Arc<Config>,
    desk: Arc<Desk>,
    ledger: Ledger,
    charter: Charter,
    audit: Audit,
    engines: BTreeMap<MachineName, Arc<dyn Engine>>,
    /// Where an agent is reached over the network.
    agent_keys: Option<AgentKeys>,
    /// Rung by an engine's events, heard by its machine's watcher.
    bells: BTreeMap<MachineName, Arc<Notify>>,
    /// Starts under way; the entry goes when the start has succeeded or failed.
    starts: Mutex<HashMap<ReservationId, watch::Receiver<Start>>>,
    /// Ends that the ledger could not take yet.
    unsaved: Mutex<VecDeque<Ended>>,
    /// Which state of the queue the ledger has.
    saved_queue: Mutex<Option<u64>>,
    /// How the clocks stood to each other when the ledger's deadlines were right.
    saved_offset: Mutex<Option<SignedDuration>>,
    usage: usage::Board,
    /// Passwords that are being renewed.
    renewals: Arc<Seats<ReservationId>>,
    /// One password is hashed at a time: it costs a core and 19 MiB.
    hashing: Arc<Semaphore>,
    /// What each user has asked the owner for, where this is not the owner, and is not answered yet.
    questions: Arc<Seats<UserName>>,
    /// Ends that the owner is being told of.
    ends: Arc<Seats<ReservationId>>,
    /// Starts that another gateway's process carries out, and which.
    elsewhere: Mutex<HashMap<ReservationId, u32>>,
    /// Watchers, ends and all else that the next gateway can begin anew.
    tasks: TaskTracker,
    /// Starts and last words: never dropped.
    kept: TaskTracker,
    roles: Roles,
    /// This process begins nothing new by itself: it stops, or another takes over.
    stopping: Flag,
    /// Another takes over and does not wait for `tasks`.
    dropped: Flag,
}

impl Workspaces {
    /// Reads the ledger; engines are asked by [`Workspaces::start_watching`].
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn open(
        config: Arc<Config>,
        ledger: Ledger,
        engines: BTreeMap<MachineName, Arc<dyn Engine>>,
        charter: Charter,
        audit: Audit,
    ) -> Result<Self, StoreError> {
        let mut book = Book::new(config.cluster.name.clone(), plans(&config), "it has not been asked yet");
        let ReservationRules { lifetime, hold, .. } = config.reservation;
        book.set_times(Times { lifetime, hold });
        for ended in ledger.last_ends()? {
            book.remember(ended);
        }
        for stale in adopt_written(&mut book, ledger.open_reservations()?) {
            ledger.note_end(&reconcile::lost(&stale))?;
            book.remember(reconcile::lost(&stale));
        }
        let (waiting, missed) = ledger.queue()?;
        book.restore_queue(waiting, missed);
        // The ledger's deadlines are as the wall clock stood then: it may have been set meanwhile.
        if let Some(offset) = ledger.clock(&clock::boot_id())? {
            book.set_offset(offset);
        }
        for machine in ledger.draining()? {
            book.set_draining(&machine, true);
        }
        let over_tls = config.machines.iter().any(|machine| machine.agent != AgentTransport::Unix);
        let agent_keys = if over_tls { Some(AgentKeys::open(&config.store.path)) } else { None };
        let agent_keys = agent_keys.transpose().map_err(|(path, source)| StoreError::Key { path, source })?;
        let inner = Inner {
            config,
            agent_keys,
            desk: Arc::new(Desk::new(book)),
            ledger,
            charter,
            audit,
            bells: engines.keys().map(|machine| (machine.clone(), Arc::default())).collect(),
            engines,
            starts: Mutex::default(),
            unsaved: Mutex::default(),
            usage: usage::Board::default(),
            renewals: Seats::new(1),
            hashing: Arc::new(Semaphore::new(1)),
            questions: Seats::new(MOST_QUESTIONS),
            ends: Seats::new(1),
            elsewhere: Mutex::default(),
            saved_queue: Mutex::default(),
            saved_offset: Mutex::default(),
            tasks: TaskTracker::new(),
            kept: TaskTracker::new(),
            roles: Roles::owner(),
            stopping: Flag::new(),
            dropped: Flag::new(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The shared book.
    #[must_use]
    pub fn desk(&self) -> &Arc<Desk> {
        &self.inner.desk
    }

    /// What every container uses.
    #[must_use]
    pub fn usage(&self) -> &usage::Board {
        &self.inner.usage
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Arc<Config> {
        &self.inner.config
    }

    /// Asks every machine once, so that the first login finds the truth; then starts the watchers.
    pub async fn start_watching(&self) {
        let first = self.inner.engines.keys().map(|machine| self.inner.refresh(machine));
        self.inner.watch_clock();
        futures_util::future::join_all(first).await;
        self.inner.watch_all();
    }

    /// Gives a slot and starts its container, or gives what the user has already. An explicit reservation comes
    /// with a password of its own, shown to the one who asked and to nobody else.
    ///
    /// # Errors
    /// Any [`Refusal`] of the book; a start that fails tells through the lease.
    pub fn reserve(&self, who: &Identity, target: Target, cause: Cause) -> Result<Lease, Refusal> {
        self.check_charter(who.user())?;
        let claim = Claim {
            user: who.user().clone(),
            target,
            cause,
            lifetime: self.inner.config.reservation.lifetime,
            auto_reserve: self.inner.config.reservation.auto_reserve,
        };
        let inner = &self.inner;
        let claimed = inner.roles.as_owner(|| {
            if inner.stopping.is_cancelled() {
                return Err(Refusal::ShuttingDown);
            }
            inner.desk.change(|book| {
                let (now, _) = clock::look(book);
                book.claim(&claim, now)
            })
        });
        let Ok(claimed) = claimed else { return Ok(inner.reserve_there(who.clone(), claim.target, cause)) };
        match claimed {
            Ok(Claimed::Already(reservation)) => Ok(self.inner.lease_of(reservation)),
            // Nothing is awaited between the claim and the task that owns it.
            Ok(Claimed::New(reservation)) => {
                let password = (cause == Cause::Explicit).then(password::make).flatten();
                Ok(self.inner.begin_start(reservation, who.clone(), password))
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// The user's live reservation, if it satisfies the target.
    ///
    /// # Errors
    /// [`Refusal::HoldsAnother`], unknown places, [`Refusal::CharterNotAccepted`]
    pub fn lease(&self, user: &UserName, target: &Target) -> Result<Option<Lease>, Refusal> {
        self.check_charter(user)?;
        let known = |book: &Book| book.check_target(target).map(|()| book.of(user).cloned());
        let Some(mine) = self.inner.desk.read(known)? else { return Ok(None) };
        if !target.matches(&mine.slot) {
            return Err(Refusal::HoldsAnother { slot: mine.slot, deadline: mine.deadline });
        }
        Ok(Some(self.inner.lease_of(mine)))
    }

    /// Here, because every way to a container passes here.
    fn check_charter(&self, user: &UserName) -> Result<(), Refusal> {
        if self.inner.charter.is_accepted(user) { Ok(()) } else { Err(Refusal::CharterNotAccepted) }
    }

    /// The way to a reservation's container.
    #[must_use]
    pub fn container(&self, reservation: Reservation) -> Container {
        self.inner.container(reservation)
    }

    /// Ends the user's live reservation. Returns it as it was.
    ///
    /// # Errors
    /// [`Refusal::NothingReserved`]
    pub fn release(&self, user: &UserName) -> Result<Reservation, Refusal> {
        let mine = self.inner.desk.read(|book| book.of(user).cloned());
        let mine = mine.ok_or(Refusal::NothingReserved)?;
        self.inner.end(&mine.id, EndReason::Released).ok_or(Refusal::NothingReserved)
    }

    /// Who has asked for this does not want it any more. What was there before they asked stays.
    pub fn give_back(&self, lease: Lease) {
        let inner = self.inner.clone();
        match lease.reservation() {
            _ if lease.was_found() => {}
            Some(reservation) => drop(inner.end(&reservation.id, EndReason::Released)),
            // Which one it is the other gateway says when it is there; one without a password was there already.
            None => drop(self.inner.kept.spawn(async move {
                if let Ok(Container { reservation, password: Some(_), .. }) = lease.ready().await {
                    inner.end(&reservation.id, EndReason::Released);
                }
            })),
        }
    }

    /// Its agent says that nothing has happened in it for the time that the site has set.
    pub fn end_idle(&self, id: &ReservationId) {
        if self.inner.config.reservation.idle.is_some() {
            self.inner.end(id, EndReason::Idle);
        }
    }

    /// Lets starts and ends under way finish; begins nothing new. Containers run on.
    pub async fn shut_down(&self) {
        self.inner.stopping.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        self.last_starts().await;
    }
}

impl Inner {
    /// Runs a piece of work that may be dropped at any of its pauses, for the next gateway to begin anew.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let dropped = self.dropped.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = task => {}
                () = dropped.cancelled() => {}
            }
        });
    }

    fn watch_all(self: &Arc<Self>) {
        for machine in self.engines.keys() {
            self.spawn(reconcile::watch(self.clone(), machine.clone()));
            self.spawn(reconcile::listen(self.clone(), machine.clone()));
        }
        self.spawn(reap::reap(self.clone()));
        self.spawn(keep::keep(self.clone()));
        self.spawn(usage::keep(self.clone()));
    }

    fn lease_of(self: &Arc<Self>, reservation: Reservation) -> Lease {
        let start = self.starts.lock().unwrap_or_else(PoisonError::into_inner).get(&reservation.id).cloned();
        if start.is_none() && reservation.state == State::Starting {
            return self.lease_from_book(reservation);
        }
        Lease::found(self.container(reservation), start)
    }

    fn container(&self, reservation: Reservation) -> Container {
        let agent = self.agent_address(&reservation);
        Container { reservation, agent, password: None }
    }

    fn agent_address(&self, reservation: &Reservation) -> AgentAddress {
        let published = self.published(&reservation.slot);
        let tls = published.and_then(|address| {
            let keys = self.agent_keys.as_ref()?.client(&reservation.id)?;
            Some(AgentAddress::Tls(TlsAgent { address, keys }))
        });
        tls.unwrap_or_else(|| AgentAddress::Unix { directory: self.run_dir(&reservation.id) })
    }

    /// Where a slot's agent is on the network, if it is.
    fn published(&self, slot: &SlotId) -> Option<SocketAddr> {
        let machine = self.config.machines.iter().find(|machine| machine.name == slot.machine)?;
        machine.agent.published(slot)
    }

    /// The agent's directory on the host.
    fn run_dir(&self, id: &ReservationId) -> PathBuf {
        self.config.store.runtime.join(id.as_str())
    }

    fn engine(&self, machine: &MachineName) -> Option<Arc<dyn Engine>> {
        self.engines.get(machine).cloned()
    }

    /// Marks a reservation as ending and hands it to a task. `None` when it was not live.
    fn end(self: &Arc<Self>, id: &ReservationId, reason: EndReason) -> Option<Reservation> {
        let begun = self.roles.as_owner(|| self.desk.change(|book| book.begin_end(id, reason)));
        let Ok(before) = begun else {
            self.end_there(id, reason);
            return self.desk.read(|book| book.get(id).filter(|r| r.is_live()).cloned());
        };
        let before = before?;
        tracing::info!(reservation = %id, user = %before.user, slot = %before.slot, %reason, "ending");
        // A start under way sees the new state and cleans up after itself.
        if before.state == State::Active {
            self.spawn(close::close(self.clone(), before.clone(), reason, None));
        }
        Some(before)
    }

    /// The container is gone: frees the slot and writes history.
    async fn finish(self: &Arc<Self>, id: &ReservationId, reason: EndReason, detail: Option<String>) {
        let ended = loop {
            let finish = || self.desk.change(|book| book.finish(id, reason, detail.clone(), clock::wall()));
            match self.roles.as_owner(finish) {
                Ok(ended) => break ended,
                Err(Role::Elder(heir)) => return heir.tell(id, Fate::Ended { reason, detail }).await,
                Err(_) => drop(self.roles.heir().await),
            }
        };
        if let Some(ended) = ended {
            self.usage.forget(id, &self.config);
            tracing::info!(reservation = %id, user = %ended.user, slot = %ended.slot, reason = %ended.reason,
                detail = ended.detail.as_deref().unwrap_or_default(), "ended");
            self.audit.note(Event::Ended {
                user: ended.user.clone(),
                slot: ended.slot.clone(),
                reservation: id.clone(),
                reason: ended.reason,
                detail: ended.detail.as_deref().map(crate::text::printable),
            });
            self.write_down(ended).await;
        }
    }

    /// Once the book has let go of it, this must come to its end, also where who waits for it does not.
    async fn write_down(self: &Arc<Self>, ended: Ended) {
        let inner = self.clone();
        let written = self.kept.spawn(async move {
            inner.remove_run_dir(&ended.id).await;
            if let Some(keys) = &inner.agent_keys {
                keys.forget(&ended.id);
            }
            inner.save_end(ended).await;
        });
        let _ = written.await;
    }

    async fn remove_run_dir(&self, id: &ReservationId) {
        match tokio::fs::remove_dir_all(self.run_dir(id)).await {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(reservation = %id, "its run directory stays: {e}");
            }
            _ => {}
        }
    }
}

/// Takes in what the ledger says is running; returns what cannot be, because of a younger one of the same user or in
/// the same slot. If it runs all the same, its machine will say so.
fn adopt_written(book: &mut Book, written: Vec<Reservation>) -> Vec<Reservation> {
    let mut stale = Vec::new();
    for reservation in written {
        let adopted = book.adopt(reservation);
        if let Some(rival) = adopted.rival {
            book.finish(&rival.id, EndReason::Failed, None, Timestamp::now());
            stale.push(rival);
        }
        stale.extend(adopted.displaced);
    }
    stale
}

fn plans(config: &Config) -> Vec<MachinePlan> {
    let machine = |m: &crate::config::Machine| MachinePlan {
        name: m.name.clone(),
        label: m.label.clone(),
        slots: m.slots.iter().map(|s| SlotPlan { id: s.id.clone(), gpus: s.gpus.clone() }).collect(),
    };
    config.machines.iter().map(machine).collect()
}
