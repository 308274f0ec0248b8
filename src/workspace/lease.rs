//! A lease: the promise of a container, which is ready now, soon, or not at all.

use tokio::sync::watch;

use crate::auth::ReservationPassword;
use crate::bridge::AgentAddress;
use crate::engine::Stage;
use crate::reservation::{Refusal, Reservation};

/// How far a start has come.
#[derive(Debug, Clone)]
pub enum Start {
    /// At this step; `None` before the first.
    Working(Option<Stage>),
    /// The agent answers.
    Ready,
    /// The agent answers; another gateway has made it.
    Granted(Container),
    /// It came to nothing.
    Failed(Refusal),
}

/// A running container and the way to it.
#[derive(Debug, Clone)]
pub struct Container {
    /// The reservation it runs for.
    pub reservation: Reservation,
    /// Where its agent is.
    pub agent: AgentAddress,
    /// The reservation's password, for the one who has just made it: to be shown once.
    pub password: Option<ReservationPassword>,
}

/// A reservation whose container runs or is being started.
#[derive(Debug, Clone)]
pub struct Lease {
    /// Unless another gateway is still to say which.
    container: Option<Container>,
    start: Option<watch::Receiver<Start>>,
    /// It was there before it was asked for.
    found: bool,
}

impl Lease {
    /// Of what has just been claimed.
    pub(super) fn claimed(container: Container, start: watch::Receiver<Start>) -> Self {
        Self { container: Some(container), start: Some(start), found: false }
    }

    /// Of what was there already.
    pub(super) fn found(container: Container, start: Option<watch::Receiver<Start>>) -> Self {
        Self { container: Some(container), start, found: true }
    }

    /// Of a container that another gateway makes.
    pub(super) fn elsewhere(start: watch::Receiver<Start>) -> Self {
        Self { container: None, start: Some(start), found: false }
    }

    /// Was it there before it was asked for? Then somebody else may count on it.
    #[must_use]
    pub fn was_found(&self) -> bool {
        self.found
    }

    /// What for; `None` until another gateway has said which.
    #[must_use]
    pub fn reservation(&self) -> Option<&Reservation> {
        self.container.as_ref().map(|container| &container.reservation)
    }

    /// Waits for the container.
    ///
    /// # Errors
    /// Why it came to nothing.
    pub async fn ready(mut self) -> Result<Container, Refusal> {
        while self.progress().await.is_some() {}
        self.outcome()
    }

    /// How far the start is now, while there is one.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        match &*self.start.as_ref()?.borrow() {
            Start::Working(stage) => stage.clone(),
            Start::Ready | Start::Granted(_) | Start::Failed(_) => None,
        }
    }

    /// Is the start under way still?
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.start.as_ref().is_some_and(|start| matches!(&*start.borrow(), Start::Working(_)))
    }

    /// The next step of the start; `None` when it is over. Cancel-safe.
    pub async fn progress(&mut self) -> Option<Option<Stage>> {
        let start = self.start.as_mut()?;
        start.changed().await.ok()?;
        match &*start.borrow_and_update() {
            Start::Working(stage) => Some(stage.clone()),
            Start::Ready | Start::Granted(_) | Start::Failed(_) => None,
        }
    }

    /// How it ended, once [`Lease::progress`] has given `None`.
    ///
    /// # Errors
    /// Why it came to nothing.
    pub fn outcome(self) -> Result<Container, Refusal> {
        match self.start.as_ref().map(|start| start.borrow().clone()) {
            None | Some(Start::Ready) => self.container.ok_or(Refusal::Cancelled),
            Some(Start::Granted(container)) => Ok(container),
            Some(Start::Failed(refusal)) => Err(refusal),
            Some(Start::Working(_)) => Err(Refusal::Cancelled),
        }
    }
}
