//! Listening, and what all connections share: limits, counters, the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use russh::server::{Config as RusshConfig, run_stream};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::algorithms::{KEEPALIVES, russh_config};
use super::complaint::Complaint;
use super::connection::{Connection, Peer};
use super::holders::Holders;
use super::host_keys::{HostKeyError, load_for_server};
use super::seats::{Seat, Seats, Source};
use super::tcp::ClientStream;
use crate::audit::Audit;
use crate::auth::Authenticator;
use crate::config::{Config, Listen};
use crate::frontdoor::FrontDoor;
use crate::reservation::{MachineName, UserName};
use crate::workspace::Workspaces;

/// Connections that wait to be accepted while a burst is served.
const BACKLOG: u32 = 4096;
/// After an accept that failed (no descriptors left), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the gateway cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The host keys.
    #[error(transparent)]
    HostKeys(#[from] HostKeyError),
}

/// What all connections share.
pub(super) struct Gateway {
    pub(super) russh: Arc<RusshConfig>,
    pub(super) config: Arc<Config>,
    pub(super) workspaces: Workspaces,
    pub(super) auth: Authenticator,
    pub(super) door: FrontDoor,
    pub(super) audit: Audit,
    pub(super) seats: Arc<Seats<UserName>>,
    pub(super) holders: Arc<Holders>,
    pub(super) tasks: TaskTracker,
}

/// The bound addresses, before and while they are served.
pub struct Listeners {
    bound: Vec<(TcpListener, Option<MachineName>)>,
    gateway: Arc<Gateway>,
}

impl Listeners {
    /// Loads the host keys and binds every address, or none.
    ///
    /// # Errors
    /// [`ServeError`]
    pub fn bind(config: Arc<Config>, door: FrontDoor) -> Result<Self, ServeError> {
        let keys = load_for_server(&config.ssh.host_keys)?;
        let russh = russh_config(&config.ssh, &config.auth, keys);
        let bound = config.ssh.listen.iter().map(bind).collect::<Result<Vec<_>, _>>()?;
        let seats = Seats::new(config.ssh.max_per_user);
        let (workspaces, auth, audit) = (door.workspaces.clone(), door.auth.clone(), door.audit.clone());
        let tasks = TaskTracker::new();
        let holders = Arc::default();
        let gateway = Gateway { russh, config, workspaces, auth, door, audit, seats, holders, tasks };
        Ok(Self { bound, gateway: Arc::new(gateway) })
    }

    /// Where it listens: with port 0 in the configuration, the ports that were given.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.bound.iter().filter_map(|(listener, _)| listener.local_addr().ok()).collect()
    }

    /// Serves until `stopping`, then gives connections `drain` to end by themselves.
    pub async fn serve(self, stopping: CancellationToken, drain: Duration) {
        let end = CancellationToken::new();
        let connections = TaskTracker::new();
        let ssh = &self.gateway.config.ssh;
        let limits = Arc::new(Limits {
            places: Arc::new(Semaphore::new(ssh.max_connections)),
            startups: Seats::new(ssh.max_startups),
            full: Complaint::default(),
            crowded: Complaint::default(),
        });
        let mut loops = JoinSet::new();
        for (listener, machine) in self.bound {
            let accept = Accept {
                machine,
                gateway: self.gateway.clone(),
                limits: limits.clone(),
                connections: connections.clone(),
                end: end.clone(),
            };
            loops.spawn(accept.run(listener, stopping.clone()));
        }
        while loops.join_next().await.is_some() {}
        connections.close();
        if timeout(drain, connections.wait()).await.is_err() {
            tracing::info!(open = connections.len(), "drain is over: closing what is still open");
            end.cancel();
            let _ = timeout(drain, connections.wait()).await;
        }
        self.gateway.tasks.close();
        let _ = timeout(drain, self.gateway.tasks.wait()).await;
    }
}

fn bind(listen: &Listen) -> Result<(TcpListener, Option<MachineName>), ServeError> {
    let address = listen.address;
    let open = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    open()
        .map(|listener| (listener, listen.machine.clone()))
        .map_err(|source| ServeError::Bind { address, source })
}

/// What all listeners together may have open.
struct Limits {
    places: Arc<Semaphore>,
    /// Connections that have not logged in yet, by address: nobody can take all the places without a name.
    startups: Arc<Seats<Source>>,
    full: Complaint,
    crowded: Complaint,
}

impl Limits {
    fn admit(&self, client: SocketAddr) -> Option<(OwnedSemaphorePermit, Seat<Source>)> {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            if let Some(unsaid) = self.full.again(Instant::now()) {
                tracing::warn!(%client, unsaid, "too many connections: closed");
            }
            return None;
        };
        let startup = self.startups.take(client.ip().into());
        if startup.is_none()
            && let Some(unsaid) = self.crowded.again(Instant::now())
        {
            tracing::warn!(%client, unsaid, "too many connections of one address without a login: closed");
        }
        Some((place, startup?))
    }
}

struct Accept {
    machine: Option<MachineName>,
    gateway: Arc<Gateway>,
    limits: Arc<Limits>,
    connections: TaskTracker,
    end: CancellationToken,
}

impl Accept {
    async fn run(self, listener: TcpListener, stopping: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stopping.cancelled() => return,
            };
            match accepted {
                Ok((tcp, client)) => self.admit(tcp, client),
                Err(e) => {
                    tracing::warn!("accept: {e}");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(&self, tcp: TcpStream, client: SocketAddr) {
        let Some((place, startup)) = self.limits.admit(client) else { return };
        let Ok(local) = tcp.local_addr() else { return };
        let peer = Peer { client, local, machine: self.machine.clone() };
        let (gateway, end) = (self.gateway.clone(), self.end.child_token());
        self.connections.spawn(async move {
            serve_connection(gateway, tcp, peer, startup, end).await;
            drop(place);
        });
    }
}

async fn serve_connection(
    gateway: Arc<Gateway>,
    tcp: TcpStream,
    peer: Peer,
    startup: Seat<Source>,
    end: CancellationToken,
) {
    let client = peer.client;
    let grace = gateway.config.ssh.login_grace;
    let authenticated = CancellationToken::new();
    // Whatever happens to this task, the connection's own tasks end with it.
    let _ends = end.clone().drop_guard();
    let stream =
        ClientStream::new(tcp, end, gateway.config.ssh.keepalive.saturating_mul(1 + KEEPALIVES as u32));
    let russh = gateway.russh.clone();
    let connection = Connection::new(gateway, peer, authenticated.clone());
    let serve = async { run_stream(russh, stream, connection).await?.await };
    tokio::pin!(serve);
    let early = tokio::select! {
        ended = &mut serve => Some(ended),
        () = authenticated.cancelled() => None,
        () = sleep(grace) => {
            tracing::info!(%client, "no login within the grace time: closed");
            return;
        }
    };
    drop(startup);
    let ended = match early {
        Some(ended) => ended,
        None => serve.await,
    };
    match ended {
        Ok(()) => tracing::debug!(%client, "connection over"),
        Err(e) => tracing::debug!(%client, "connection over: {e}"),
    }
}
