//! Configuration: the file's shape → a checked [`Config`].
//!
//! [`Config::load`] walks the parsed TOML with its positions (`table`, `value`), one reader for each section
//! (`sections`), and reports every problem at once ([`ConfigErrors`]).

mod errors;
mod file;
mod sections;
mod suggest;
mod table;
#[cfg(test)]
mod tests;
mod value;
mod words;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::reservation::{MachineName, SlotId, UserName};

pub use errors::{ConfigErrors, Position, Problem};

/// A checked configuration: whatever holds one may rely on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `[cluster]`
    pub cluster: Cluster,
    /// `[ssh]`
    pub ssh: Ssh,
    /// `[auth]`
    pub auth: Auth,
    /// `[reservation]`
    pub reservation: ReservationRules,
    /// `[container]`
    pub container: Container,
    /// `[[mount]]`
    pub mounts: Vec<Mount>,
    /// `[[machine]]`, at least one.
    pub machines: Vec<Machine>,
    /// `[store]`
    pub store: Store,
    /// `[audit]`
    pub audit: Audit,
    /// `[web]`
    pub web: Web,
    /// `[metrics]`
    pub metrics: Metrics,
    /// `[network]`
    pub network: Network,
}

/// `[cluster]`
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// The cluster's name: letters, digits and hyphens; part of every container's name.
    pub name: String,
    /// One line shown at every interactive login.
    pub motd: Option<String>,
    /// What everybody must accept before they work here.
    pub charter: Option<CharterFiles>,
}

/// `[cluster] charter`: the file of each language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CharterFiles {
    /// One file; `charter.fr.md` and `charter.en.md` beside `charter.md` are its languages.
    Beside(PathBuf),
    /// Named one by one.
    Each {
        /// English.
        en: PathBuf,
        /// French.
        fr: PathBuf,
    },
}

/// `[ssh]`
#[derive(Debug, Clone, PartialEq)]
pub struct Ssh {
    /// Where to listen; at least one.
    pub listen: Vec<Listen>,
    /// The folder of the host keys.
    pub host_keys: PathBuf,
    /// Time to authenticate before the connection is closed.
    pub login_grace: Duration,
    /// Silence before a keepalive is sent; the third unanswered one ends the connection.
    pub keepalive: Duration,
    /// Connections in all.
    pub max_connections: usize,
    /// Connections of one address that have not logged in yet.
    pub max_startups: usize,
    /// Connections of one user.
    pub max_per_user: usize,
    /// How long the connections of a gateway go on after a newer one has taken over.
    pub drain: Duration,
    /// What OpenSSH's clients are offered.
    pub ciphers: Ciphers,
}

/// `[ssh] ciphers`: OpenSSH's clients prefer slower ones where they are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ciphers {
    /// OpenSSH's clients are offered AES-GCM alone, which all of them have since 6.2; others everything.
    #[default]
    AesGcm,
    /// Everybody is offered everything.
    All,
}

/// One listening address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Address and port.
    pub address: SocketAddr,
    /// Everybody who comes in here means this machine.
    pub machine: Option<MachineName>,
}

/// `[web]`
#[derive(Debug, Clone, PartialEq)]
pub struct Web {
    /// Where the page listens; nowhere: there is none.
    pub listen: Vec<SocketAddr>,
    /// What people type, `http://clusteria`.
    pub public_url: Option<PublicUrl>,
    /// Other names by which it is reached.
    pub hosts: Vec<String>,
    /// How long somebody stays signed in.
    pub session_lifetime: Duration,
    /// Certificate and key; without them plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Where JupyterLab is reached: an origin of its own.
    pub jupyter: Vec<Listen>,
}

/// A URL without a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    /// `https` or `http`.
    pub https: bool,
    /// The name.
    pub host: String,
    /// The port, where it is not the scheme's own.
    pub port: Option<u16>,
}

/// PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, then those above it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// `[metrics]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// Where programs ask how the gateway does.
    pub listen: Option<SocketAddr>,
}

/// `[auth]`
#[derive(Debug, Clone, PartialEq)]
pub struct Auth {
    /// The methods switched on; at least one.
    pub methods: Vec<AuthMethod>,
    /// Files with the keys that may sign users' certificates.
    pub user_ca: Vec<PathBuf>,
    /// `[auth.ldap]`: the university's directory.
    pub ldap: Option<Ldap>,
    /// `[auth.tailnet]`
    pub tailnet: Tailnet,
    /// `[auth.throttle]`
    pub throttle: Throttle,
    /// `[auth.totp]`
    pub totp: Totp,
}

/// A way to prove who one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthMethod {
    /// Keys in the ledger.
    PublicKey,
    /// Passwords, also asked by keyboard-interactive.
    Password,
    /// The tailnet's own identity of the peer.
    Tailnet,
}

/// `[auth.ldap]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ldap {
    /// `ldaps://` or, always with StartTLS, `ldap://`; tried in this order. At least one.
    pub urls: Vec<String>,
    /// Certificates that servers are checked against, where they are not the system's.
    pub ca: Option<PathBuf>,
    /// Limit of each step: connecting, binding, searching.
    pub timeout: Duration,
    /// How a name becomes an entry.
    pub entry: LdapEntry,
    /// The group (its DN) that opens the door; without it everybody in the directory may come in.
    pub group: Option<String>,
    /// The group (its DN) of administrators.
    pub admin_group: Option<String>,
    /// Whose members must have a second factor.
    pub totp_group: Option<String>,
    /// How long an entry that was found is believed without asking again.
    pub cache: Duration,
    /// The attribute with public keys; empty for none.
    pub key_attribute: String,
    /// The attribute with the user id; without it the ledger gives one.
    pub uid_attribute: Option<String>,
}

