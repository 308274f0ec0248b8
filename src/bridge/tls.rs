//! To an agent on another machine: TLS 1.3 to its published port, both sides known by their keys.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::frames::read_frame;
use super::lane::{Lane, lanes};
use super::{BridgeError, ControlSender, Conversation, ExitWatch, Process, Stdio, Stream};
use crate::agent::pins;
use crate::agent::protocol::{MAX_FRAME, MAX_REQUEST, PREAMBLE, Reply, Request, encode};
use crate::agent::secure::{self, Session};

/// To connect and to shake hands; on a network that is cut nothing answers.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Until a refused connection is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Where an agent is published, and the keys of its reservation.
#[derive(Debug, Clone)]
pub struct TlsAgent {
    /// On the machine's own network address.
    pub address: SocketAddr,
    /// Ours and the agent's.
    pub keys: Arc<ClientConfig>,
}

/// The keys follow from the reservation, whose agent is the only one at an address.
impl PartialEq for TlsAgent {
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address && Arc::ptr_eq(&self.keys, &other.keys)
    }
}

impl Eq for TlsAgent {}

/// One conversation with an agent, before it is known what it becomes.
pub(super) struct TlsLink {
    talk: Lane,
    main: Lane,
    errors: Lane,
}

impl TlsLink {
    /// One attempt to connect.
    pub(super) async fn connect(agent: &TlsAgent) -> Result<Self, BridgeError> {
        let wire = timeout(CONNECT_LIMIT, shake_hands(agent)).await.unwrap_or_else(|_| Err(late()));
        Ok(Self::new(wire.map_err(BridgeError::Unreachable)?))
    }

    /// The same, past a moment in which the engine starts again and publishes the ports of its containers anew: nobody
    /// listens then. Nothing has been asked yet, so trying again does nothing twice.
    pub(super) async fn connect_patiently(agent: &TlsAgent) -> Result<Self, BridgeError> {
        let mut refused = None;
        let wire = timeout(CONNECT_LIMIT, async {
            loop {
                match shake_hands(agent).await {
                    Err(error) if is_refusal(&error) => refused = Some(error),
                    ended => return ended,
                }
                sleep(AGAIN_AFTER).await;
            }
        });
        let wire = wire.await.unwrap_or_else(|_| Err(refused.unwrap_or_else(late)));
        Ok(Self::new(wire.map_err(BridgeError::Unreachable)?))
    }

    fn new((socket, session): (TcpStream, Session)) -> Self {
        let [talk, main, errors] = lanes(socket, session);
        Self { talk, main, errors }
    }

    pub(super) async fn request(&mut self, request: &Request) -> Result<Reply, BridgeError> {
        let mut message = PREAMBLE.to_vec();
        message.extend(encode(request, MAX_REQUEST)?);
        self.talk.write_all(&message).await.map_err(BridgeError::Unreachable)?;
        self.talk.flush().await.map_err(BridgeError::Unreachable)?;
        Ok(read_frame(&mut self.talk, MAX_FRAME).await?)
    }

    pub(super) fn into_process(self, on_pty: bool) -> Process {
        let (events, control) = Conversation::lane(self.talk);
        let stdio = if on_pty {
            Stdio::Pty(Stream::Lane(self.main))
        } else {
            let (stdin, stdout) = (self.main.clone(), self.main);
            Stdio::Pipes {
                stdin: Stream::Lane(stdin),
                stdout: Stream::Lane(stdout),
                stderr: Stream::Lane(self.errors),
            }
        };
        Process { stdio, exit: ExitWatch(events), control: ControlSender(control) }
    }

    pub(super) fn into_connection(self) -> Stream {
        Stream::Lane(self.main)
    }

    pub(super) fn into_halves(self) -> (Conversation, Conversation) {
        Conversation::lane(self.talk)
    }
}

async fn shake_hands(agent: &TlsAgent) -> io::Result<(TcpStream, Session)> {
    let mut stream = TcpStream::connect(agent.address).await?;
    stream.set_nodelay(true)?;
    pins::keep_alive(&stream)?;
    let name = ServerName::from(agent.address.ip());
    let mut handshake = secure::client(agent.keys.clone(), name).map_err(io::Error::other)?;
    loop {
        let advanced = handshake.advance();
        let said = stream.write_all(&handshake.take_outgoing()).await;
        // An alert that does not reach the other side is not what went wrong.
        let is_done = advanced.map_err(invalid)?;
        said?;
        if is_done {
            return Ok((stream, handshake.finish().map_err(io::Error::other)?));
        }
        if stream.read_buf(handshake.incoming()).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn is_refusal(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), ConnectionRefused | ConnectionReset | UnexpectedEof)
}

fn late() -> io::Error {
    io::ErrorKind::TimedOut.into()
}
