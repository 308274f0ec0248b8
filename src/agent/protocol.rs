//! What gateway and agent say to each other: one connection for each SSH channel.
//!
//! ```text
//! gateway → agent   PREAMBLE, then one Request frame
//! agent → gateway   one Reply frame; for Started and Connected its first byte carries the descriptors
//! both ways         Control frames (gateway) and Event frames (agent), until either side closes
//! ```
//!
//! A listener in the container is a conversation of its own: each connection that it accepts is announced
//! with a token ([`Event::Accepted`]) and fetched by [`Request::Take`] on a conversation of its own. The
//! gateway's closing of its half ends the listener; the agent closes when nobody listens any more.
//!
//! A frame is a big-endian `u32` length and that many bytes of postcard. A request is at most
//! [`MAX_REQUEST`] bytes, every other frame at most [`MAX_FRAME`]. The gateway's closing of the
//! connection means that its client is gone.
//!
//! A shell on a terminal is kept ([`Request::Shell`]): the gateway's closing leaves it there, and
//! [`Request::Attach`] goes back to it.
//!
//! Descriptors passed with [`Reply::Started`]: without a pty stdin (write end), stdout and stderr
//! (read ends), in this order; with a pty one descriptor, the master, as with [`Reply::Attached`]. With [`Reply::Connected`]: the
//! connected stream socket. All are non-blocking on the gateway's side.
//!
//! Over transport `tls` nothing of this changes, but that the bytes of the descriptors follow on the same
//! connection: [`crate::agent::lanes`].

mod config;
mod frames;

use serde::{Deserialize, Serialize};

use super::usage::report::Usage;

pub use config::{
    Account, AgentConfig, AgentTls, BIN_DIR, BINARY_NAME, CONFIG_NAME, FAILURE_NAME, GpuPlan, RUN_DIR,
};
pub use frames::{FrameError, body_length, decode, encode, read_frame, write_frame};

/// The protocol's version; a new agent speaks to an older gateway's version or refuses by name.
pub const VERSION: u8 = 1;
/// First bytes of every connection: three letters and the gateway's [`VERSION`].
pub const PREAMBLE: [u8; 4] = [b'C', b'L', b'A', VERSION];
/// The longest request, in bytes: a command line and an environment.
pub const MAX_REQUEST: usize = 1024 * 1024;
/// The longest frame after the request, in bytes.
pub const MAX_FRAME: usize = 256 * 1024;
/// The agent's socket inside its directory.
pub const SOCKET_NAME: &str = "agent.sock";
/// Where the agent listens in its container over transport `tls`: above what the kernel gives to those who ask for any port.
pub const TLS_PORT: u16 = 61022;
/// The socket in the container on which `clusteria …` inside it reaches the agent (mode 0666).
pub const DOOR_SOCKET: &str = "/run/clusteria.sock";

/// What one connection is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Are you there? Answered with [`Reply::Pong`].
    Ping,
    /// Start a process.
    Spawn(Spawn),
    /// Connect to a TCP port as seen from the container.
    DialTcp {
        /// Name or address, resolved in the container.
        host: String,
        /// Port.
        port: u16,
    },
    /// Connect to a Unix socket, with the user's rights.
    DialUnix {
        /// Path in the container.
        path: String,
    },
    /// Keep this connection: [`Event::Ask`] comes one way, [`Control::Answer`] and [`Control::Say`] go the other.
    Watch,
    /// End everything: SIGTERM, wait, SIGKILL, exit. Answered with [`Reply::Done`] at once.
    Stop {
        /// Milliseconds between SIGTERM and SIGKILL.
        grace_ms: u64,
    },
    /// Listen, with the user's rights. Answered with [`Reply::Listening`]; then [`Event::Accepted`].
    Listen(Listen),
    /// Hand over a connection that was announced. Answered with [`Reply::Connected`].
    Take {
        /// From [`Event::Accepted`].
        token: u64,
    },
    /// Say something on every terminal. Answered with [`Reply::Done`].
    Say {
        /// One printable line.
        words: String,
    },
    /// From now on this opens JupyterLab. Answered with [`Reply::Done`].
    SetPassword {
        /// Of the reservation's password: argon2id in PHC format.
        hash: String,
    },
    /// How does JupyterLab do? Answered with [`Reply::Jupyter`].
    Jupyter,
    /// Start the login shell on a terminal, to be kept when the gateway closes. Answered with [`Reply::Attached`];
    /// with [`Reply::Started`] where nothing is kept.
    Shell(Spawn),
    /// Which shells are there? Answered with [`Reply::Shells`].
    Shells,
    /// Go back to a shell, wherever it is attached now. Answered with [`Reply::Attached`].
    Attach(Attach),
    /// For how long has nothing happened? Answered with [`Reply::Idle`].
    Idle,
    /// What does the container use? Answered with [`Reply::Usage`], at once.
    Usage,
}

