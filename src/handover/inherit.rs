//! The new gateway's side.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use super::talk::{Talk, TalkError};
use super::wire::{Estate, Place, Question, Reply, VERSION, Word};
use super::{descriptors, path};

/// The elder answers at once, unless it is in the middle of another handover.
const OFFER_LIMIT: Duration = Duration::from_secs(10);
/// Laying down waits a little for work that is nearly done.
const ESTATE_LIMIT: Duration = Duration::from_secs(30);
/// For `clusteria reload`: longer than the owner gives a new gateway.
const RELOAD_LIMIT: Duration = Duration::from_secs(90);

/// Why nothing can be taken over.
#[derive(Debug, thiserror::Error)]
#[error("cannot take over from the gateway that runs")]
pub struct InheritError(#[from] TalkError);

/// What a running gateway offers.
#[derive(Debug)]
pub struct Inheritance {
    talk: Talk,
    /// Its process.
    pub pid: u32,
    /// Its listening sockets; whoever wants one takes it out.
    pub places: Vec<(Place, TcpListener)>,
}

impl Inheritance {
    /// Asks the gateway that runs with this runtime folder. `None` when there is none.
    ///
    /// # Errors
    /// [`InheritError`] when there is one and it will not.
    pub async fn ask(runtime: &Path) -> Result<Option<Self>, InheritError> {
        let Ok(mut talk) = Talk::connect(&path(runtime)).await else { return Ok(None) };
        talk.say(&Question::Inherit { version: VERSION, pid: std::process::id() }).await?;
        let received = tokio::time::timeout(OFFER_LIMIT, descriptors::receive(talk.stream())).await;
        let (line, rights) = received.map_err(|_| TalkError::Late)?.map_err(TalkError::from)?;
        match serde_json::from_slice(&line).map_err(TalkError::Odd)? {
            Reply::Offer { pid, places } => {
                let places = places.into_iter().zip(rights.into_iter().map(TcpListener::from)).collect();
                Ok(Some(Self { talk, pid, places }))
            }
            other => Err(unexpected(other).into()),
        }
    }

    /// Takes the listening socket of a service, if it is among them.
    pub fn take_listener(&mut self, wanted: &Place) -> Option<TcpListener> {
        let at = self.places.iter().position(|(place, _)| place == wanted)?;
        Some(self.places.swap_remove(at).1)
    }

    /// Everything is ready: from now on the elder serves nobody new.
    ///
    /// # Errors
    /// [`InheritError`]: then the elder goes on.
    pub async fn take(&mut self) -> Result<Estate, InheritError> {
        self.talk.say(&Word::Take).await?;
        match self.talk.hear(ESTATE_LIMIT).await? {
            Reply::Estate(estate) => Ok(*estate),
            other => Err(unexpected(other).into()),
        }
    }

    /// The last word: after it this process is the owner.
    ///
    /// # Errors
    /// [`InheritError`]: then the elder goes on.
    pub async fn taken(mut self) -> Result<(), InheritError> {
        self.talk.say(&Word::Taken).await?;
        match self.talk.hear(ESTATE_LIMIT).await? {
            Reply::Yours => Ok(()),
            other => Err(unexpected(other).into()),
        }
    }
}

/// `clusteria reload`: has the running gateway start its binary anew. Returns the new process.
///
/// # Errors
/// [`TalkError`]
pub async fn reload(runtime: &Path) -> Result<u32, TalkError> {
    let mut talk = Talk::connect(&path(runtime)).await?;
    talk.say(&Question::Reload).await?;
    match talk.hear(RELOAD_LIMIT).await? {
        Reply::Reloaded { pid } => Ok(pid),
        other => Err(unexpected(other)),
    }
}

fn unexpected(reply: Reply) -> TalkError {
    match reply {
        Reply::Refused(why) => TalkError::Refused(why),
        _ => TalkError::Refused("it says something else than was asked".into()),
    }
}
