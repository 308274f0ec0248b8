//! The page: reserve, see, release, open JupyterLab, all on the state that the menu shows too. The only user of axum.
//!
//! Two origins, on purpose. The page has cookies that act for their owner; JupyterLab (`jupyter`) shows what notebooks
//! hold, which may come from anybody by `/storage`. So JupyterLab has listeners, and with them an origin, of its own:
//! scripts there cannot read the page, and the page takes no form that comes from elsewhere (`guard`). Cookies know no
//! ports: theirs is signed in to by a ticket that is good once, and ours is never passed on to a container.
//!
//! A page is rendered here and complete without scripts. The script asks for the same page again when `live` says
//! that something has changed, and puts in its live parts.

#![allow(
    clippy::result_large_err,
    reason = "what is refused is answered: the error is the response itself, made once"
)]

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::frontdoor::FrontDoor;
use crate::handover::{Inheritance, Place};
use crate::reservation::{MachineName, UserName};
use crate::seats::Seats;

mod address;
mod admin;
mod api;
mod assets;
mod charter;
mod charts;
mod cookies;
mod guard;
mod home;
mod jupyter;
mod keys;
mod layout;
mod limits;
mod live;
mod metrics;
mod queue;
mod reservation;
mod routes;
mod serve;
mod session;
mod sign_in;
mod tls;
mod tokens;
mod visitor;

use address::Names;
use jupyter::Tickets;
use session::Sessions;

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// An address cannot be bound.
    #[error("the page cannot listen on {address}: {source}")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The certificate or its key.
    #[error("the page's certificate or key, {}: {why}", path.display())]
    Certificate {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// A listening socket.
struct Bound {
    place: Place,
    listener: Arc<TcpListener>,
    /// JupyterLab's may be for one machine.
    machine: Option<MachineName>,
}

/// What a handover calls the sockets here.
const PAGE: &str = "page";
const JUPYTER: &str = "jupyter";
/// Of one user's programs.
const ASKS_AT_ONCE: usize = 4;
const METRICS: &str = "metrics";

/// The page, before and while it is served.
pub struct Web {
    site: Arc<Site>,
    bound: Vec<Bound>,
    tls: Option<TlsAcceptor>,
    loops: JoinSet<()>,
    connections: TaskTracker,
    /// From then on connections end after what they are at.
    closing: CancellationToken,
}

impl Web {
    /// Over the rooms it shows. Binds what the configuration names, which may be nothing; what a running gateway offers
    /// is taken from it.
    ///
    /// # Errors
    /// [`WebError`]
    pub fn open(
        config: &Arc<Config>,
        door: FrontDoor,
        mut inheritance: Option<&mut Inheritance>,
    ) -> Result<Self, WebError> {
        let tls = config.web.tls.as_ref().map(tls::load).transpose()?.map(TlsAcceptor::from);
        let pages = config.web.listen.iter().map(|address| (PAGE, *address, None));
        let jupyters = config.web.jupyter.iter().map(|one| (JUPYTER, one.address, one.machine.clone()));
        let metrics = config.metrics.listen.iter().map(|address| (METRICS, *address, None));
        let mut bound = Vec::new();
        for (service, address, machine) in pages.chain(jupyters).chain(metrics) {
            let place = Place { service: service.to_owned(), address };
            let listener = Arc::new(serve::open(&place, inheritance.as_deref_mut())?);
            bound.push(Bound { place, listener, machine });
        }
        let site = Site {
            names: Names::new(config, &bound),
            sessions: Sessions::new(door.ledger.clone(), config.web.session_lifetime),
            tickets: Tickets::new(door.ledger.clone()),
            limits: limits::Limits::new(),
            askers: Seats::new(ASKS_AT_ONCE),
            tasks: TaskTracker::new(),
            config: config.clone(),
            door,
        };
        Ok(Self {
            site: Arc::new(site),
            bound,
            tls,
            loops: JoinSet::new(),
            connections: TaskTracker::new(),
            closing: CancellationToken::new(),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.bound.iter().filter_map(|bound| bound.listener.local_addr().ok()).collect()
    }

    /// The listening sockets, for the gateway that takes over.
    #[must_use]
    pub fn places(&self) -> Vec<(Place, BorrowedFd<'_>)> {
        self.bound.iter().map(|bound| (bound.place.clone(), bound.listener.as_fd())).collect()
    }
}

/// What all requests share.
struct Site {
    config: Arc<Config>,
    door: FrontDoor,
    names: Names,
    sessions: Sessions,
    tickets: Tickets,
    limits: limits::Limits,
    /// Programs that have their containers asked.
    askers: Arc<Seats<UserName>>,
    /// Starts whose password somebody waits for.
    tasks: TaskTracker,
}

impl Site {
    fn https(&self) -> bool {
        self.config.web.tls.is_some()
    }
}

/// Both ends of the connection that a request came by.
#[derive(Debug, Clone, Copy)]
struct Ends {
    peer: SocketAddr,
    local: IpAddr,
}
