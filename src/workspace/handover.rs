//! What only one gateway may do, laid down by one and taken up by the next.
//!
//! Starts stay with the process that began them, because somebody waits for them there; the owner is told what came
//! of them. Everything else is begun anew by the owner: it is idempotent.

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::role::Role;
use super::{Container, Inner, Lease, Start, Workspaces, close};
use crate::auth::Identity;
use crate::handover::{Estate, Fate, Heir, Waits};
use crate::reservation::{Cause, EndReason, Picture, Refusal, Reservation, ReservationId, State, Target};

/// Work that ends by itself within this time does; the rest is dropped, for the heir to begin anew.
const LAY_DOWN: Duration = Duration::from_millis(100);
/// Dropping is done at the next pause of each task.
const DROP: Duration = Duration::from_secs(2);
/// How often it is looked whether the process of a start still lives.
const LOOK: Duration = Duration::from_secs(1);

impl Workspaces {
    /// The owner, when that is another process. Waits while it is being decided.
    pub async fn heir(&self) -> Option<Heir> {
        self.inner.roles.heir().await
    }

    /// Stops all that only one gateway may do, and tells what there is to take over.
    pub async fn lay_down(&self) -> Estate {
        let inner = &self.inner;
        inner.roles.change(Role::HandingOver);
        inner.stopping.cancel();
        inner.tasks.close();
        if timeout(LAY_DOWN, inner.tasks.wait()).await.is_err() {
            inner.dropped.cancel();
            if timeout(DROP, inner.tasks.wait()).await.is_err() {
                tracing::warn!(tasks = inner.tasks.len(), "some work does not let itself be dropped");
            }
        }
        let pid = std::process::id();
        let own =
            inner.starts.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect::<Vec<_>>();
        let mut starters: Vec<_> = own.into_iter().map(|id| (id, pid)).collect();
        starters.extend(inner.elsewhere().iter().map(|(id, pid)| (id.clone(), *pid)));
        Estate { picture: inner.desk.read(|book| book.picture(Timestamp::MIN)), starters }
    }

    /// The handover came to nothing: goes on as before.
    pub fn take_up_again(&self) {
        let inner = &self.inner;
        inner.stopping.reset();
        inner.dropped.reset();
        inner.tasks.reopen();
        inner.roles.change(Role::Owner);
        inner.begin();
    }

    /// Another gateway is the owner from here on.
    pub fn retire(&self, heir: Heir) {
        self.inner.roles.change(Role::Elder(heir));
    }

    /// Takes up what another gateway has laid down.
    pub fn inherit(&self, estate: Estate) {
        let inner = &self.inner;
        inner.desk.change(|book| book.copy(estate.picture));
        inner.elsewhere().extend(estate.starters);
        inner.begin();
    }

    /// The owner's news, for a gateway that serves out its connections.
    pub async fn copy(&self, picture: Picture) {
        for reservation in picture.held() {
            // Who holds one has accepted the charter; perhaps over there.
            let _ = self.inner.charter.look_again(&reservation.user).await;
        }
        self.inner.desk.change(|book| book.copy(picture));
        self.inner.retry_unsaved().await;
    }

    /// Somebody on an older gateway's connection gives up what they have.
    pub fn end(&self, id: &ReservationId, reason: EndReason) {
        drop(self.inner.end(id, reason));
    }

    /// Another gateway tells what came of a start or an end that it had under way. If this is not the owner any more,
    /// the owner is told.
    pub async fn told(&self, id: &ReservationId, fate: Fate) {
        let inner = &self.inner;
        let note = || {
            inner.elsewhere().remove(id);
            match fate {
                Fate::Active if inner.desk.change(|book| book.activate(id)) => {}
                Fate::Active => inner.close_ending(id),
                Fate::Left => inner.look_for_itself(id),
                Fate::Ended { .. } => {}
            }
        };
        while inner.roles.as_owner(note).is_err() {
            if let Some(heir) = self.heir().await {
                return heir.tell(id, fate).await;
            }
        }
        if let Fate::Ended { reason, detail } = fate {
            inner.finish(id, reason, detail).await;
        }
    }

    /// Waits for starts under way, after which nothing here is anybody's any more.
    pub async fn last_starts(&self) {
        self.inner.kept.close();
        self.inner.kept.wait().await;
    }
}

impl Inner {
    pub(super) fn elsewhere(
        &self,
    ) -> std::sync::MutexGuard<'_, std::collections::HashMap<ReservationId, u32>> {
        self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that the owner does by itself.
    fn begin(self: &Arc<Self>) {
        self.watch_all();
        let held: Vec<Reservation> = self.desk.read(|book| book.held().cloned().collect());
        for reservation in held {
            let starter = self.elsewhere().get(&reservation.id).copied();
            match (reservation.state, starter) {
                (_, Some(pid)) => self.spawn(await_starter(self.clone(), reservation.id, pid)),
                (State::Ending(_), None) if !self.starts_here(&reservation.id) => {
                    self.close_ending(&reservation.id)
                }
                (State::Starting, None) if !self.starts_here(&reservation.id) => {
                    self.look_for_itself(&reservation.id);
                }
                _ => {}
            }
        }
    }

