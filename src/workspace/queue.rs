//! The queue made real: joined, left, kept in step with what is free, and written down.

use std::sync::PoisonError;

use super::role::Role;
use super::{Inner, Workspaces, clock};
use crate::auth::Identity;
use crate::error_chain::in_full;
use crate::handover::Waits;
use crate::reservation::view::WaitingView;
use crate::reservation::{Book, Refusal, Target, UserName};

impl Workspaces {
    /// A place in the queue. Where something is free it is held for them at once.
    ///
    /// # Errors
    /// [`Refusal::HoldsAnother`], unknown places, [`Refusal::CharterNotAccepted`], [`Refusal::QueueFull`],
    /// [`Refusal::TooMuchAtOnce`], [`Refusal::ShuttingDown`]
    pub fn join_queue(&self, who: &Identity, target: &Target) -> Result<(), Refusal> {
        self.queue_at_once(Waits::Joins { who: Box::new(who.clone()), target: target.clone() })
    }

    /// Gives up a place in the queue, and what was held.
    ///
    /// # Errors
    /// [`Refusal::NotQueued`]
    pub fn leave_queue(&self, user: &UserName) -> Result<(), Refusal> {
        self.queue_at_once(Waits::Leaves { user: user.clone() })
    }

    /// For who cannot wait: during a handover it is done after it.
    fn queue_at_once(&self, waits: Waits) -> Result<(), Refusal> {
        self.queue_here(&waits).unwrap_or_else(|_| self.inner.queue_there(waits))
    }

    /// Joins or leaves, at whoever is the owner, and it is written down before it is told. Returns their place.
    ///
    /// # Errors
    /// Those of [`join_queue`](Self::join_queue) and [`leave_queue`](Self::leave_queue)
    pub async fn queue(&self, waits: Waits) -> Result<Option<WaitingView>, Refusal> {
        loop {
            if let Some(heir) = self.heir().await {
                return heir.queue(waits).await;
            }
            // A handover that has just begun is waited for.
            let Ok(outcome) = self.queue_here(&waits) else { continue };
            outcome?;
            self.save_queue().await;
            let view = self.inner.desk.read(|book| book.view(clock::moment().wall));
            return Ok(view.waiting(waits.user()).cloned());
        }
    }

    /// Unless another is the owner.
    fn queue_here(&self, waits: &Waits) -> Result<Result<(), Refusal>, Role> {
        let Inner { desk, stopping, .. } = &*self.inner;
        match waits {
            Waits::Leaves { user } => {
                self.inner.roles.as_owner(|| desk.change(|book| book.leave(user, clock::moment().wall)))
            }
            Waits::Joins { who, target } => {
                if let Err(refusal) = self.check_charter(who.user()) {
                    return Ok(Err(refusal));
                }
                self.inner.roles.as_owner(|| {
                    if stopping.is_cancelled() {
                        return Err(Refusal::ShuttingDown);
                    }
                    desk.change(|book| {
                        let (now, _) = clock::look(book);
                        book.join(who.user(), target, now)
                    })
                })
            }
        }
    }

    /// Writes the queue down, so that it survives a restart. What cannot be written now is written later.
    pub async fn save_queue(&self) {
        self.inner.save_queue().await;
    }
}

impl Inner {
    /// Whose turn is it? And whose turn is over?
    pub(super) fn settle_queue(&self) {
        self.desk.change_if(|book| book.settle(clock::moment().wall));
    }

    /// The owner's alone: a gateway that was replaced has a copy only.
    pub(super) async fn save_queue(&self) {
        if self.roles.as_owner(|| ()).is_err() {
            return;
        }
        let revision = self.desk.read(|book| book.queue().revision());
        if *self.saved_queue.lock().unwrap_or_else(PoisonError::into_inner) == Some(revision) {
            return;
        }
        let desk = self.desk.clone();
        let newest = move || desk.read(|book: &Book| book.queue().clone());
        match self.ledger.run(move |l| l.save_queue(newest)).await {
            Ok(saved) => *self.saved_queue.lock().unwrap_or_else(PoisonError::into_inner) = Some(saved),
            Err(e) => tracing::error!("the queue is not in the ledger yet: {}", in_full(&e)),
        }
    }
}
