//! The agent's port of transport `tls`: strangers are shown the door before anything is read of what they say.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection};

use super::pins::{self, OwnKey, PublicKey, SEED};
use super::protocol::AgentTls;
use super::relay::Relay;
use super::run::{RunError, STACK};
use super::serve::{self, Agent};

/// A gateway is through in milliseconds.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(5);
/// Callers at once that have not shown the gateway's key yet.
const MAX_STRANGERS: usize = 256;
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The listening socket and who may come in.
pub(super) struct Port {
    listener: TcpListener,
    config: Arc<ServerConfig>,
}

impl Port {
    /// Listens on every address of the container. Before any process of the user's runs, so that nobody is there first.
    pub(super) fn open(wanted: &AgentTls) -> Result<Self, RunError> {
        let bad = |why: String| RunError::Tls(why);
        let seed: [u8; SEED] = wanted
            .seed
            .as_slice()
            .try_into()
            .map_err(|_| bad("the agent's key has another length".into()))?;
        let key = OwnKey::from_seed(&seed).map_err(|e| bad(e.to_string()))?;
        let config = key.server(PublicKey(wanted.gateway.clone())).map_err(|e| bad(e.to_string()))?;
        let both: SocketAddr = (Ipv6Addr::UNSPECIFIED, wanted.port).into();
        let only4: SocketAddr = (Ipv4Addr::UNSPECIFIED, wanted.port).into();
        let listener =
            TcpListener::bind(both).or_else(|_| TcpListener::bind(only4)).map_err(RunError::Listen)?;
        Ok(Self { listener, config: Arc::new(config) })
    }

    /// Accepts for ever.
    pub(super) fn accept(&self, agent: &Arc<Agent>) -> ! {
        let strangers = Arc::new(AtomicUsize::new(0));
        loop {
            let Ok((socket, _)) = self.listener.accept() else {
                thread::sleep(ACCEPT_PAUSE);
                continue;
            };
            if strangers.load(Ordering::Relaxed) >= MAX_STRANGERS {
                continue;
            }
            strangers.fetch_add(1, Ordering::Relaxed);
            let (agent, config, counted) = (agent.clone(), self.config.clone(), Stranger(strangers.clone()));
            let talk = move || {
                if let Ok((tls, socket)) = shake_hands(config, socket) {
                    drop(counted);
                    relay(&agent, tls, socket);
                }
            };
            // Dropping what was not started counts it out again.
            let _ = thread::Builder::new().stack_size(STACK).spawn(talk);
        }
    }
}

/// Counted until dropped.
struct Stranger(Arc<AtomicUsize>);

impl Drop for Stranger {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn shake_hands(
    config: Arc<ServerConfig>,
    mut socket: TcpStream,
) -> io::Result<(ServerConnection, TcpStream)> {
    socket.set_nodelay(true)?;
    pins::keep_alive(&socket)?;
    let mut tls = ServerConnection::new(config).map_err(io::Error::other)?;
    // We bound what is unsent ourselves, by not reading on.
    tls.set_buffer_limit(None);
    let deadline = Instant::now() + HANDSHAKE_LIMIT;
    while tls.is_handshaking() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        socket.set_write_timeout(Some(left))?;
        if tls.wants_write() {
            tls.write_tls(&mut socket)?;
        } else {
            if tls.read_tls(&mut socket)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Err(e) = tls.process_new_packets() {
                // The alert says which of the two keys was the wrong one.
                let _ = tls.write_tls(&mut socket);
                return Err(io::Error::other(e));
            }
        }
    }
    Ok((tls, socket))
}

/// The conversation is held as over the Unix socket, by a thread of its own.
fn relay(agent: &Arc<Agent>, tls: ServerConnection, socket: TcpStream) {
    let Ok((inner, outer)) = UnixStream::pair() else { return };
    serve::begin(agent, inner);
    if let Ok(relay) = Relay::new(tls, socket, outer) {
        relay.run();
    }
}
