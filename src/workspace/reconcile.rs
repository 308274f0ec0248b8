//! Reconciliation: what runs is the truth. Adopts what is labelled ours, frees what is gone,
//! and never touches what is not ours.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use super::{Inner, clock, close};
use crate::engine::labels::container_name;
use crate::engine::{Engine, EngineError, Found, Labels};
use crate::error_chain::in_full;
use crate::reservation::{Adopted, EndReason, Ended, MachineName, Reservation, ReservationId, State};

/// Below are the system's own.
const FIRST_UID: u32 = 1000;
/// Even when the engine tells of no change.
const PERIOD: Duration = Duration::from_secs(15);
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// Keeps one machine in step for ever.
pub(super) async fn watch(inner: Arc<Inner>, machine: MachineName) {
    let bell = inner.bell(&machine);
    let mut retry = FIRST_RETRY;
    while !inner.stopping.is_cancelled() {
        let pause = if inner.refresh(&machine).await {
            retry = FIRST_RETRY;
            PERIOD
        } else {
            retry = (retry * 2).min(LONGEST_RETRY);
            retry
        };
        tokio::select! {
            () = bell.notified() => {}
            () = sleep(pause) => {}
            () = inner.stopping.cancelled() => {}
        }
    }
}

/// Listens to one engine's events for ever.
pub(super) async fn listen(inner: Arc<Inner>, machine: MachineName) {
    let Some(engine) = inner.engine(&machine) else { return };
    let bell = inner.bell(&machine);
    while !inner.stopping.is_cancelled() {
        tokio::select! {
            broken = engine.listen(&inner.config.cluster.name, &bell) => {
                tracing::debug!(%machine, "events stopped: {broken}");
                bell.notify_one();
                sleep(FIRST_RETRY).await;
            }
            () = inner.stopping.cancelled() => {}
        }
    }
}

impl Inner {
    pub(super) fn bell(&self, machine: &MachineName) -> Arc<Notify> {
        self.bells.get(machine).cloned().unwrap_or_default()
    }

    /// Brings one machine's part of the book in step. True when the machine answers.
    pub(super) async fn refresh(self: &Arc<Self>, machine: &MachineName) -> bool {
        let Some(engine) = self.engine(machine) else { return false };
        let before = self.desk.read(|book| book.held().map(|r| r.id.clone()).collect());
        let outcome = match engine.list(&self.config.cluster.name).await {
            Ok(found) => self.reconcile(engine.as_ref(), machine, found, &before).await,
            Err(e) => Err(e),
        };
        let reason = outcome.err().map(|e| crate::text::printable(&e.to_string()));
        let answers = reason.is_none();
        let is_news = self.desk.read(|book| book.offline(machine) != reason.as_deref());
        if is_news {
            tracing::info!(%machine, reason = reason.as_deref().unwrap_or("it answers"), "machine");
            self.desk.change(|book| book.set_offline(machine, reason));
        }
        answers
    }

    async fn reconcile(
        self: &Arc<Self>,
        engine: &dyn Engine,
        machine: &MachineName,
        found: Vec<Found>,
        before: &HashSet<ReservationId>,
    ) -> Result<(), EngineError> {
        let mut running = HashMap::new();
        for container in found {
            match &container.labels {
                Err(why) => tracing::warn!(%machine, container = container.key.0, "left alone: {why}"),
                // Machines may share an engine (the demo does): each looks after its own.
                Ok(labels) if labels.slot.machine != *machine => {}
                Ok(labels) if container.running => {
                    running.insert(labels.reservation.clone(), labels.clone());
                }
                Ok(labels) => self.clear_stopped(engine, &container, labels).await?,
            }
        }
        for labels in running.values() {
            if self.is_unknown(engine, labels, before).await? {
                self.adopt(labels).await;
            }
        }
        self.find_lost(engine, machine, &running).await
    }

    /// A stopped container of ours, unless it is just being started or ended, only holds a name.
    async fn clear_stopped(
        &self,
        engine: &dyn Engine,
        container: &Found,
        labels: &Labels,
    ) -> Result<(), EngineError> {
        let state = self.desk.read(|book| book.get(&labels.reservation).map(|r| r.state));
        match state {
            Some(State::Starting | State::Ending(_)) => Ok(()),
            Some(State::Active) | None => match engine.remove(&container.key).await {
                // One container that does not go does not take its machine from everybody.
                Err(e) if !e.is_unreachable() => {
                    tracing::warn!(container = container.key.0, "stopped, and cannot be removed: {e}");
                    Ok(())
                }
                outcome => outcome,
            },
        }
    }

