//! What we say on one channel. Data waits for the peer's window; the end is said in OpenSSH's order.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use russh::server::{Handle, Msg};
use russh::{ChannelId, ChannelWriteHalf, Sig};

use super::in_flight::InFlight;
use crate::bridge::Exit;

/// RFC 4254 section 5.2: extended data of type 1 is standard error.
const STDERR: u32 = 1;
/// Returned to the window in portions of this size: an eighth of it, so that the client never waits.
const REFUND: u32 = super::algorithms::WINDOW / 8;
/// ssh's own status for "it did not come to a command".
pub(super) const STATUS_REFUSED: u32 = 255;

/// Our side of a channel.
pub(super) struct Outgoing {
    write: ChannelWriteHalf<Msg>,
    handle: Handle,
    eof_is_said: AtomicBool,
}

/// The channel or its connection is gone.
#[derive(Debug)]
pub(super) struct Gone;

impl Outgoing {
    pub(super) fn new(mut write: ChannelWriteHalf<Msg>, handle: Handle, in_flight: &InFlight) -> Self {
        write.limit_in_flight(in_flight.limit());
        Self { write, handle, eof_is_said: AtomicBool::new(false) }
    }

    pub(super) fn id(&self) -> ChannelId {
        self.write.id()
    }

    pub(super) async fn stdout(&self, data: impl Into<Bytes>) -> Result<(), Gone> {
        self.write.data_bytes(data).await.map_err(|_| Gone)
    }

    pub(super) async fn stderr(&self, data: impl Into<Bytes>) -> Result<(), Gone> {
        self.write.extended_data_bytes(STDERR, data).await.map_err(|_| Gone)
    }

    /// Exit status or signal, then EOF, then CLOSE.
    pub(super) async fn finish(&self, exit: &Exit) {
        match exit {
            Exit::Status(status) => self.exit_status(u32::from(*status)).await,
            Exit::Signal { name, core } => {
                let signal = Sig::Custom(name.clone());
                let none = String::new;
                let _ = self.handle.exit_signal_request(self.id(), signal, *core, none(), none()).await;
            }
            Exit::TakenOver => self.exit_status(0).await,
            Exit::Lost => self.exit_status(STATUS_REFUSED).await,
        }
        self.close().await;
    }

    async fn exit_status(&self, status: u32) {
        let _ = self.write.exit_status(status).await;
    }

    /// A refusal: words on standard error, ssh's own status.
    pub(super) async fn refuse(&self, words: &str) {
        let _ = self.stderr(format!("{words}\r\n")).await;
        self.exit_status(STATUS_REFUSED).await;
        self.close().await;
    }

    /// EOF and CLOSE without a status: the end of a forward.
    pub(super) async fn close(&self) {
        self.eof().await;
        let _ = self.write.close().await;
    }

    /// Once: asyncssh takes a second one for a broken protocol and ends the whole connection.
    pub(super) async fn eof(&self) {
        if !self.eof_is_said.swap(true, Ordering::Relaxed) {
            let _ = self.write.eof().await;
        }
    }

    pub(super) fn refund(&self) -> Refund<'_> {
        Refund { outgoing: self, owed: 0 }
    }
}

/// Gives consumed bytes back to the client's window.
pub(super) struct Refund<'a> {
    outgoing: &'a Outgoing,
    owed: u32,
}

impl Refund<'_> {
    pub(super) fn consumed(&mut self, bytes: usize) {
        self.owed = self.owed.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        if self.owed >= REFUND {
            let _ = self.outgoing.handle.adjust_window(self.outgoing.id(), self.owed);
            self.owed = 0;
        }
    }
}
