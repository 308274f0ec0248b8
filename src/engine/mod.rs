//! Engines: a small trait, so that the rest of the program knows no Docker.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::Notify;

use crate::config::{Limits, Mount};
use crate::reservation::{ReservationId, SlotId, UserName};

pub mod docker;
pub mod labels;

/// What a machine's engine can do for us. Every call is bounded in time by the implementation.
#[async_trait]
pub trait Engine: Send + Sync {
    /// The containers of this cluster, running or not.
    async fn list(&self, cluster: &str) -> Result<Vec<Found>, EngineError>;

    /// One container by name, if it is one of this cluster's.
    async fn find(&self, cluster: &str, name: &str) -> Result<Option<Found>, EngineError>;

    /// Creates and starts a container. When it fails, nothing of it is left behind.
    async fn start(&self, spec: &ContainerSpec, progress: Progress<'_>) -> Result<(), EngineError>;

    /// Waits until a container is gone or no longer runs.
    async fn wait_stopped(&self, found: &ContainerKey) -> Result<(), EngineError>;

    /// Removes a container and its anonymous data, running or not. Absent is removed.
    async fn remove(&self, found: &ContainerKey) -> Result<(), EngineError>;

    /// Rings whenever a container of this cluster stops or goes. Returns when the line to the engine breaks.
    async fn listen(&self, cluster: &str, bell: &Notify) -> EngineError;

    /// Is this image here?
    async fn has_image(&self, image: &str) -> Result<bool, EngineError>;

    /// What the engine is and can do.
    async fn examine(&self, cluster: &str, image: &str) -> Result<Examination, EngineError>;

    /// Runs the agent's `command` in a container made like this, without its directory; what it says.
    async fn probe(
        &self,
        spec: &ContainerSpec,
        command: Vec<String>,
        limit: Duration,
    ) -> Result<String, EngineError>;

    /// The engine's version, in its own words.
    async fn version(&self) -> Result<String, EngineError>;
}

/// Told about every step of a start.
pub type Progress<'a> = &'a (dyn Fn(Stage) + Send + Sync);

/// A step on the way to a running container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Fetching the image: layers done and in all, bytes so far.
    Pulling {
        /// Layers that are here.
        layers_done: usize,
        /// Layers known of.
        layers: usize,
        /// Bytes fetched.
        bytes: u64,
    },
    /// Creating the container.
    Creating,
    /// Starting it.
    Starting,
    /// Waiting for the agent in it.
    Agent,
}

/// A container's identity in its engine: unlike a name it never comes to mean another container.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContainerKey(pub String);

/// A container that carries our labels.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its identity.
    pub key: ContainerKey,
    /// Does it run?
    pub running: bool,
    /// What its labels say, or why they cannot be read.
    pub labels: Result<Labels, String>,
}

/// The truth about what runs: the labels of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// `clusteria.cluster`
    pub cluster: String,
    /// `clusteria.reservation`
    pub reservation: ReservationId,
    /// `clusteria.user`
    pub user: UserName,
    /// `clusteria.uid`: their files carry it. Zero where nobody said.
    pub uid: u32,
    /// `clusteria.machine` and `clusteria.slot`
    pub slot: SlotId,
    /// `clusteria.deadline`, RFC 3339
    pub deadline: Timestamp,
}

/// What an engine is and can do.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Examination {
    /// Its version.
    pub version: String,
    /// The API's newest version.
    pub api: String,
    /// Driver and version of the control groups.
    pub cgroup: String,
    /// Storage driver, and on what.
    pub storage: String,
    /// Can a container's own layer be limited, as far as the engine tells?
    pub disk_limits: bool,
    /// Do containers live on while the engine is restarted?
    pub live_restore: bool,
    /// Can memory be limited?
    pub memory_limit: bool,
    /// Can swap be limited?
    pub swap_limit: bool,
    /// Can processes be counted?
    pub pids_limit: bool,
    /// Can processors be limited?
    pub cpu_limit: bool,
    /// Does it give devices by CDI?
    pub cdi: bool,
    /// Its clock.
    pub time: Option<Timestamp>,
    /// The image, if it has it.
    pub image: Option<FoundImage>,
    /// The cluster's network, once it has been made.
    pub network: Option<FoundNetwork>,
}

/// An image that an engine has.
#[derive(Debug, Clone)]
pub struct FoundImage {
    /// Its id.
    pub id: String,
    /// What registries know it by.
    pub digests: Vec<String>,
}

/// The network of a cluster's containers.
#[derive(Debug, Clone)]
pub struct FoundNetwork {
    /// They cannot reach each other.
    pub separated: bool,
    /// The bridge's name, if it was given one.
    pub bridge: Option<String>,
}

/// Everything needed to make a container.
#[derive(Debug, Clone)]
pub struct ContainerSpec {
    /// `clusteria-<cluster>-<machine>-<slot>`: unique in the engine, and so the last word on who has the slot.
    pub name: String,
    /// The labels it carries.
    pub labels: Labels,
    /// Its host name.
    pub hostname: String,
    /// The image, by tag or digest.
    pub image: String,
    /// Its environment.
    pub env: BTreeMap<String, String>,
    /// GPU indexes, UUIDs or CDI names.
    pub gpus: Vec<String>,
    /// Limits.
    pub limits: Limits,
    /// Mounts of the site.
    pub mounts: Vec<Mount>,
    /// How its agent gets its configuration and is reached.
    pub agent: AgentPlace,
}

/// Where a container's agent meets the gateway.
#[derive(Clone)]
pub enum AgentPlace {
    /// In a directory of this host, with its socket and its configuration.
    Shared {
        /// The directory.
        run_dir: PathBuf,
    },
    /// On a port of its machine.
    Published {
        /// Where; on no other address of the machine's.
        address: SocketAddr,
        /// Names and contents of its files: they hold keys, and go into the container before it starts.
        files: Vec<(String, Vec<u8>)>,
    },
    /// It does not: something else runs in this container.
    Nowhere,
}

impl fmt::Debug for AgentPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shared { run_dir } => write!(f, "Shared({})", run_dir.display()),
            Self::Published { address, .. } => write!(f, "Published({address})"),
            Self::Nowhere => f.write_str("Nowhere"),
        }
    }
}

/// Why an engine did not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// No answer, or none in time.
    #[error("the engine does not answer: {0}")]
    Unreachable(String),
    /// It has no such image and cannot fetch it.
    #[error("image {image} is not on this machine and cannot be fetched: {detail}")]
    ImageMissing {
        /// Which.
        image: String,
        /// The engine's words.
        detail: String,
    },
    /// A container of that name exists: somebody else has the slot.
    #[error("a container named {0} exists already")]
    NameTaken(String),
    /// It refused.
    #[error("the engine refused: {0}")]
    Refused(String),
    /// Our own side failed (the agent's binary, a directory).
    #[error("{0}")]
    Local(String),
}

impl EngineError {
    /// Is the machine, rather than the request, at fault?
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }
}
