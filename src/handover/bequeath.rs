//! The running gateway's side of a handover.

use std::net::TcpListener;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use super::descriptors;
use super::talk::{Talk, TalkError, line};
use super::wire::{Estate, Place, Reply, Word};

/// From the offer to *take*: the new gateway opens everything meanwhile.
pub const TAKE_LIMIT: Duration = Duration::from_secs(20);
/// From the estate to *taken*: nothing is left to be done then.
const TAKEN_LIMIT: Duration = Duration::from_secs(5);

/// A new gateway that wants to take over, and the way to it.
#[derive(Debug)]
pub struct Bequest {
    talk: Talk,
    /// Its process.
    pub pid: u32,
}

impl Bequest {
    pub(super) fn new(talk: Talk, pid: u32) -> Self {
        Self { talk, pid }
    }

    /// Hands copies of the listening sockets over and waits until the heir is ready.
    ///
    /// # Errors
    /// [`TalkError`]: nothing has changed.
    pub async fn offer(&mut self, places: Vec<(Place, BorrowedFd<'_>)>) -> Result<(), TalkError> {
        let (places, rights): (Vec<Place>, Vec<BorrowedFd<'_>>) =
            places.into_iter().take(descriptors::MOST).unzip();
        let offer = line(&Reply::Offer { pid: std::process::id(), places })?;
        descriptors::send(self.talk.stream(), &offer, &rights).await?;
        self.expect(Word::Take, TAKE_LIMIT).await
    }

    /// Gives the estate and waits until the heir has it.
    ///
    /// # Errors
    /// [`TalkError`]: the heir has got nothing, and knows it.
    pub async fn give(&mut self, estate: Estate) -> Result<(), TalkError> {
        self.talk.say(&Reply::Estate(Box::new(estate))).await?;
        self.expect(Word::Taken, TAKEN_LIMIT).await?;
        self.talk.say(&Reply::Yours).await
    }

    async fn expect(&mut self, wanted: Word, limit: Duration) -> Result<(), TalkError> {
        let word: Word = self.talk.hear(limit).await?;
        if word == wanted { Ok(()) } else { Err(TalkError::Refused("it is out of step".into())) }
    }

    /// Says why not.
    pub async fn refuse(mut self, why: &str) {
        let _ = self.talk.say(&Reply::Refused(why.to_owned())).await;
    }
}

/// A listening socket as the heir takes it: tokio wants it as `std` has it.
///
/// # Errors
/// When the runtime cannot have it.
pub fn adopt(listener: TcpListener) -> std::io::Result<tokio::net::TcpListener> {
    listener.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(listener)
}
