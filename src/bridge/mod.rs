//! The bridge: one conversation with an agent for each SSH channel.
//!
//! What comes from an agent is untrusted (its container may be compromised): frames are bounded,
//! waits are limited, and descriptors are checked for what they are.

use std::path::PathBuf;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::agent::protocol::{
    Control, Event, FrameError, JupyterState, MAX_FRAME, RefusedKind, Reply, Request, Spawn,
};
use crate::agent::usage::report::Usage;

mod conversation;
mod frames;
mod lane;
mod link;
mod listen;
mod shells;
mod stream;
mod tls;
mod usage;

use conversation::Conversation;
pub use conversation::Stream;
use frames::{read_frame, write_frame};
pub use lane::Lane;
use link::UnixLink;
pub use listen::{Accepted, Listener, listen, take};
pub use shells::{Shell, attach, shell, shells};
pub use stream::FdStream;
pub use tls::TlsAgent;
use tls::TlsLink;

/// The agent's own limit for a connection is 10 s for each address; everything else is quicker.
const REPLY_LIMIT: Duration = Duration::from_secs(25);
/// A control frame waits no longer than this for a stuck agent.
const CONTROL_LIMIT: Duration = Duration::from_secs(10);
/// So much of why JupyterLab does not run, in characters.
const JUPYTER_WORDS: usize = 300;

/// Where a container's agent is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentAddress {
    /// The socket in a directory shared with the container.
    Unix {
        /// The directory, on the host.
        directory: PathBuf,
    },
    /// A port on another machine.
    Tls(TlsAgent),
}

/// Why the bridge did not carry.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// The agent cannot be reached.
    #[error("the agent cannot be reached")]
    Unreachable(#[source] std::io::Error),
    /// It did not answer in time.
    #[error("the agent did not answer within {} s", REPLY_LIMIT.as_secs())]
    Timeout,
    /// It broke the protocol.
    #[error("the agent broke the protocol: {0}")]
    Protocol(String),
    /// It refused.
    #[error("{detail}")]
    Refused {
        /// Why, as a class.
        kind: RefusedKind,
        /// Why, in words.
        detail: String,
    },
}

impl From<FrameError> for BridgeError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Io(e) => Self::Unreachable(e),
            other => Self::Protocol(other.to_string()),
        }
    }
}

/// A process in a container, as the gateway holds it. Dropping it closes its pipes and, on a pty, hangs up.
#[derive(Debug)]
pub struct Process {
    /// Its input and output.
    pub stdio: Stdio,
    /// Tells how it ends.
    pub exit: ExitWatch,
    /// Resizes, signals.
    pub control: ControlSender,
}

/// A process's input and output.
#[derive(Debug)]
pub enum Stdio {
    /// Three pipes.
    Pipes {
        /// Written by us; shut down and dropped, it is at its end.
        stdin: Stream,
        /// Read by us.
        stdout: Stream,
        /// Read by us.
        stderr: Stream,
    },
    /// The master of a pseudo-terminal.
    Pty(Stream),
}

/// The agent's side of the conversation about a process.
#[derive(Debug)]
pub struct ExitWatch(Conversation);

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// By itself.
    Status(u8),
    /// By a signal.
    Signal {
        /// RFC 4254 name.
        name: String,
        /// A core was dumped.
        core: bool,
    },
    /// The agent is gone: the container has ended.
    Lost,
    /// It goes on, in the hands of another connection.
    TakenOver,
}

impl ExitWatch {
    /// Waits for the end of the process.
    pub async fn wait(&mut self) -> Exit {
        match read_frame(&mut self.0, MAX_FRAME).await {
            Ok(Event::Exited { status }) => Exit::Status(status),
            Ok(Event::Killed { signal, core }) => {
                // Goes out as a name in exit-signal: letters and digits only.
                let name = signal.chars().filter(char::is_ascii_alphanumeric).take(16).collect();
                Exit::Signal { name, core }
            }
            Ok(Event::TakenOver) => Exit::TakenOver,
            Ok(_) | Err(_) => Exit::Lost,
        }
    }
}

/// Our side of the conversation about a process.
#[derive(Debug)]
pub struct ControlSender(Conversation);