/// Somebody comes back to a shell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// From [`KeptShell`].
    pub id: u32,
    /// Their terminal's type and size; its modes stay as the shell has them.
    pub pty: Pty,
    /// As in [`Spawn`]: what can still reach a running shell is brought up to date.
    pub env: Vec<(String, String)>,
}

/// A shell that outlives its connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptShell {
    /// To be named by [`Request::Attach`].
    pub id: u32,
    /// Somebody is connected to it.
    pub attached: bool,
    /// What runs in its foreground; empty at the prompt.
    pub command: String,
    /// Further programs that run in it.
    pub others: u32,
    /// Where: the working directory, if it is known.
    pub folder: String,
    /// Since when the command runs, or the shell where there is none, in milliseconds.
    pub age_ms: u64,
    /// Since when nobody is connected, in milliseconds.
    pub left_ms: u64,
}

/// Where to listen in the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Listen {
    /// A TCP port of the loopback addresses, as sshd's `GatewayPorts no` has it. 0 is any free one.
    Tcp {
        /// Port.
        port: u16,
    },
    /// A Unix socket that must not exist yet, mode 0600.
    Unix {
        /// Path in the container.
        path: String,
    },
    /// A socket for the client's ssh-agent, in a directory of its own that goes with it.
    AgentSocket,
    /// An X11 display (RFC 4254 section 6.3) with this authorisation, noted in the user's `.Xauthority`.
    X11 {
        /// `MIT-MAGIC-COOKIE-1`
        protocol: String,
        /// The cookie in hexadecimal.
        cookie: String,
        /// Screen number.
        screen: u32,
    },
}

/// A process to start, as the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spawn {
    /// What to run.
    pub program: Program,
    /// On a pseudo-terminal or on pipes.
    pub pty: Option<Pty>,
    /// Variables of the client and of the connection, on top of the account's own.
    pub env: Vec<(String, String)>,
}

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Program {
    /// The user's login shell.
    Shell,
    /// `$SHELL -c COMMAND`; any bytes but NUL.
    Exec(Vec<u8>),
    /// The SFTP server: the image's own, else the agent's.
    Sftp,
}

/// A pseudo-terminal as RFC 4254 section 6.2 asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pty {
    /// TERM.
    pub term: String,
    /// Its size.
    pub size: WindowSize,
    /// Opcode and argument pairs of RFC 4254 section 8.
    pub modes: Vec<(u8, u32)>,
}

/// A terminal's size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSize {
    /// Columns, in characters.
    pub columns: u16,
    /// Rows, in characters.
    pub rows: u16,
    /// Width in pixels.
    pub width: u16,
    /// Height in pixels.
    pub height: u16,
}

