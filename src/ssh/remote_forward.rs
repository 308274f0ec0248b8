//! Remote forwards (`ssh -R`): asked for, listened to, cancelled. RFC 4254 section 7.1, OpenSSH's PROTOCOL
//! section 2.4.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use russh::server::GlobalReply;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::remote::{Kind, Remote};
use super::visit::in_words;
use crate::agent::protocol::Listen;
use crate::bridge::{self, AgentAddress, Listener};
use crate::error_chain::in_full;
use crate::text::Lang;
use crate::wire::Fields;

/// Listeners of one connection.
const MAX_FORWARDS: usize = 64;
/// `ssh -R` asks for its forwards before it asks for its session. Without a reservation this is how long a
/// session may take to come, so that its menu, and not the forward, decides where to work.
const SESSION_PAUSE: Duration = Duration::from_secs(1);
/// For a listener to be gone.
const CANCEL_LIMIT: Duration = Duration::from_secs(10);

/// What to listen on, as the client names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Spot {
    /// The address is only a name here: the container's loopback is listened on, as with `GatewayPorts no`.
    Tcp {
        address: String,
        port: u16,
    },
    Unix {
        path: String,
    },
}

impl Spot {
    pub(super) fn tcp(payload: &Bytes) -> Option<Self> {
        let mut fields = Fields::new(payload);
        let (address, port) = (fields.text()?, u16::try_from(fields.number()?).ok()?);
        fields.is_over().then_some(Self::Tcp { address, port })
    }

    pub(super) fn unix(payload: &Bytes) -> Option<Self> {
        let mut fields = Fields::new(payload);
        let path = fields.text()?;
        fields.is_over().then_some(Self::Unix { path })
    }

    fn listen(&self) -> Listen {
        match self {
            Self::Tcp { port, .. } => Listen::Tcp { port: *port },
            Self::Unix { path } => Listen::Unix { path: path.clone() },
        }
    }

    /// With the port that was given where any would do.
    fn at(self, bound: u16) -> Self {
        match self {
            Self::Tcp { address, .. } => Self::Tcp { address, port: bound },
            Self::Unix { path } => Self::Unix { path },
        }
    }

    fn kind(&self) -> Kind {
        match self.clone() {
            Self::Tcp { address, port } => Kind::Tcp { address, port },
            Self::Unix { path } => Kind::Unix { path },
        }
    }
}

/// The remote forwards of one connection.
#[derive(Default)]
pub(super) struct RemoteForwards {
    open: Mutex<HashMap<Spot, Open>>,
}

struct Open {
    stop: CancellationToken,
    /// Resolves when the listener has ended.
    ended: oneshot::Receiver<()>,
}

impl RemoteForwards {
    fn open(&self) -> MutexGuard<'_, HashMap<Spot, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens in the container and answers; dropping the reply is a refusal.
    pub(super) async fn begin(self: Arc<Self>, remote: Arc<Remote>, spot: Spot, reply: GlobalReply) {
        if self.open().len() >= MAX_FORWARDS {
            return;
        }
        let opened = tokio::select! {
            opened = listen(&remote, &spot) => opened,
            () = remote.over.cancelled() => return,
        };
        let Some((container, listener)) = opened else { return };
        let any_port = matches!(spot, Spot::Tcp { port: 0, .. });
        let spot = spot.at(listener.port);
        let (tell_ended, ended) = oneshot::channel();
        let stop = CancellationToken::new();
        self.open().insert(spot.clone(), Open { stop: stop.clone(), ended });
        reply.success(if any_port { u32::from(listener.port).to_be_bytes().to_vec() } else { Vec::new() });
        remote.serve(container, listener, spot.kind(), stop).await;
        self.open().remove(&spot);
        let _ = tell_ended.send(());
    }

    /// Ends a listener; answered when its port or path is free again.
    pub(super) async fn cancel(self: Arc<Self>, spot: Spot, reply: GlobalReply) {
        let Some(open) = self.open().remove(&spot) else { return };
        open.stop.cancel();
        let _ = timeout(CANCEL_LIMIT, open.ended).await;
        reply.success(Vec::new());
    }
}

async fn listen(remote: &Remote, spot: &Spot) -> Option<(AgentAddress, Listener)> {
    let visit = &remote.visit;
    if !visit.has_reservation() {
        let _ = timeout(SESSION_PAUSE, visit.channels.session_asked()).await;
    }
    let user = visit.guest.identity.user();
    let container = match visit.container().await {
        Ok(container) => container.agent,
        Err(refusal) => {
            tracing::info!(%user, "remote forward refused: {}", in_words(&refusal, Lang::En));
            return None;
        }
    };
    match bridge::listen(&container, spot.listen()).await {
        Ok(listener) => Some((container, listener)),
        Err(e) => {
            tracing::info!(%user, "remote forward refused: {}", in_full(&e));
            None
        }
    }
}