impl ControlSender {
    /// Sends a control frame. A stuck or dead agent is found out by the exit watch, so failing is silent.
    pub async fn send(&mut self, control: &Control) {
        let send = async {
            write_frame(&mut self.0, control, MAX_FRAME).await?;
            Ok::<_, FrameError>(self.0.flush().await?)
        };
        let _ = timeout(CONTROL_LIMIT, send).await;
    }
}

/// The standing connection by which a container's inside reaches the gateway.
#[derive(Debug)]
pub struct Watch {
    events: Conversation,
    control: ControlSender,
}

impl Watch {
    /// The next question, or `None` when the agent is gone. Not to be cancelled half-way.
    pub async fn next(&mut self) -> Option<Event> {
        read_frame(&mut self.events, MAX_FRAME).await.ok()
    }

    /// Answers, or says something on every terminal.
    pub async fn send(&mut self, control: &Control) {
        self.control.send(control).await;
    }
}

/// Starts a process.
///
/// # Errors
/// [`BridgeError`]
pub async fn spawn(address: &AgentAddress, spawn: Spawn) -> Result<Process, BridgeError> {
    let on_pty = spawn.pty.is_some();
    let (link, reply) = request(address, &Request::Spawn(spawn)).await?;
    match reply {
        Reply::Started { .. } => link.into_process(on_pty),
        other => Err(unexpected(other)),
    }
}

/// Connects to a TCP port as seen from the container.
///
/// # Errors
/// [`BridgeError`]
pub async fn dial_tcp(address: &AgentAddress, host: &str, port: u16) -> Result<Stream, BridgeError> {
    dial(address, Request::DialTcp { host: host.to_owned(), port }).await
}

/// Connects to a Unix socket in the container, with the user's rights.
///
/// # Errors
/// [`BridgeError`]
pub async fn dial_unix(address: &AgentAddress, path: &str) -> Result<Stream, BridgeError> {
    dial(address, Request::DialUnix { path: path.to_owned() }).await
}

async fn dial(address: &AgentAddress, wanted: Request) -> Result<Stream, BridgeError> {
    let (link, reply) = request(address, &wanted).await?;
    match reply {
        Reply::Connected => link.into_connection(),
        other => Err(unexpected(other)),
    }
}

/// Does the agent answer, now?
///
/// # Errors
/// [`BridgeError`]
pub async fn ping(address: &AgentAddress) -> Result<(), BridgeError> {
    match talk(AgentLink::connect(address), &Request::Ping).await?.1 {
        Reply::Pong { .. } => Ok(()),
        other => Err(unexpected(other)),
    }
}

/// Tells the agent to end everything in the container: SIGTERM, `grace`, SIGKILL.
///
/// # Errors
/// [`BridgeError`]
pub async fn stop(address: &AgentAddress, grace: Duration) -> Result<(), BridgeError> {
    let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
    match request(address, &Request::Stop { grace_ms }).await?.1 {
        Reply::Done => Ok(()),
        other => Err(unexpected(other)),
    }
}

/// Tells what opens JupyterLab from now on: an argon2id hash.
///
/// # Errors
/// [`BridgeError`]
pub async fn set_password(address: &AgentAddress, hash: String) -> Result<(), BridgeError> {
    match request(address, &Request::SetPassword { hash }).await?.1 {
        Reply::Done => Ok(()),
        other => Err(unexpected(other)),
    }
}

/// Says something on every terminal in the container.
///
/// # Errors
/// [`BridgeError`]
pub async fn say(address: &AgentAddress, words: &str) -> Result<(), BridgeError> {
    match request(address, &Request::Say { words: words.to_owned() }).await?.1 {
        Reply::Done => Ok(()),
        other => Err(unexpected(other)),
    }
}

/// How does JupyterLab do? Its words are printable.
///
/// # Errors
/// [`BridgeError`]
pub async fn jupyter(address: &AgentAddress) -> Result<JupyterState, BridgeError> {
    match request(address, &Request::Jupyter).await?.1 {
        Reply::Jupyter(JupyterState::Failed { why }) => {
            let why = crate::text::printable(&why).chars().take(JUPYTER_WORDS).collect();
            Ok(JupyterState::Failed { why })
        }
        Reply::Jupyter(state) => Ok(state),
        other => Err(unexpected(other)),
    }
}