    /// The list may be older than an end: what was held when it was asked for and is not any more has just ended,
    /// and what has come and gone meanwhile is not found by its name.
    async fn is_unknown(
        &self,
        engine: &dyn Engine,
        labels: &Labels,
        before: &HashSet<ReservationId>,
    ) -> Result<bool, EngineError> {
        let id = &labels.reservation;
        let is_held = || self.desk.read(|book| book.get(id).is_some());
        if is_held() || before.contains(id) {
            return Ok(false);
        }
        let name = container_name(&self.config.cluster.name, &labels.slot);
        let found = engine.find(&self.config.cluster.name, &name).await?.filter(|found| found.running);
        let runs = found.and_then(|found| found.labels.ok()).is_some_and(|labels| labels.reservation == *id);
        Ok(runs && !is_held())
    }

    async fn adopt(self: &Arc<Self>, labels: &Labels) {
        let reservation = Reservation {
            id: labels.reservation.clone(),
            user: labels.user.clone(),
            slot: labels.slot.clone(),
            started: clock::wall(),
            deadline: labels.deadline,
            state: State::Active,
        };
        tracing::info!(reservation = %reservation.id, user = %reservation.user, slot = %reservation.slot,
            "adopted");
        self.keep_uid(labels).await;
        let Adopted { displaced, rival } = self.desk.change(|book| book.adopt(reservation.clone()));
        if let Err(e) = self.ledger.run(move |l| l.note_reservation(&reservation)).await {
            tracing::warn!("an adopted reservation is not in the ledger: {}", in_full(&e));
        }
        if let Some(displaced) = displaced {
            let ended = lost(&displaced);
            self.desk.change(|book| book.remember(ended.clone()));
            self.remove_run_dir(&displaced.id).await;
            self.save_end(ended).await;
        }
        if let Some(rival) = rival {
            tracing::warn!(reservation = %rival.id, user = %rival.user, slot = %rival.slot,
                "ending: this user has a younger one");
            let detail = "you had two reservations: the younger one goes on".to_owned();
            self.spawn(close::close(self.clone(), rival, EndReason::Failed, Some(detail)));
        }
    }

    /// Their files carry the id that the container runs with: a ledger that does not know them gives it again.
    async fn keep_uid(&self, labels: &Labels) {
        let (user, uid) = (labels.user.clone(), labels.uid);
        if uid < FIRST_UID {
            return;
        }
        if let Err(e) = self.ledger.run(move |l| l.keep_uid(&user, uid)).await {
            tracing::warn!(user = %labels.user, "the user id {uid} is not kept: {}", in_full(&e));
        }
    }

    /// What the book holds as active here but does not run has ended without us.
    async fn find_lost(
        self: &Arc<Self>,
        engine: &dyn Engine,
        machine: &MachineName,
        running: &HashMap<ReservationId, Labels>,
    ) -> Result<(), EngineError> {
        let missing: Vec<Reservation> = self.desk.read(|book| {
            book.held()
                .filter(|r| r.slot.machine == *machine && r.state == State::Active)
                .filter(|r| !running.contains_key(&r.id))
                .cloned()
                .collect()
        });
        for reservation in missing {
            // The list may be older than a container that has just started: ask again by name.
            let name = container_name(&self.config.cluster.name, &reservation.slot);
            let still = engine.find(&self.config.cluster.name, &name).await?.filter(|f| f.running);
            let runs =
                still.and_then(|f| f.labels.ok()).is_some_and(|labels| labels.reservation == reservation.id);
            if !runs {
                let ended = lost(&reservation);
                self.finish(&reservation.id, ended.reason, ended.detail).await;
            }
        }
        Ok(())
    }
}

/// A container that went without our doing: at its deadline by its agent, else for a reason of its own.
pub(super) fn lost(reservation: &Reservation) -> Ended {
    let now = clock::wall();
    // The agent counts on another clock: a little early is still the deadline.
    let expired = reservation.left(now) < Duration::from_secs(2);
    Ended {
        id: reservation.id.clone(),
        user: reservation.user.clone(),
        slot: reservation.slot.clone(),
        at: now,
        reason: if expired { EndReason::Expired } else { EndReason::Failed },
        detail: (!expired).then(|| "the container stopped".to_owned()),
    }
}
