//! `[[machine]]`: where its engine and its agents are reached, and its slots.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::Limits;
use crate::reservation::{MachineName, SlotId};

/// `[[machine]]`
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// Its name: letters, digits and hyphens.
    pub name: MachineName,
    /// What people call it, `2 × H100`.
    pub label: Option<String>,
    /// Where its engine answers.
    pub engine: EngineAddress,
    /// How the agents on it are reached.
    pub agent: AgentTransport,
    /// Its slots; at least one.
    pub slots: Vec<Slot>,
}

/// Where an engine answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineAddress {
    /// A Unix socket, `unix:///var/run/docker.sock`.
    Unix(PathBuf),
    /// `tcp://gpu2:2376`
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
        /// Mutual TLS; without it only on this host.
        tls: Option<EngineTls>,
    },
    /// `ssh://docker@gpu2`: by the system's ssh.
    Ssh(SshHost),
}

/// `[[machine]] tls`: the files for an engine at `tcp://`, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineTls {
    /// Who certifies the engine.
    pub ca: PathBuf,
    /// Our certificate.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Where ssh goes for an engine. Its parts cannot be taken for options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshHost {
    /// As whom; by default what ssh's configuration says.
    pub user: Option<String>,
    /// A name, an address, or a `Host` of ssh's configuration.
    pub host: String,
    /// By default what ssh's configuration says.
    pub port: Option<u16>,
}

/// How an agent is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentTransport {
    /// A socket in a directory shared with the container: gateway and engine are on one host.
    Unix,
    /// TLS to a port of the machine's.
    Tls {
        /// The machine's address on the network that it shares with the gateway.
        address: IpAddr,
        /// The port of the first slot; each further slot has the next one.
        first_port: u16,
    },
}

impl AgentTransport {
    /// Where a slot's agent is published, if it is.
    #[must_use]
    pub fn published(&self, slot: &SlotId) -> Option<SocketAddr> {
        match self {
            Self::Unix => None,
            Self::Tls { address, first_port } => {
                let port = first_port.checked_add(slot.number.checked_sub(1)?)?;
                Some(SocketAddr::new(*address, port))
            }
        }
    }
}

/// `[[machine.slot]]`
#[derive(Debug, Clone, PartialEq)]
pub struct Slot {
    /// Its place: machine and number from 1.
    pub id: SlotId,
    /// GPU indexes, UUIDs or CDI names.
    pub gpus: Vec<String>,
    /// Limits, the container's defaults filled in.
    pub limits: Limits,
}