/// For how long has nothing happened, and after how long is it ended for that? The latter is zero for never.
///
/// # Errors
/// [`BridgeError`]
pub async fn idle(address: &AgentAddress) -> Result<(Duration, Duration), BridgeError> {
    match request(address, &Request::Idle).await?.1 {
        Reply::Idle { quiet_ms, limit_ms } => {
            Ok((Duration::from_millis(quiet_ms), Duration::from_millis(limit_ms)))
        }
        other => Err(unexpected(other)),
    }
}

/// What does the container use? Bounded, and its words are printable.
///
/// # Errors
/// [`BridgeError`]
pub async fn usage(address: &AgentAddress) -> Result<Usage, BridgeError> {
    match request(address, &Request::Usage).await?.1 {
        Reply::Usage(usage) => Ok(usage::tidied(*usage)),
        other => Err(unexpected(other)),
    }
}

/// Opens the standing connection.
///
/// # Errors
/// [`BridgeError`]
pub async fn watch(address: &AgentAddress) -> Result<Watch, BridgeError> {
    let (link, reply) = request(address, &Request::Watch).await?;
    match reply {
        Reply::Done | Reply::Started { .. } => {
            let (events, control) = link.into_halves();
            Ok(Watch { events, control: ControlSender(control) })
        }
        other => Err(unexpected(other)),
    }
}

/// A conversation that has been answered.
enum AgentLink {
    Unix(UnixLink),
    Tls(TlsLink),
}

impl AgentLink {
    async fn connect(address: &AgentAddress) -> Result<Self, BridgeError> {
        match address {
            AgentAddress::Unix { directory } => UnixLink::connect(directory).await.map(Self::Unix),
            AgentAddress::Tls(agent) => TlsLink::connect(agent).await.map(Self::Tls),
        }
    }

    async fn connect_patiently(address: &AgentAddress) -> Result<Self, BridgeError> {
        match address {
            AgentAddress::Unix { .. } => Self::connect(address).await,
            AgentAddress::Tls(agent) => TlsLink::connect_patiently(agent).await.map(Self::Tls),
        }
    }

    async fn request(&mut self, request: &Request) -> Result<Reply, BridgeError> {
        match self {
            Self::Unix(link) => link.request(request).await,
            Self::Tls(link) => link.request(request).await,
        }
    }

    fn into_process(self, on_pty: bool) -> Result<Process, BridgeError> {
        match self {
            Self::Unix(link) => link.into_process(on_pty),
            Self::Tls(link) => Ok(link.into_process(on_pty)),
        }
    }

    fn into_shell(self, id: u32, screen: Vec<u8>) -> Result<Shell, BridgeError> {
        let Process { stdio, exit, control } = self.into_process(true)?;
        match stdio {
            Stdio::Pty(master) => Ok(Shell { id, master, exit, control, screen }),
            Stdio::Pipes { .. } => Err(BridgeError::Protocol("the terminal is missing".into())),
        }
    }

    fn into_connection(self) -> Result<Stream, BridgeError> {
        match self {
            Self::Unix(link) => link.into_connection(),
            Self::Tls(link) => Ok(link.into_connection()),
        }
    }

    fn into_halves(self) -> (Conversation, Conversation) {
        match self {
            Self::Unix(link) => link.into_halves(),
            Self::Tls(link) => link.into_halves(),
        }
    }
}

async fn request(address: &AgentAddress, request: &Request) -> Result<(AgentLink, Reply), BridgeError> {
    talk(AgentLink::connect_patiently(address), request).await
}

async fn talk(
    connect: impl Future<Output = Result<AgentLink, BridgeError>>,
    request: &Request,
) -> Result<(AgentLink, Reply), BridgeError> {
    let talk = async {
        let mut link = connect.await?;
        let reply = link.request(request).await?;
        Ok::<_, BridgeError>((link, reply))
    };
    match timeout(REPLY_LIMIT, talk).await.map_err(|_| BridgeError::Timeout)?? {
        (_, Reply::Refused { kind, detail }) => {
            Err(BridgeError::Refused { kind, detail: crate::text::printable(&detail) })
        }
        answered => Ok(answered),
    }
}

fn unexpected(reply: Reply) -> BridgeError {
    BridgeError::Protocol(format!("unexpected {reply:?}").chars().take(200).collect())
}
