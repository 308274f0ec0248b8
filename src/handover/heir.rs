//! The way from a gateway that was replaced to the owner, whoever that is by now.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::talk::{Talk, TalkError};
use super::wire::{Asked, Fate, Question, Reply, Waits};
use crate::auth::{Identity, ReservationPassword};
use crate::error_chain::in_full;
use crate::frontdoor::Answer;
use crate::reservation::view::WaitingView;
use crate::reservation::{Cause, EndReason, Picture, Refusal, Reservation, ReservationId, Target};

/// The owner may just be starting again.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);
/// A start may have an image to fetch.
const ANSWER_LIMIT: Duration = Duration::from_secs(3600);
/// How long an owner is looked for who must know what came of a start.
const TELL_LIMIT: Duration = Duration::from_secs(600);

/// The owner's socket. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Heir {
    socket: PathBuf,
}

impl Heir {
    /// The owner at this path.
    #[must_use]
    pub fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    async fn ask(&self, question: &Question, limit: Duration) -> Result<Talk, TalkError> {
        let limit = Instant::now() + limit;
        loop {
            match Talk::connect(&self.socket).await {
                Ok(mut talk) => {
                    talk.say(question).await?;
                    return Ok(talk);
                }
                Err(e) if Instant::now() >= limit => return Err(e),
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    async fn answer(&self, question: &Question) -> Result<Reply, TalkError> {
        self.ask(question, CONNECT_LIMIT).await?.hear(ANSWER_LIMIT).await
    }

    /// Runs a front-door command. `None` when no owner answers.
    pub async fn command(&self, asked: Asked) -> Option<Answer> {
        match self.answer(&Question::Command(Box::new(asked))).await {
            Ok(Reply::Answer(answer)) => Some(*answer),
            other => unanswered(other),
        }
    }

    /// Gives a slot, as the owner's own `reserve`.
    ///
    /// # Errors
    /// Any [`Refusal`]
    pub async fn reserve(
        &self,
        who: Identity,
        target: Target,
        cause: Cause,
    ) -> Result<(Reservation, Option<ReservationPassword>), Refusal> {
        let question = Question::Reserve { who: Box::new(who), target, cause };
        match self.answer(&question).await {
            Ok(Reply::Reserved(outcome)) => outcome.map(|granted| (granted.reservation, granted.password)),
            other => unanswered(other).unwrap_or(Err(Refusal::ShuttingDown)),
        }
    }

    /// Ends a reservation there.
    pub async fn end(&self, id: &ReservationId, reason: EndReason) {
        if let Err(e) = self.answer(&Question::End { id: id.clone(), reason }).await {
            tracing::warn!(reservation = %id, "it was not ended: {}", in_full(&e));
        }
    }

    /// Joins or leaves the queue there. Returns their place.
    ///
    /// # Errors
    /// Any [`Refusal`]
    pub async fn queue(&self, waits: Waits) -> Result<Option<WaitingView>, Refusal> {
        match self.answer(&Question::Queue(waits)).await {
            Ok(Reply::Queued(outcome)) => outcome,
            // An older one says no more.
            Ok(Reply::Noted) => Ok(None),
            other => unanswered(other).unwrap_or(Err(Refusal::ShuttingDown)),
        }
    }

    /// Tells what came of something under way.
    pub async fn tell(&self, id: &ReservationId, fate: Fate) {
        let question = Question::Told { id: id.clone(), fate };
        let limit = Instant::now() + TELL_LIMIT;
        loop {
            let told = async { self.ask(&question, TELL_LIMIT).await?.hear::<Reply>(CONNECT_LIMIT).await };
            match told.await {
                Ok(_) => return,
                // It was about to take over and did not: whoever is the owner then is told. Twice is as good as once.
                Err(TalkError::Io(_) | TalkError::Gone) if Instant::now() < limit => sleep(PAUSE).await,
                Err(e) => {
                    return tracing::warn!(reservation = %id, "the new gateway was not told of it: {}", in_full(&e));
                }
            }
        }
    }

    /// Listens to what is held from now on.
    ///
    /// # Errors
    /// [`TalkError`]
    pub async fn follow(&self) -> Result<Follower, TalkError> {
        let question = Question::Follow { pid: std::process::id() };
        Ok(Follower { talk: self.ask(&question, Duration::ZERO).await? })
    }
}

/// `None`, and a line in the log: its words are the owner's, not for the user.
fn unanswered<T>(outcome: Result<Reply, TalkError>) -> Option<T> {
    match outcome {
        Ok(other) => tracing::warn!("the new gateway answers something else: {other:?}"),
        Err(e) => tracing::warn!("the new gateway: {}", in_full(&e)),
    }
    None
}

/// An open ear.
#[derive(Debug)]
pub struct Follower {
    talk: Talk,
}

/// What the owner says unasked.
#[derive(Debug)]
pub enum Followed {
    /// What is held now.
    Picture(Picture),
    /// All gateways are to stop.
    Stop,
}

impl Follower {
    /// The next news; `None` when this owner has gone. Not cancel-safe.
    pub async fn next(&mut self) -> Option<Followed> {
        match self.talk.hear_for_ever().await {
            Ok(Reply::Picture(picture)) => Some(Followed::Picture(*picture)),
            Ok(Reply::Stop) => Some(Followed::Stop),
            _ => None,
        }
    }
}
