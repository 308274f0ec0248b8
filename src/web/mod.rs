//! The page: reserve, see, release, open JupyterLab, all on the state that the menu shows too. The only user of axum.
//!
//! Two origins, on purpose. The page has cookies that act for their owner; JupyterLab (`jupyter`) shows what notebooks
//! hold, which may come from anybody by `/storage`. So JupyterLab has listeners, and with them an origin, of its own:
//! scripts there cannot read the page, and the page takes no form that comes from elsewhere (`guard`). Cookies know no
//! ports: theirs is signed in to by a ticket that is good once, and ours is never passed on to a container.
//!
//! A page is rendered here and complete without scripts. The script asks for the same page again when [`live`] says
//! that something has changed, and puts in its live parts.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::frontdoor::FrontDoor;
use crate::reservation::MachineName;

mod address;
mod admin;
mod api;
mod assets;
mod charter;
mod charts;
mod guard;
mod home;
mod jupyter;
mod keys;
mod layout;
mod limits;
mod live;
mod metrics;
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
use session::{Seal, Sessions};

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
    /// The system has no randomness.
    #[error("no randomness for the page: {0}")]
    Randomness(getrandom::Error),
}

/// Listeners that are bound already: by [`Bound::bind`], or handed over by the gateway before.
#[derive(Debug, Default)]
pub struct Bound {
    /// The page's.
    pub page: Vec<TcpListener>,
    /// JupyterLab's, with the machine that each is for.
    pub jupyter: Vec<(TcpListener, Option<MachineName>)>,
    /// For programs that watch the gateway.
    pub metrics: Option<TcpListener>,
}

impl Bound {
    /// Binds what the configuration names.
    ///
    /// # Errors
    /// [`WebError::Bind`]
    pub fn bind(config: &Config) -> Result<Self, WebError> {
        let page = config.web.listen.iter().map(|address| serve::bind(*address)).collect::<Result<_, _>>()?;
        let jupyter = config.web.jupyter.iter();
        let jupyter = jupyter.map(|listen| Ok((serve::bind(listen.address)?, listen.machine.clone())));
        let metrics = config.metrics.listen.map(serve::bind).transpose()?;
        Ok(Self { page, jupyter: jupyter.collect::<Result<_, WebError>>()?, metrics })
    }

    /// Where they listen.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let jupyter = self.jupyter.iter().map(|(listener, _)| listener);
        self.page
            .iter()
            .chain(jupyter)
            .chain(&self.metrics)
            .filter_map(|listener| listener.local_addr().ok())
            .collect()
    }
}

/// The page, ready to be served.
pub struct Web {
    site: Arc<Site>,
    bound: Bound,
    tls: Option<Arc<rustls::ServerConfig>>,
}

impl Web {
    /// Over the rooms it shows. `None` when the configuration wants neither page nor metrics.
    ///
    /// # Errors
    /// [`WebError`]
    pub fn new(config: &Arc<Config>, door: FrontDoor, bound: Bound) -> Result<Option<Self>, WebError> {
        if bound.addresses().is_empty() {
            return Ok(None);
        }
        let tls = config.web.tls.as_ref().map(tls::load).transpose()?;
        let site = Site {
            names: Names::new(config, &bound),
            sessions: Sessions::new(config.web.session_lifetime),
            tickets: Tickets::default(),
            seal: Seal::new().map_err(WebError::Randomness)?,
            limits: limits::Limits::new(),
            tasks: TaskTracker::new(),
            config: config.clone(),
            door,
        };
        Ok(Some(Self { site: Arc::new(site), bound, tls }))
    }
}

/// What all requests share.
struct Site {
    config: Arc<Config>,
    door: FrontDoor,
    names: Names,
    sessions: Sessions,
    tickets: Tickets,
    seal: Seal,
    limits: limits::Limits,
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
