//! From nothing to serving: configuration, account, threads, socket.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io, thread};

use nix::sys::signal::{SigSet, Signal};

use super::accepted::Accepted;
use super::account::{self, User};
use super::clock::Deadline;
use super::door::Door;
use super::end::{End, Why};
use super::idle::Idle;
use super::jupyter::Jupyter;
use super::protocol::{AgentConfig, CONFIG_NAME, FAILURE_NAME, SOCKET_NAME};
use super::reaper::Reaper;
use super::serve::{self, Agent};
use super::shells::Shells;
use super::terminals::Terminals;
use super::tls::Port;
use super::usage::{self, Sampler};

/// Threads wait and copy small things; what is not touched of their stacks costs nothing.
pub(super) const STACK: usize = 128 * 1024;

/// Why the agent could not start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Its configuration.
    #[error("{}: {why}", path.display())]
    Config {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The user's account in the container.
    #[error("the account cannot be prepared: {0}")]
    Account(#[source] io::Error),
    /// Its socket.
    #[error("cannot listen: {0}")]
    Listen(#[source] io::Error),
    /// The keys of transport `tls`.
    #[error("cannot serve by TLS: {0}")]
    Tls(String),
    /// A thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
}

/// Runs the agent. Returns only when it could not start, and has then left the reason in its directory.
pub fn run(directory: &Path) -> RunError {
    let error = match start(directory) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    // The gateway reads it there: a container that goes at once takes its logs along.
    let _ = fs::write(directory.join(FAILURE_NAME), error.to_string());
    error
}

fn start(directory: &Path) -> Result<std::convert::Infallible, RunError> {
    let started = Deadline::now();
    let config = read_config(directory)?;
    // Blocked in every thread from here on, taken by one; children start with an empty mask.
    let mut stop = SigSet::empty();
    stop.add(Signal::SIGTERM);
    let _ = stop.thread_block();
    let user = account::prepare(&config.account).map_err(RunError::Account)?;
    let agent = Arc::new(Agent::new(config, user));
    let deadline = Deadline::new(started, &agent.config);
    named("reaper", {
        let agent = agent.clone();
        move || agent.reaper.run()
    })?;
    named("clock", {
        let agent = agent.clone();
        move || deadline.keep(&agent)
    })?;
    named("stop", {
        let agent = agent.clone();
        move || {
            let _ = stop.wait();
            agent.end.begin(&agent, Why::Stopped, agent.grace());
        }
    })?;
    if agent.config.jupyter {
        let agent = agent.clone();
        named("jupyter", move || Jupyter::keep(&agent))?;
    }
    if let Some(limit) = agent.config.idle_ms.map(Duration::from_millis) {
        let agent = agent.clone();
        named("idle", move || Idle::watch(&agent, limit))?;
    }
    usage::start(&agent)?;
    let inner = agent.clone();
    named("door", move || Door::listen(&inner))?;
    if let Some(wanted) = &agent.config.tls {
        Port::open(wanted)?.accept(&agent)
    }
    let listener = bind(&directory.join(SOCKET_NAME)).map_err(RunError::Listen)?;
    serve::accept(&agent, &listener)
}

impl Agent {
    fn new(config: AgentConfig, user: User) -> Self {
        Self {
            usage: Sampler::over(&config.stores),
            config,
            user,
            reaper: Reaper::default(),
            terminals: Terminals::default(),
            door: Door::default(),
            jupyter: Jupyter::default(),
            accepted: Accepted::default(),
            shells: Shells::default(),
            idle: Idle::default(),
            end: End::default(),
            conversations: std::sync::atomic::AtomicUsize::new(0),
        }
    }
}

pub(super) fn named(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), RunError> {
    let builder = thread::Builder::new().name(name.to_owned()).stack_size(STACK);
    builder.spawn(work).map(|_| ()).map_err(RunError::Thread)
}

fn read_config(directory: &Path) -> Result<AgentConfig, RunError> {
    let path = directory.join(CONFIG_NAME);
    let read = fs::read(&path).map_err(|e| e.to_string());
    let config: Result<AgentConfig, _> =
        read.and_then(|text| serde_json::from_slice(&text).map_err(|e| e.to_string()));
    match config {
        Ok(config) if config.account.uid == 0 || config.account.gid == 0 => {
            Err(RunError::Config { path, why: "nobody works as root".into() })
        }
        Ok(config) => Ok(config),
        Err(why) => Err(RunError::Config { path, why }),
    }
}

/// Bound under another name, made private, then moved into place: it is never there half made.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let aside = path.with_extension("new");
    let _ = fs::remove_file(&aside);
    let listener = UnixListener::bind(&aside)?;
    fs::set_permissions(&aside, fs::Permissions::from_mode(0o600))?;
    fs::rename(&aside, path)?;
    Ok(listener)
}