/// How a user's entry is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LdapEntry {
    /// Bind as the user at once; `{user}` stands for the name.
    BindAs {
        /// `uid={user},ou=people,dc=example,dc=org`
        dn: String,
    },
    /// Search first, then bind as what was found.
    Search {
        /// Below which DN.
        base: String,
        /// `(uid={user})`
        filter: String,
        /// Who searches, and the file with their password; nobody: anonymously.
        service: Option<(String, PathBuf)>,
    },
}

/// `[auth.tailnet]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tailnet {
    /// tailscaled's socket.
    pub socket: PathBuf,
    /// How long one question may take.
    pub timeout: Duration,
    /// `ada@DOMAIN` is ada, for these domains only.
    pub domains: Vec<String>,
    /// Logins, or nodes (their names), and who they are here.
    pub users: Vec<(String, UserName)>,
    /// May somebody come in whom neither ledger nor directory knows?
    pub new_users: bool,
}

/// `[auth.throttle]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttle {
    /// Wrong tries of one user from one address before a wait.
    pub free: u32,
    /// The first wait; each further wrong try doubles it.
    pub first_delay: Duration,
    /// The longest wait.
    pub max_delay: Duration,
    /// After so long without a try nothing is held against anybody.
    pub forget: Duration,
}

/// `[auth.totp]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totp {
    /// Who must have a second factor; others may.
    pub required: TotpRequired,
    /// After which methods the code is asked.
    pub after: Vec<AuthMethod>,
}

/// Who must have a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TotpRequired {
    /// Nobody: who has enrolled is asked.
    Nobody,
    /// Administrators.
    Admins,
    /// Everybody.
    Everybody,
}

/// `[audit]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Where events are written, one JSON object a line.
    pub path: Option<PathBuf>,
}

/// `[reservation]`
#[derive(Debug, Clone, PartialEq)]
pub struct ReservationRules {
    /// From start to deadline.
    pub lifetime: Duration,
    /// Times before the deadline at which people are warned, longest first, all below `lifetime`.
    pub warnings: Vec<Duration>,
    /// From SIGTERM to SIGKILL at the deadline.
    pub grace: Duration,
    /// Active reservations for each user.
    pub per_user: usize,
    /// May a non-interactive client (VS Code, scp) get a slot by just connecting?
    pub auto_reserve: bool,
    /// Shells on terminals that are kept in a container while nobody is connected to them; 0 keeps none.
    pub keep_shells: usize,
    /// For how long; until the end by default.
    pub keep_shells_for: Option<Duration>,
    /// A container in which nothing happens for so long is ended; never by default.
    pub idle: Option<Duration>,
    /// How long a free slot is held for the one in the queue whose turn it is.
    pub hold: Duration,
}

/// `[container]`: what every container is made with; a slot may differ in the limits.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    /// Image by tag or digest; never `latest`.
    pub image: String,
    /// The account's name inside, where it is not the user's own.
    pub user: Option<String>,
    /// Login shell.
    pub shell: String,
    /// Limits.
    pub limits: Limits,
    /// Variables set in every container.
    pub env: Vec<(String, String)>,
    /// Start JupyterLab where the image has it.
    pub jupyter: bool,
}

/// What a container may use.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Limits {
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Processors.
    pub cpus: Option<f64>,
    /// `/dev/shm` in bytes.
    pub shm: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// The container's own layer in bytes: what it writes outside of its mounts.
    pub disk: Option<u64>,
    /// Its share of GPU memory in bytes: told to programs and watched.
    pub gpu_memory: Option<u64>,
}

/// `[network]`: what containers may reach. What they may not is refused by the rules that `clusteria firewall` prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Everything that is not private, link-local or the tailnet's.
    pub internet: bool,
    /// On top of it.
    pub allow: Vec<Destination>,
    /// Whatever else says: this not.
    pub deny: Vec<Destination>,
}

/// Somewhere on the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destination {
    /// The network's first address.
    pub address: std::net::Ipv4Addr,
    /// Its length: 32 for one address.
    pub prefix: u8,
    /// TCP and UDP; every protocol without one.
    pub port: Option<u16>,
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// `[[mount]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Path in the container.
    pub target: String,
    /// What is mounted there.
    pub source: MountSource,
    /// Not writable.
    pub read_only: bool,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountSource {
    /// A path on the machine (`/data`).
    Path(PathBuf),
    /// A named volume of the engine.
    Volume(String),
    /// An NFS export, `server:/path`.
    Nfs {
        /// Server.
        server: String,
        /// Export.
        path: String,
    },
}

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

/// `[store]`
#[derive(Debug, Clone, PartialEq)]
pub struct Store {
    /// The ledger.
    pub path: PathBuf,
    /// The folder of the agents' sockets, one directory for each reservation.
    pub runtime: PathBuf,
}
