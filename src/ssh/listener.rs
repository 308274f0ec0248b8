//! Listening, and what all connections share: limits, counters, the end.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use russh::server::run_stream;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::algorithms::{KEEPALIVES, Offer};
use super::connection::{Connection, Peer};
use super::holders::Holders;
use super::host_keys::{HostKeyError, load_for_server};
use super::tcp::ClientStream;
use crate::audit::Audit;
use crate::auth::Authenticator;
use crate::auth::throttle::Source;
use crate::complaint::Complaint;
use crate::config::{Config, Listen};
use crate::frontdoor::FrontDoor;
use crate::handover::{self, Inheritance, Place};
use crate::reservation::{MachineName, UserName};
use crate::seats::{Seat, Seats};
use crate::workspace::Workspaces;

/// Connections that wait to be accepted while a burst is served.
const BACKLOG: u32 = 4096;
/// Menus of one user, of up to two megabytes each.
const MAX_MENUS: usize = 64;
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
    pub(super) offer: Offer,
    pub(super) config: Arc<Config>,
    pub(super) workspaces: Workspaces,
    pub(super) auth: Authenticator,
    pub(super) door: FrontDoor,
    pub(super) audit: Audit,
    /// Connections of each user.
    pub(super) seats: Arc<Seats<UserName>>,
    /// Screens that are drawn for each user: menus, charters.
    pub(super) menus: Arc<Seats<UserName>>,
    pub(super) holders: Arc<Holders>,
    pub(super) tasks: TaskTracker,
}

/// One listening socket.
struct Bound {
    /// As the configuration has it.
    listen: Listen,
    listener: Arc<TcpListener>,
}

/// The bound addresses, before and while they are served, and the connections that came in by them.
pub struct Listeners {
    bound: Vec<Bound>,
    gateway: Arc<Gateway>,
    limits: Arc<Limits>,
    loops: JoinSet<()>,
    connections: TaskTracker,
    end: CancellationToken,
}

/// What a handover calls the sockets here.
const SERVICE: &str = "ssh";

impl Listeners {
    /// Loads the host keys and binds every address, or none; those that a running gateway offers are taken from it.
    ///
    /// # Errors
    /// [`ServeError`]
    pub fn bind(
        config: Arc<Config>,
        door: FrontDoor,
        mut inheritance: Option<&mut Inheritance>,
    ) -> Result<Self, ServeError> {
        let keys = load_for_server(&config.ssh.host_keys)?;
        let offer = Offer::new(&config.ssh, &config.auth, &keys);
        let mut bound = Vec::new();
        for listen in &config.ssh.listen {
            let opened = open(listen, inheritance.as_deref_mut());
            let listener = opened.map_err(|source| ServeError::Bind { address: listen.address, source })?;
            bound.push(Bound { listen: listen.clone(), listener: Arc::new(listener) });
        }
        let limits = Arc::new(Limits {
            places: Arc::new(Semaphore::new(config.ssh.max_connections)),
            startups: Seats::new(config.ssh.max_startups),
            full: Complaint::default(),
            crowded: Complaint::default(),
        });
        let seats = Seats::new(config.ssh.max_per_user);
        let menus = Seats::new(MAX_MENUS);
        let (workspaces, auth, audit) = (door.workspaces.clone(), door.auth.clone(), door.audit.clone());
        let tasks = TaskTracker::new();
        let holders = Arc::default();
        let gateway = Gateway { offer, config, workspaces, auth, door, audit, seats, menus, holders, tasks };
        Ok(Self {
            bound,
            gateway: Arc::new(gateway),
            limits,
            loops: JoinSet::new(),
            connections: TaskTracker::new(),
            end: CancellationToken::new(),
        })
    }

    /// Where it listens: with port 0 in the configuration, the ports that were given.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.bound.iter().filter_map(|bound| bound.listener.local_addr().ok()).collect()
    }

    /// Accepts connections from here on.
    pub fn accept(&mut self) {
        for Bound { listen, listener } in &self.bound {
            let accept = Accept {
                machine: listen.machine.clone(),
                gateway: self.gateway.clone(),
                limits: self.limits.clone(),
                connections: self.connections.clone(),
                end: self.end.clone(),
            };
            self.loops.spawn(accept.run(listener.clone()));
        }
    }

    /// Accepts no more for now: who comes waits in the sockets' queues.
    pub async fn pause(&mut self) {
        self.loops.shutdown().await;
    }

    /// The listening sockets, for the gateway that takes over.
    #[must_use]
    pub fn places(&self) -> Vec<(Place, BorrowedFd<'_>)> {
        self.bound.iter().map(|bound| (place(&bound.listen), bound.listener.as_fd())).collect()
    }

    /// Closes the listening sockets: who waits in their queues is another's, or refused.
    pub async fn close(&mut self) {
        self.pause().await;
        self.bound.clear();
        self.connections.close();
    }

    /// Waits until the last connection has ended.
    pub async fn served_out(&self) {
        self.connections.wait().await;
        self.gateway.tasks.close();
        self.gateway.tasks.wait().await;
    }

    /// How many connections are open.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.connections.len()
    }

    /// Gives connections `drain` to end by themselves, then ends them.
    pub async fn drain(self, drain: Duration) {
        if timeout(drain, self.connections.wait()).await.is_err() {
            tracing::info!(open = self.connections.len(), "drain is over: closing what is still open");
            self.end.cancel();
            let _ = timeout(drain, self.connections.wait()).await;
        }
        self.gateway.tasks.close();
        let _ = timeout(drain, self.gateway.tasks.wait()).await;
    }
}

fn place(listen: &Listen) -> Place {
    Place { service: SERVICE.to_owned(), address: listen.address }
}

fn open(listen: &Listen, inheritance: Option<&mut Inheritance>) -> std::io::Result<TcpListener> {
    match inheritance.and_then(|inheritance| inheritance.take_listener(&place(listen))) {
        Some(listener) => handover::adopt(listener),
        None => bind(listen.address),
    }
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
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
    async fn run(self, listener: Arc<TcpListener>) {
        loop {
            match listener.accept().await {
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
        let peer = Peer { client, local, machine: self.machine.clone(), in_flight: Arc::default() };
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
    let patience = gateway.config.ssh.keepalive.saturating_mul(1 + KEEPALIVES as u32);
    let stream = ClientStream::new(tcp, end, patience, peer.in_flight.clone());
    let russh = gateway.offer.all.clone();
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