/// The agent's answer to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// To [`Request::Ping`].
    Pong {
        /// The newest protocol version that this agent speaks.
        version: u8,
    },
    /// The process runs; its descriptors come with this frame.
    Started {
        /// Its id in the container.
        pid: i32,
        /// How many descriptors come with this frame.
        descriptors: u8,
    },
    /// The connection stands; its descriptor comes with this frame.
    Connected,
    /// Nothing more to say.
    Done,
    /// It could not be done.
    Refused {
        /// Why, as a class.
        kind: RefusedKind,
        /// Why, in the operating system's words.
        detail: String,
    },
    /// Somebody listens.
    Listening {
        /// A socket's path, or the value for DISPLAY; empty for a TCP port.
        place: String,
        /// The TCP port, or 0.
        port: u16,
    },
    /// To [`Request::Jupyter`].
    Jupyter(JupyterState),
    /// The gateway has a shell that is kept: its terminal's descriptor comes with this frame.
    Attached {
        /// Its id in the container.
        pid: i32,
        /// Its id among the kept shells.
        id: u32,
        /// What brings its screen back; empty for a new one.
        screen: Vec<u8>,
    },
    /// To [`Request::Shells`]; the one that was left last comes first.
    Shells(Vec<KeptShell>),
    /// To [`Request::Idle`].
    Idle {
        /// For how long nothing has happened, in milliseconds.
        quiet_ms: u64,
        /// After how many of them it is time to end; 0 for never.
        limit_ms: u64,
    },
    /// To [`Request::Usage`].
    Usage(Box<Usage>),
}

/// How JupyterLab does in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum JupyterState {
    /// It is not wanted (`jupyter = false`).
    Off,
    /// The image has none.
    Missing,
    /// It has been started and does not answer yet.
    Starting,
    /// It answers on the container's `127.0.0.1:8888`.
    Running,
    /// It has ended, and is started again soon.
    Failed {
        /// In its own last words.
        why: String,
    },
}

impl JupyterState {
    /// Whether there is one here at all.
    #[must_use]
    pub fn is_offered(&self) -> bool {
        !matches!(self, Self::Off | Self::Missing)
    }
}

/// Why the agent refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefusedKind {
    /// The gateway's protocol version is not spoken here.
    Version,
    /// The request could not be understood.
    Malformed,
    /// The connection was refused or the host is not reachable.
    ConnectFailed,
    /// The program could not be started.
    SpawnFailed,
    /// Too many at once.
    TooMany,
    /// The reservation is ending.
    Ending,
    /// Nobody can listen there.
    ListenFailed,
    /// That shell is not there any more.
    NoSuchShell,
}

/// Gateway to agent, after the reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Control {
    /// The client's terminal has a new size.
    Resize(WindowSize),
    /// Deliver a signal by its RFC 4254 name, `TERM`, `INT`, ... to the process group.
    Signal(String),
    /// RFC 4335: a break on the terminal.
    Break,
    /// The answer to [`Event::Ask`].
    Answer {
        /// Which question.
        id: u32,
        /// For standard output.
        stdout: Vec<u8>,
        /// For standard error.
        stderr: Vec<u8>,
        /// Exit status.
        status: u8,
    },
    /// Show this text on every terminal (plain text; the agent escapes nothing, the gateway has).
    Say(String),
    /// A copy of what a kept shell's terminal has shown lately: its screen is remembered from it.
    Shown {
        /// Something before it is missing, because there was too much.
        gap: bool,
        /// What was read from the terminal.
        bytes: Vec<u8>,
    },
}

/// Agent to gateway, after the reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The process ended by itself.
    Exited {
        /// Its status, 0 to 255.
        status: u8,
    },
    /// The process was ended by a signal.
    Killed {
        /// The signal's RFC 4254 name where it has one, else its number in words.
        signal: String,
        /// A core was dumped.
        core: bool,
    },
    /// Somebody in the container typed `clusteria …`.
    Ask {
        /// To be given back in the answer.
        id: u32,
        /// The words after `clusteria`.
        arguments: Vec<String>,
        /// The caller's locale (`LC_ALL`, `LC_MESSAGES` or `LANG`).
        locale: String,
    },
    /// Somebody has connected to a listener.
    Accepted {
        /// To be named by [`Request::Take`], soon.
        token: u64,
        /// The other end's address; empty for a Unix socket.
        address: String,
        /// The other end's port, or 0.
        port: u16,
    },
    /// The shell has been taken over by another connection. Nothing more comes.
    TakenOver,
    /// Nothing has happened in the container for the time that the site has set; said again while it is so.
    Idle,
}
