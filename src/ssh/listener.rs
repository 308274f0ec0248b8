//! Listening, and what all connections share: limits, counters, the end.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::server::{Config as RusshConfig, run_stream};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::algorithms::russh_config;
use super::connection::{Connection, Peer};
use super::host_keys::{HostKeyError, load_for_server};
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
    pub(super) config: Arc<Config>,
    pub(super) workspaces: Workspaces,
    pub(super) auth: Authenticator,
    pub(super) door: FrontDoor,
    pub(super) audit: Audit,
    pub(super) seats: Arc<Seats>,
    pub(super) tasks: TaskTracker,
}

/// Connections of each user.
#[derive(Debug)]
pub(super) struct Seats {
    limit: usize,
    taken: Mutex<HashMap<UserName, usize>>,
}

/// One of a user's connections, counted for as long as it lives.
pub(super) struct Seat {
    seats: Arc<Seats>,
    user: UserName,
}

impl Seats {
    pub(super) fn take(self: &Arc<Self>, user: &UserName) -> Option<Seat> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(user.clone()).or_default();
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Seat { seats: self.clone(), user: user.clone() })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.user);
            }
        }
    }
}

/// The bound addresses, before and while they are served.
pub struct Listeners {
    bound: Vec<(TcpListener, Option<MachineName>)>,
    russh: Arc<RusshConfig>,
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
        let seats = Arc::new(Seats { limit: config.ssh.max_per_user, taken: Mutex::default() });
        let (workspaces, auth, audit) = (door.workspaces.clone(), door.auth.clone(), door.audit.clone());
        let gateway = Gateway { config, workspaces, auth, door, audit, seats, tasks: TaskTracker::new() };
        Ok(Self { bound, russh, gateway: Arc::new(gateway) })
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
        let places = Arc::new(Semaphore::new(self.gateway.config.ssh.max_connections));
        let mut loops = JoinSet::new();
        for (listener, machine) in self.bound {
            let accept = Accept {
                machine,
                russh: self.russh.clone(),
                gateway: self.gateway.clone(),
                places: places.clone(),
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

struct Accept {
    machine: Option<MachineName>,
    russh: Arc<RusshConfig>,
    gateway: Arc<Gateway>,
    places: Arc<Semaphore>,
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
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            tracing::warn!(%client, "too many connections: closed");
            return;
        };
        let Ok(local) = tcp.local_addr() else { return };
        let peer = Peer { client, local, machine: self.machine.clone() };
        let (russh, gateway, end) = (self.russh.clone(), self.gateway.clone(), self.end.child_token());
        self.connections.spawn(async move {
            serve_connection(russh, gateway, tcp, peer, end).await;
            drop(place);
        });
    }
}

async fn serve_connection(
    russh: Arc<RusshConfig>,
    gateway: Arc<Gateway>,
    tcp: TcpStream,
    peer: Peer,
    end: CancellationToken,
) {
    let client = peer.client;
    let grace = gateway.config.ssh.login_grace;
    let authenticated = CancellationToken::new();
    // Whatever happens to this task, the connection's own tasks end with it.
    let _ends = end.clone().drop_guard();
    let stream = ClientStream::new(tcp, end);
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
    let ended = match early {
        Some(ended) => ended,
        None => serve.await,
    };
    match ended {
        Ok(()) => tracing::debug!(%client, "connection over"),
        Err(e) => tracing::debug!(%client, "connection over: {e}"),
    }
}
