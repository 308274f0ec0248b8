//! Configuration: the file's shape → a checked [`Config`].
//!
//! [`Config::load`] walks the parsed TOML with its positions (`table`, `value`), one reader for each section
//! (`sections`), and reports every problem at once ([`ConfigErrors`]).

mod auth;
mod errors;
mod file;
mod machine;
mod sections;
mod suggest;
mod table;
#[cfg(test)]
mod tests;
mod value;
mod words;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::reservation::MachineName;

pub use auth::{Auth, AuthMethod, Ldap, LdapEntry, Tailnet, Throttle, Totp, TotpRequired};
pub use errors::{ConfigErrors, Position, Problem};
pub use machine::{AgentTransport, EngineAddress, EngineTls, Machine, Slot, SshHost};

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

/// `[store]`
#[derive(Debug, Clone, PartialEq)]
pub struct Store {
    /// The ledger.
    pub path: PathBuf,
    /// The folder of the agents' sockets, one directory for each reservation.
    pub runtime: PathBuf,
}
