//! Listeners in a container, as the gateway holds them.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::frames::read_frame;
use super::{AgentAddress, BridgeError, ControlSender, Conversation, Stream, dial, request, unexpected};
use crate::agent::protocol::{Event, Listen, MAX_FRAME, Reply, Request};

/// An agent closes a listener at once.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// A listener in a container. Dropping it ends it; [`Listener::close`] also waits until it has ended.
#[derive(Debug)]
pub struct Listener {
    /// A socket's path, or the value for DISPLAY; empty for a TCP port. Printable.
    pub place: String,
    /// The TCP port, or 0.
    pub port: u16,
    events: Conversation,
    control: ControlSender,
}

/// A connection that waits to be fetched with [`take`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Which.
    pub token: u64,
    /// The other end's address; empty for a Unix socket. Printable.
    pub address: String,
    /// The other end's port, or 0.
    pub port: u16,
}

/// Listens in a container, with the user's rights.
///
/// # Errors
/// [`BridgeError`]
pub async fn listen(address: &AgentAddress, wanted: Listen) -> Result<Listener, BridgeError> {
    let (link, reply) = request(address, &Request::Listen(wanted)).await?;
    match reply {
        Reply::Listening { place, port } => {
            let (events, control) = link.into_halves();
            let place = crate::text::printable(&place);
            Ok(Listener { place, port, events, control: ControlSender(control) })
        }
        other => Err(unexpected(other)),
    }
}

/// Fetches a connection that was announced.
///
/// # Errors
/// [`BridgeError`]
pub async fn take(address: &AgentAddress, token: u64) -> Result<Stream, BridgeError> {
    dial(address, Request::Take { token }).await
}

impl Listener {
    /// The next connection, or `None` when the container has gone. Not to be cancelled half-way, unless the
    /// listener is closed next.
    pub async fn accept(&mut self) -> Option<Accepted> {
        match read_frame(&mut self.events, MAX_FRAME).await {
            Ok(Event::Accepted { token, address, port }) => {
                Some(Accepted { token, address: crate::text::printable(&address), port })
            }
            Ok(_) | Err(_) => None,
        }
    }

    /// Ends it. When this returns, its port or path is free again.
    pub async fn close(mut self) {
        let _ = self.control.0.shutdown().await;
        let drained = async { while matches!(self.events.read(&mut [0; 1024]).await, Ok(1..)) {} };
        let _ = timeout(CLOSE_LIMIT, drained).await;
    }
}
