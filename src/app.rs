//! The composition root: makes every room, hands each what it needs, and ends them in order.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

mod elder;
mod office;
mod signals;
mod successor;

pub use successor::remember_binary;

use elder::Elder;
use office::Office;
use successor::Successor;

use crate::agent::protocol::BINARY_NAME;
use crate::audit::{Audit, AuditError, Event};
use crate::auth::{AuthError, Authenticator};
use crate::charter::{Charter, CharterError};
use crate::config::{Config, Machine};
use crate::engine::Engine;
use crate::engine::docker::DockerEngine;
use crate::error_chain::in_full;
use crate::frontdoor::FrontDoor;
use crate::handover::{self, Bequest, Heir, InheritError, Inheritance, Request, Server, Socket};
use crate::reservation::MachineName;
use crate::ssh::{Listeners, ServeError};
use crate::store::{Ledger, StoreError};
use crate::web::{Web, WebError};
use crate::workspace::Workspaces;

/// How long connections may take to end by themselves when the gateway stops.
const DRAIN: Duration = Duration::from_secs(5);
/// Starts and ends under way get this long; what is not done then is found by the next gateway.
const LAST_WORK: Duration = Duration::from_secs(20);
/// Where packages put the agent, if it is not beside the gateway's own binary.
const PACKAGED_AGENT: &str = "/usr/lib/clusteria/clusteria-agent";