    fn starts_here(&self, id: &ReservationId) -> bool {
        self.starts.lock().unwrap_or_else(PoisonError::into_inner).contains_key(id)
    }

    /// Begins the end of what is marked as ending.
    fn close_ending(self: &Arc<Self>, id: &ReservationId) {
        let found = self.desk.read(|book| book.get(id).cloned());
        if let Some(reservation) = found
            && let State::Ending(reason) = reservation.state
        {
            self.spawn(close::close(self.clone(), reservation, reason, None));
        }
    }

    /// Nobody can tell any more what came of a start: the engine can.
    fn look_for_itself(self: &Arc<Self>, id: &ReservationId) {
        let slot = self.desk.read(|book| book.get(id).map(|r| r.slot.clone()));
        let Some(slot) = slot else { return };
        if self.desk.change(|book| book.activate(id)) {
            self.bell(&slot.machine).notify_one();
        } else {
            self.close_ending(id);
        }
    }

    /// What a gateway without a word in it does with a request for a slot: the owner gives it.
    pub(super) fn reserve_there(self: &Arc<Self>, who: Identity, target: Target, cause: Cause) -> Lease {
        let (tell, start) = watch::channel(Start::Working(None));
        let inner = self.clone();
        let Some(question) = self.questions.take(who.user().clone()) else {
            tell.send_replace(Start::Failed(Refusal::TooMuchAtOnce));
            return Lease::elsewhere(start);
        };
        // Not among the tasks that a handover waits for.
        self.kept.spawn(async move {
            let outcome = match inner.roles.heir().await {
                Some(heir) => heir.reserve(who, target, cause).await,
                // It is ours after all; asking again is easy.
                None => Err(Refusal::ShuttingDown),
            };
            drop(question);
            tell.send_replace(match outcome {
                Ok((reservation, password)) => {
                    Start::Granted(Container { password, ..inner.container(reservation) })
                }
                Err(refusal) => Start::Failed(refusal),
            });
        });
        Lease::elsewhere(start)
    }

    /// Somebody joins or leaves the queue, which is the owner's: told to whoever that is once it has been decided, in the
    /// background. The next picture shows it.
    pub(super) fn queue_there(self: &Arc<Self>, waits: Waits) -> Result<(), Refusal> {
        let inner = self.clone();
        let question = self.questions.take(waits.user().clone()).ok_or(Refusal::TooMuchAtOnce)?;
        self.kept.spawn(async move {
            let _question = question;
            let owner = Workspaces { inner };
            if let Err(refusal) = owner.queue(waits).await {
                tracing::info!(?refusal, "the queue, after a handover");
            }
        });
        Ok(())
    }

    /// The lease of a start that another process carries out: its state in the book tells.
    pub(super) fn lease_from_book(self: &Arc<Self>, reservation: Reservation) -> Lease {
        let (tell, start) = watch::channel(Start::Working(None));
        let (inner, id) = (self.clone(), reservation.id.clone());
        tokio::spawn(async move {
            let mut changes = inner.desk.changes();
            let outcome = loop {
                match inner.desk.read(|book| book.get(&id).map(|r| r.state)) {
                    Some(State::Active) => break Start::Ready,
                    Some(State::Ending(_)) | None => break Start::Failed(Refusal::Cancelled),
                    Some(State::Starting) => {}
                }
                tokio::select! {
                    _ = changes.changed() => {}
                    () = tell.closed() => return,
                }
            };
            tell.send_replace(outcome);
        });
        Lease::found(self.container(reservation), Some(start))
    }

    /// A task that ends because this is not the owner any more: the owner must know that it is not done.
    pub(super) async fn leave(&self, id: &ReservationId) {
        if let Some(heir) = self.roles.heir().await {
            heir.tell(id, Fate::Left).await;
        }
    }

    /// The user gives up what the owner has: told there, in the background.
    pub(super) fn end_there(self: &Arc<Self>, id: &ReservationId, reason: EndReason) {
        let (inner, id) = (self.clone(), id.clone());
        // Who asks for it again and again has asked.
        let Some(telling) = self.ends.take(id.clone()) else { return };
        self.kept.spawn(async move {
            let _telling = telling;
            match inner.roles.heir().await {
                Some(heir) => heir.end(&id, reason).await,
                None => drop(inner.end(&id, reason)),
            }
        });
    }
}

/// A start under way in another process, until it is told what came of it or that process has gone.
async fn await_starter(inner: Arc<Inner>, id: ReservationId, pid: u32) {
    let mut changes = inner.desk.changes();
    while inner.elsewhere().contains_key(&id) {
        if !Path::new(&format!("/proc/{pid}")).exists() {
            tracing::warn!(reservation = %id, pid, "the gateway that was starting it is gone");
            inner.elsewhere().remove(&id);
            return inner.look_for_itself(&id);
        }
        tokio::select! {
            _ = changes.changed() => {}
            () = sleep(LOOK) => {}
            () = inner.stopping.cancelled() => return,
        }
    }
}
