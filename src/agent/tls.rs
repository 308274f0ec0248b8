//! The agent's port of transport `tls`: strangers are shown the door before anything is read of what they say.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustls::ServerConfig;

use super::pins::{self, OwnKey, PublicKey, SEED};
use super::protocol::AgentTls;
use super::relay::Relay;
use super::run::{RunError, STACK};
use super::secure::{self, Session};
use super::serve::{self, Agent};

/// A gateway is through in milliseconds.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(5);
/// Callers at once that have not shown the gateway's key yet. One more, and the oldest of them goes: a gateway is through
/// before so many others have come, and who only waits is older than it.
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
        let strangers = Arc::<Strangers>::default();
        loop {
            let Ok((socket, _)) = self.listener.accept() else {
                thread::sleep(ACCEPT_PAUSE);
                continue;
            };
            let Ok(counted) = Stranger::enter(&strangers, &socket) else { continue };
            let (agent, config) = (agent.clone(), self.config.clone());
            let talk = move || {
                if let Ok((session, socket)) = shake_hands(config, socket) {
                    drop(counted);
                    relay(&agent, session, socket);
                }
            };
            // Dropping what was not started counts it out again.
            let _ = thread::Builder::new().stack_size(STACK).spawn(talk);
        }
    }
}

/// Who is here and has not shown a key yet, in the order in which they came.
#[derive(Default)]
struct Strangers(Mutex<Crowd>);

#[derive(Default)]
struct Crowd {
    next: u64,
    sockets: BTreeMap<u64, TcpStream>,
}

impl Strangers {
    fn crowd(&self) -> MutexGuard<'_, Crowd> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of them, until dropped.
struct Stranger {
    strangers: Arc<Strangers>,
    number: u64,
}

impl Stranger {
    fn enter(strangers: &Arc<Strangers>, socket: &TcpStream) -> io::Result<Self> {
        let mut crowd = strangers.crowd();
        if crowd.sockets.len() >= MAX_STRANGERS
            && let Some((_, oldest)) = crowd.sockets.pop_first()
        {
            // Its thread reads the end, and goes.
            let _ = oldest.shutdown(Shutdown::Both);
        }
        let socket = socket.try_clone()?;
        let number = crowd.next;
        crowd.next += 1;
        crowd.sockets.insert(number, socket);
        Ok(Self { strangers: strangers.clone(), number })
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.strangers.crowd().sockets.remove(&self.number);
    }
}

fn shake_hands(config: Arc<ServerConfig>, mut socket: TcpStream) -> io::Result<(Session, TcpStream)> {
    socket.set_nodelay(true)?;
    pins::keep_alive(&socket)?;
    let mut handshake = secure::server(config).map_err(io::Error::other)?;
    let deadline = Instant::now() + HANDSHAKE_LIMIT;
    let mut buffer = [0; 4096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        socket.set_write_timeout(Some(left))?;
        let advanced = handshake.advance();
        // After an error, too: the alert says which of the two keys was the wrong one.
        let said = socket.write_all(&handshake.take_outgoing());
        let is_done = advanced.map_err(io::Error::other)?;
        said?;
        if is_done {
            return Ok((handshake.finish().map_err(io::Error::other)?, socket));
        }
        let read = socket.read(&mut buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        handshake.incoming().extend_from_slice(buffer.get(..read).unwrap_or_default());
    }
}

/// The conversation is held as over the Unix socket, by a thread of its own.
fn relay(agent: &Arc<Agent>, session: Session, socket: TcpStream) {
    let Ok((inner, outer)) = UnixStream::pair() else { return };
    serve::begin(agent, inner);
    if let Ok(relay) = Relay::new(session, socket, outer) {
        relay.run();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_only_waits_goes_for_who_comes() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let strangers = Arc::<Strangers>::default();
        let come = || {
            let outside = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (inside, _) = listener.accept().unwrap();
            let stranger = Stranger::enter(&strangers, &inside).unwrap();
            (outside, inside, stranger)
        };
        let mut first = come();
        let mut others: Vec<_> = (1..MAX_STRANGERS).map(|_| come()).collect();
        assert_eq!(strangers.crowd().sockets.len(), MAX_STRANGERS);
        // Who is through makes room: nobody has to go.
        drop(others.pop());
        others.push(come());
        first.1.set_nonblocking(true).unwrap();
        assert_eq!(first.1.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        others.push(come());
        assert_eq!(first.1.read(&mut [0]).unwrap(), 0, "shut");
        assert_eq!(strangers.crowd().sockets.len(), MAX_STRANGERS);
        drop((first, others));
        assert!(strangers.crowd().sockets.is_empty());
    }
}
