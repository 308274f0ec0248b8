//! What an agent is told before it starts: its configuration, and where it lies in its container.

use serde::{Deserialize, Serialize};

/// The agent's configuration inside its directory.
pub const CONFIG_NAME: &str = "agent.json";
/// Where the agent leaves the reason when it cannot start, inside its directory.
pub const FAILURE_NAME: &str = "failure";
/// The directory in the container that holds socket and configuration (bind-mounted, 0700).
pub const RUN_DIR: &str = "/.clusteria/run";
/// The directory in the container that holds the agent's binary (a read-only volume).
pub const BIN_DIR: &str = "/.clusteria/bin";
/// The agent's file name in [`BIN_DIR`]; `clusteria` beside it is the same file by another name.
pub const BINARY_NAME: &str = "clusteria-agent";

/// The agent's configuration: one JSON file in [`RUN_DIR`], root only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentConfig {
    /// The reservation's id.
    pub reservation: String,
    /// `gpu1/2`.
    pub slot: String,
    /// Whose container this is.
    pub account: Account,
    /// Milliseconds from the agent's start to the deadline, counted on the boot-time clock.
    pub lifetime_ms: u64,
    /// Milliseconds before the deadline at which every terminal is warned.
    pub warnings_ms: Vec<u64>,
    /// Milliseconds from SIGTERM to SIGKILL at the deadline.
    pub grace_ms: u64,
    /// Start JupyterLab where the image has it.
    #[serde(default)]
    pub jupyter: bool,
    /// What opens it, argon2id in PHC format: the reservation's password. Without it nobody gets in.
    #[serde(default)]
    pub password: Option<String>,
    /// Shells on terminals that are kept while nobody is connected to them.
    #[serde(default)]
    pub keep_shells: usize,
    /// For how many milliseconds at most; without it until the end.
    #[serde(default)]
    pub keep_shells_for_ms: Option<u64>,
    /// Milliseconds without anything happening, after which [`Event::Idle`](super::Event::Idle) is said; never without it.
    #[serde(default)]
    pub idle_ms: Option<u64>,
    /// The slot's GPUs.
    #[serde(default)]
    pub gpus: GpuPlan,
    /// The mounts that people write to.
    #[serde(default)]
    pub stores: Vec<String>,
    /// Serve by TLS on a port, in the place of the socket: the gateway is on another machine.
    #[serde(default)]
    pub tls: Option<AgentTls>,
}

/// What a slot has of GPUs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuPlan {
    /// So many.
    pub count: usize,
    /// Another slot has some of them too.
    pub shared: bool,
    /// Bytes of their memory that should do.
    pub budget: Option<u64>,
}

/// Transport `tls`, the agent's side: [`crate::agent::pins`] and [`crate::agent::lanes`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentTls {
    /// Listened on in the container; published by the engine.
    pub port: u16,
    /// The seed of the agent's own key, for this reservation only.
    pub seed: Vec<u8>,
    /// The gateway's public key for this reservation.
    pub gateway: Vec<u8>,
}

impl std::fmt::Debug for AgentTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentTls").field("port", &self.port).finish_non_exhaustive()
    }
}

/// The user inside the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// User id, never 0.
    pub uid: u32,
    /// Group id, never 0.
    pub gid: u32,
    /// Home directory, made if missing.
    pub home: String,
    /// Login shell; where the image lacks it, `/bin/bash`, then `/bin/sh`.
    pub shell: String,
}
