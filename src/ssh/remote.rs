//! What the container opens towards the client: connections to remote forwards, to the client's ssh-agent
//! and to its X11 display. Each connection in the container becomes a channel that the gateway opens.

use std::sync::Arc;

use russh::server::Msg;
use russh::{Channel, Error};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::outgoing::Outgoing;
use super::pump;
use super::visit::Visit;
use crate::agent::protocol::Listen;
use crate::bridge::{self, Accepted, AgentAddress, BridgeError, Listener};
use crate::error_chain::in_full;

/// Channels that one listener may have offered to the client without an answer yet.
const OFFERED: usize = 64;

/// In the audit log: something of the client's own that the container may use from now on.
const LENT: &str = "lent to the container";

/// How a channel is opened for a connection in the container.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// RFC 4254 section 7.2; the address as the client wrote it, so that it knows it again.
    Tcp { address: String, port: u16 },
    /// OpenSSH's PROTOCOL section 2.4.
    Unix { path: String },
    /// auth-agent@openssh.com
    Agent,
    /// RFC 4254 section 6.3.2; once only if the client wants it so.
    X11 { once: bool },
}

/// One connection's ways back to its client.
pub(super) struct Remote {
    pub(super) visit: Arc<Visit>,
    /// The socket for the client's ssh-agent: in which container, and its path there.
    agent: Mutex<Option<(AgentAddress, String)>>,
    /// The connection is over.
    pub(super) over: CancellationToken,
}

impl Remote {
    pub(super) fn new(visit: Arc<Visit>) -> Self {
        Self { visit, agent: Mutex::new(None), over: CancellationToken::new() }
    }

    /// SSH_AUTH_SOCK for a session in this container; the same for all sessions of the connection there. A connection
    /// may outlive a reservation: in the next one's container there is another socket.
    pub(super) async fn agent_socket(self: &Arc<Self>, container: &AgentAddress) -> Option<String> {
        // Held while it is opened, so that two sessions that start at once get one socket.
        let mut lent = self.agent.lock().await;
        if let Some((there, path)) = lent.as_ref()
            && there == container
        {
            return Some(path.clone());
        }
        let listened =
            self.listen(container, Listen::AgentSocket, Kind::Agent, self.over.child_token()).await;
        let path = noted("agent forwarding", listened)?;
        *lent = Some((container.clone(), path.clone()));
        self.visit.note_forward(LENT, "ssh-agent");
        Some(path)
    }

    /// DISPLAY for a session, for as long as `session` is not cancelled.
    pub(super) async fn display(
        self: &Arc<Self>,
        container: &AgentAddress,
        x11: X11,
        session: CancellationToken,
    ) -> Option<String> {
        let kind = Kind::X11 { once: x11.once };
        let wanted = Listen::X11 { protocol: x11.protocol, cookie: x11.cookie, screen: x11.screen };
        let display = noted("X11 forwarding", self.listen(container, wanted, kind, session).await)?;
        self.visit.note_forward(LENT, "display");
        Some(display)
    }

    async fn listen(
        self: &Arc<Self>,
        container: &AgentAddress,
        wanted: Listen,
        kind: Kind,
        stop: CancellationToken,
    ) -> Result<String, BridgeError> {
        let listener = bridge::listen(container, wanted).await?;
        let place = listener.place.clone();
        let (own, container) = (self.clone(), container.clone());
        self.visit.gateway.tasks.spawn(async move { own.serve(container, listener, kind, stop).await });
        Ok(place)
    }

    /// Until it is stopped, the connection is over, or the container has gone.
    pub(super) async fn serve(
        self: Arc<Self>,
        container: AgentAddress,
        mut listener: Listener,
        kind: Kind,
        stop: CancellationToken,
    ) {
        tokio::select! {
            () = self.offer_all(&container, &mut listener, &kind) => {}
            () = stop.cancelled() => {}
            () = self.over.cancelled() => {}
        }
        listener.close().await;
    }

    async fn offer_all(self: &Arc<Self>, container: &AgentAddress, listener: &mut Listener, kind: &Kind) {
        let offered = Arc::new(Semaphore::new(OFFERED));
        while let Ok(place) = offered.clone().acquire_owned().await {
            let Some(accepted) = listener.accept().await else { return };
            let (own, container, offer) = (self.clone(), container.clone(), kind.clone());
            self.visit.gateway.tasks.spawn(async move {
                tokio::select! {
                    () = own.carry(&container, &accepted, &offer, place) => {}
                    () = own.over.cancelled() => {}
                }
            });
            if matches!(kind, Kind::X11 { once: true }) {
                return;
            }
        }
    }

    /// One connection in the container, from its announcement to its end.
    async fn carry(
        &self,
        container: &AgentAddress,
        accepted: &Accepted,
        kind: &Kind,
        place: OwnedSemaphorePermit,
    ) {
        // Fetched first: dropping it closes it, whatever the client says.
        let stream = match bridge::take(container, accepted.token).await {
            Ok(stream) => stream,
            Err(e) => return tracing::debug!("a connection in the container: {}", in_full(&e)),
        };
        if self.visit.channels.is_full() {
            return;
        }
        let Ok(channel) = self.open(kind, accepted).await else { return };
        drop(place);
        // Put there by the connection when the client confirmed, so that its first bytes found a place.
        let Some(inbox) = self.visit.channels.inbox(channel.id()) else { return };
        let (_, write) = channel.split();
        let outgoing = Outgoing::new(write, self.visit.handle.clone(), &self.visit.guest.peer.in_flight);
        pump::connection(stream, &outgoing, &inbox).await;
        self.visit.channels.remove(outgoing.id());
    }

    async fn open(&self, kind: &Kind, from: &Accepted) -> Result<Channel<Msg>, Error> {
        let (handle, port) = (&self.visit.handle, u32::from(from.port));
        match kind {
            Kind::Tcp { address, port: own } => {
                handle.channel_open_forwarded_tcpip(address, u32::from(*own), &from.address, port).await
            }
            Kind::Unix { path } => handle.channel_open_forwarded_streamlocal(path).await,
            Kind::Agent => handle.channel_open_agent().await,
            Kind::X11 { .. } => handle.channel_open_x11(&from.address, port).await,
        }
    }
}

/// A session goes on without what could not be opened for it, as with sshd.
fn noted(what: &str, opened: Result<String, BridgeError>) -> Option<String> {
    opened.inspect_err(|e| tracing::info!("{what}: {}", in_full(e))).ok()
}

/// What an x11-req asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct X11 {
    pub(super) once: bool,
    pub(super) protocol: String,
    pub(super) cookie: String,
    pub(super) screen: u32,
}
