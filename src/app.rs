//! The composition root: makes every room, hands each what it needs, and ends them in order.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::agent::protocol::BINARY_NAME;
use crate::audit::{Audit, AuditError, Event};
use crate::auth::{AuthError, Authenticator};
use crate::charter::{Charter, CharterError};
use crate::config::{AgentTransport, Config, EngineAddress, Machine};
use crate::engine::Engine;
use crate::engine::docker::DockerEngine;
use crate::frontdoor::{FrontDoor, inside, local};
use crate::reservation::MachineName;
use crate::ssh::{Listeners, ServeError};
use crate::store::{Ledger, StoreError};
use crate::web::{self, Web, WebError};
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
    /// The agent's binary is not where it should be.
    #[error("the agent's binary is neither beside this one nor at {PACKAGED_AGENT}: install clusteria-agent")]
    NoAgent,
    /// Signals.
    #[error("cannot listen to signals: {0}")]
    Signals(#[source] std::io::Error),
}

/// Runs the gateway until it is told to stop.
///
/// # Errors
/// [`AppError`], before anything is served.
pub async fn serve(config: Config) -> Result<(), AppError> {
    let config = Arc::new(config);
    let audit = Audit::open(config.audit.path.as_deref())?;
    let stopping = stop_on_signals(audit.clone())?;
    let ledger = Ledger::open(&config.store.path)?;
    let auth = Authenticator::new(ledger.clone(), &config.auth, audit.clone())?;
    let charter = Charter::open(config.cluster.charter.as_ref(), &ledger, &audit)?;
    let agent = agent_binary()?;
    let engines: BTreeMap<MachineName, Arc<dyn Engine>> =
        config.machines.iter().map(|machine| (machine.name.clone(), engine(machine, &agent))).collect();
    let workspaces =
        Workspaces::open(config.clone(), ledger.clone(), engines, charter.clone(), audit.clone())?;
    let door = FrontDoor::new(workspaces.clone(), auth, charter, audit.clone(), ledger);
    let bound = web::Bound::bind(&config)?;
    let page_addresses = bound.addresses();
    let page = Web::new(&config, door.clone(), bound)?;
    let listeners = Listeners::bind(config, door.clone())?;
    let addresses = listeners.addresses();
    workspaces.start_watching().await;
    let inside = tokio::spawn(inside::serve(door.clone(), stopping.clone()));
    let local = local::open(&door.workspaces.config().store.runtime)
        .map(|listener| tokio::spawn(local::serve(listener, door, stopping.clone())));
    let page = page.map(|page| tokio::spawn(page.serve(stopping.clone(), DRAIN)));
    audit.note(Event::Gateway { act: "started" });
    for address in page_addresses {
        tracing::info!("the page listens on {address}");
    }
    for address in addresses {
        tracing::info!("listening on {address}");
    }
    listeners.serve(stopping, DRAIN).await;
    if tokio::time::timeout(LAST_WORK, workspaces.shut_down()).await.is_err() {
        tracing::warn!("some work is not done: the next gateway will find it");
    }
    let _ = inside.await;
    if let Some(page) = page {
        let _ = page.await;
    }
    if let Some(local) = local {
        let _ = local.await;
    }
    audit.note(Event::Gateway { act: "stopped" });
    tracing::info!("stopped; containers run on");
    Ok(())
}

fn engine(machine: &Machine, agent: &std::path::Path) -> Arc<dyn Engine> {
    let AgentTransport::Unix = machine.agent;
    let EngineAddress::Unix(socket) = &machine.engine;
    Arc::new(DockerEngine::unix(socket, agent))
}

/// Beside our own binary, as cargo and packages put it.
fn agent_binary() -> Result<PathBuf, AppError> {
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(BINARY_NAME)));
    [beside, Some(PathBuf::from(PACKAGED_AGENT))]
        .into_iter()
        .flatten()
        .find(|path| path.is_file())
        .ok_or(AppError::NoAgent)
}

/// SIGTERM and SIGINT stop; SIGHUP must not (a terminal that closes is no reason to cut people off).
fn stop_on_signals(audit: Audit) -> Result<CancellationToken, AppError> {
    let stopping = CancellationToken::new();
    let token = stopping.clone();
    let mut terminate = signal(SignalKind::terminate()).map_err(AppError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(AppError::Signals)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(AppError::Signals)?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => {
                    audit.reopen();
                    tracing::info!("SIGHUP: the audit log is opened anew; the configuration is read at the start only");
                }
            }
        }
        tracing::info!("stopping: no new connections");
        token.cancel();
    });
    Ok(stopping)
}
