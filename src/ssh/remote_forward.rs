//! Remote forwards (`ssh -R`): asked for, listened to, cancelled. RFC 4254 section 7.1, OpenSSH's PROTOCOL
//! section 2.4.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use russh::server::GlobalReply;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::remote::{Kind, Remote};
use super::visit::in_words;
use crate::agent::protocol::Listen;
use crate::bridge::{self, AgentAddress, Listener};
use crate::complaint::Complaint;
use crate::error_chain::in_full;
use crate::text::{Lang, printable};
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

impl std::fmt::Display for Spot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { address, port } => write!(f, "{}:{port}", printable(address)),
            Self::Unix { path } => f.write_str(&printable(path)),
        }
    }
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
pub(super) struct RemoteForwards {
    open: Mutex<HashMap<Spot, Open>>,
    /// Open and under way.
    places: Semaphore,
    refused: Complaint,
}

impl Default for RemoteForwards {
    fn default() -> Self {
        let places = Semaphore::new(MAX_FORWARDS);
        Self { open: Mutex::default(), places, refused: Complaint::default() }
    }
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
        let Ok(_place) = self.places.try_acquire() else { return };
        let opened = tokio::select! {
            opened = listen(&remote, &spot) => opened,
            () = remote.over.cancelled() => return,
        };
        let (container, listener) = match opened {
            Ok(opened) => opened,
            Err(why) => return self.complain(&remote, &why),
        };
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

    /// Once in a while: a client may ask as often as it likes.
    fn complain(&self, remote: &Remote, why: &str) {
        if let Some(unsaid) = self.refused.again(Instant::now()) {
            let user = remote.visit.guest.identity.user();
            tracing::info!(%user, unsaid, "remote forward refused: {why}");
        }
    }

    /// Ends a listener; answered when its port or path is free again.
    pub(super) async fn cancel(self: Arc<Self>, spot: Spot, reply: GlobalReply) {
        let Some(open) = self.open().remove(&spot) else { return };
        open.stop.cancel();
        let _ = timeout(CANCEL_LIMIT, open.ended).await;
        reply.success(Vec::new());
    }
}

/// The reason of a refusal is for the log: the protocol has no place for it.
async fn listen(remote: &Remote, spot: &Spot) -> Result<(AgentAddress, Listener), String> {
    let visit = &remote.visit;
    if !visit.has_reservation() {
        let _ = timeout(SESSION_PAUSE, visit.channels.session_asked()).await;
    }
    let container = visit.container().await.map_err(|refusal| in_words(&refusal, Lang::En))?.agent;
    let listener = bridge::listen(&container, spot.listen()).await.map_err(|e| in_full(&e))?;
    Ok((container, listener))
}