/// Why the gateway does not run.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] StoreError),
    /// Logging in.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The charter.
    #[error(transparent)]
    Charter(#[from] CharterError),
    /// The audit log.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// Listening.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The page.
    #[error(transparent)]
    Web(#[from] WebError),
    /// A gateway runs and nothing can be taken over from it.
    #[error(transparent)]
    Inherit(#[from] InheritError),
    /// The socket by which gateways find each other.
    #[error("cannot listen on the gateways' socket in [store] runtime: {0}")]
    Socket(#[source] std::io::Error),
    /// The agent's binary is not where it should be.
    #[error("the agent's binary is neither beside this one nor at {PACKAGED_AGENT}: install clusteria-agent")]
    NoAgent,
    /// Signals.
    #[error("cannot listen to signals: {0}")]
    Signals(#[source] std::io::Error),
}

/// Runs the gateway until it is told to stop, or a newer one has taken over and its connections have ended.
///
/// # Errors
/// [`AppError`], before anything is served. A gateway that was to be replaced then goes on.
pub async fn serve(config: Config) -> Result<(), AppError> {
    let config = Arc::new(config);
    let audit = Audit::open(config.audit.path.as_deref())?;
    let (stopping, hangup) = signals::listen()?;
    let agent = agent_binary()?;
    let ledger = Ledger::open(&config.store.path)?;
    let auth = Authenticator::new(ledger.clone(), &config.auth, audit.clone())?;
    let charter = Charter::open(config.cluster.charter.as_ref(), &ledger, &audit)?;
    let engines: BTreeMap<MachineName, Arc<dyn Engine>> =
        config.machines.iter().map(|machine| (machine.name.clone(), engine(machine, &agent))).collect();
    let workspaces =
        Workspaces::open(config.clone(), ledger.clone(), engines, charter.clone(), audit.clone())?;
    let door = FrontDoor::new(workspaces, auth, charter, audit.clone(), ledger).until(stopping.clone());
    let mut inheritance = Inheritance::ask(&config.store.runtime).await?;
    let mut listeners = Listeners::bind(config.clone(), door.clone(), inheritance.as_mut())?;
    let mut page = Web::open(&config, door.clone(), inheritance.as_mut())?;
    let (requests, asked) = mpsc::channel(1);
    let open_socket = || Socket::open(&config.store.runtime).map_err(AppError::Socket);
    let socket = match inheritance {
        Some(mut from) => {
            let pid = from.pid;
            let estate = from.take().await?;
            let socket = open_socket()?;
            from.taken().await?;
            door.workspaces.inherit(estate);
            audit.note(Event::Gateway { act: "taken over" });
            tracing::info!(pid, "taken over from the gateway that ran");
            socket
        }
        None => {
            let socket = open_socket()?;
            door.workspaces.start_watching().await;
            audit.note(Event::Gateway { act: "started" });
            socket
        }
    };
    let server = Server::serve(socket, door.clone(), requests, stopping.clone());
    // Whoever reads that it listens finds everything there.
    let office = Office::open(&door);
    for address in page.addresses() {
        tracing::info!("the page listens on {address}");
    }
    for address in listeners.addresses() {
        tracing::info!("listening on {address}");
    }
    listeners.accept();
    page.accept();
    let owner = Owner { office, listeners, page, server, door, stopping, hangup };
    signals::tell_ready();
    owner.serve(asked).await;
    Ok(())
}

/// The gateway that decides.
struct Owner {
    listeners: Listeners,
    page: Web,
    office: Office,
    server: Server,
    door: FrontDoor,
    stopping: CancellationToken,
    hangup: Signal,
}

impl Owner {
    async fn serve(mut self, mut asked: mpsc::Receiver<Request>) {
        let (failed, mut failures) = mpsc::channel::<String>(1);
        let mut successor: Option<Successor> = None;
        loop {
            let tell = tokio::select! {
                () = self.stopping.cancelled() => return self.stop().await,
                _ = self.hangup.recv() => {
                    self.door.audit.reopen();
                    None
                }
                Some(why) = failures.recv() => {
                    if let Some(successor) = successor.take() {
                        successor.give_up(&why);
                    }
                    continue;
                }
                Some(request) = asked.recv() => match request {
                    Request::Reload(tell) => Some(tell),
                    Request::HandOver(bequest) => match self.hand_over(bequest).await {
                        Ok(elder) => {
                            drop(failures);
                            if let Some(successor) = successor.take() {
                                successor.done();
                            }
                            return elder.serve_out().await;
                        }
                        Err(owner) => {
                            self = *owner;
                            continue;
                        }
                    },
                },
            };
            match &successor {
                Some(one) => tracing::warn!(pid = one.pid, "a new gateway is starting already"),
                None => successor = Successor::start(tell, failed.clone()),
            }
        }
    }

    /// Either the other is the owner, or nothing has changed.
    async fn hand_over(mut self, mut bequest: Bequest) -> Result<Elder, Box<Self>> {
        tracing::info!(pid = bequest.pid, "a new gateway wants to take over");
        if let Err(e) = bequest.offer([self.listeners.places(), self.page.places()].concat()).await {
            tracing::warn!("it does not: {}", in_full(&e));
            return Err(Box::new(self));
        }
        self.listeners.pause().await;
        self.page.pause().await;
        self.office.close().await;
        let estate = self.door.workspaces.lay_down().await;
        match bequest.give(estate).await {
            Ok(()) => {
                let heir = Heir::new(handover::path(&self.door.workspaces.config().store.runtime));
                self.door.workspaces.retire(heir.clone());
                self.listeners.close().await;
                self.page.close().await;
                let Self { listeners, page, server, door, stopping, hangup, .. } = self;
                Ok(Elder { listeners, page, server, door, heir, stopping, hangup })
            }
            Err(e) => {
                tracing::error!("the new gateway did not take over, this one goes on: {}", in_full(&e));
                self.door.workspaces.take_up_again();
                if let Err(e) = self.server.open_again() {
                    tracing::error!("nobody can take over until a restart: {e}");
                }
                self.office = Office::open(&self.door);
                self.listeners.accept();
                self.page.accept();
                Err(Box::new(self))
            }
        }
    }

    async fn stop(mut self) {
        self.listeners.close().await;
        self.page.close().await;
        tokio::join!(self.listeners.drain(DRAIN), self.page.drain(DRAIN));
        if tokio::time::timeout(LAST_WORK, self.door.workspaces.shut_down()).await.is_err() {
            tracing::warn!("some work is not done: the next gateway will find it");
        }
        self.office.close().await;
        self.server.close(DRAIN).await;
        self.door.audit.note(Event::Gateway { act: "stopped" });
        tracing::info!("stopped; containers run on");
    }
}

pub(crate) fn engine(machine: &Machine, agent: &std::path::Path) -> Arc<dyn Engine> {
    Arc::new(DockerEngine::new(&machine.engine, agent))
}

/// Beside our own binary, as cargo and packages put it.
pub(crate) fn agent_binary() -> Result<PathBuf, AppError> {
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(BINARY_NAME)));
    [beside, Some(PathBuf::from(PACKAGED_AGENT))]
        .into_iter()
        .flatten()
        .find(|path| path.is_file())
        .ok_or(AppError::NoAgent)
}
