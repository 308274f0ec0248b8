//! Listeners in the container: remote forwards, the client's ssh-agent, X11.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::accepted::{Bell, Room};
use super::account::User;
use super::own_path::OwnPath;
use super::protocol::{Event, Listen, MAX_FRAME, RefusedKind, Reply, write_frame};
use super::rights::as_user;
use super::serve::{Agent, refuse};
use super::{descriptors, x11};

/// After an accept that failed (no descriptors left), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Sockets that one request listens on: one for each address family.
const FAMILIES: usize = 2;

/// What one request listens on. Ends when dropped, and leaves nothing behind.
pub(super) struct Listening {
    sockets: Vec<Socket>,
    /// As [`Reply::Listening`] has it.
    place: String,
    port: u16,
    _path: Option<OwnPath>,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// One conversation: listens until the gateway closes its half.
pub(super) fn serve(agent: &Agent, stream: &UnixStream, wanted: &Listen) {
    let opened = open(wanted, &agent.user).and_then(|listening| Ok((listening, Room::new()?)));
    let (listening, (room, bell)) = match opened {
        Ok(opened) => opened,
        Err(e) => return refuse(stream, RefusedKind::ListenFailed, &e.to_string()),
    };
    let reply = Reply::Listening { place: listening.place.clone(), port: listening.port };
    if descriptors::send(stream, &reply, &[]).is_ok() {
        listening.announce(agent, stream, &room, &bell);
    }
    agent.accepted.forget(&room);
}

fn open(wanted: &Listen, user: &User) -> io::Result<Listening> {
    match wanted {
        Listen::Tcp { port } => {
            let port = *port;
            let (sockets, port) = as_user(user, move || loopback(port))?;
            Ok(Listening { sockets, place: String::new(), port, _path: None })
        }
        Listen::Unix { path } => unix(OwnPath::new(path.into(), user)),
        Listen::AgentSocket => unix(OwnPath::in_new_directory(user, "ssh-", "agent")?),
        Listen::X11 { protocol, cookie, screen } => {
            let (sockets, display) = as_user(user, x11::listen)?;
            x11::authorise(user, display, protocol, cookie)?;
            let place = format!("localhost:{display}.{screen}");
            Ok(Listening { sockets: tcp(sockets), place, port: 0, _path: None })
        }
    }
}

fn unix(path: OwnPath) -> io::Result<Listening> {
    let listener = path.bind()?;
    let place = path.to_string();
    Ok(Listening { sockets: vec![Socket::Unix(listener)], place, port: 0, _path: Some(path) })
}

fn tcp(listeners: Vec<TcpListener>) -> Vec<Socket> {
    listeners.into_iter().map(Socket::Tcp).collect()
}

/// Both families where there are two, on the same port.
fn loopback(port: u16) -> io::Result<(Vec<Socket>, u16)> {
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let port = first.local_addr()?.port();
    let second = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).ok();
    Ok((tcp(std::iter::once(first).chain(second).collect()), port))
}

impl Listening {
    fn announce(&self, agent: &Agent, stream: &UnixStream, room: &Arc<Room>, bell: &Bell) {
        for socket in &self.sockets {
            if socket.set_nonblocking().is_err() {
                return;
            }
        }
        loop {
            let Some(ready) = self.wait(stream, bell, room.is_full()) else { return };
            bell.clear();
            for socket in ready {
                if !accept(agent, stream, socket, room) {
                    return;
                }
            }
        }
    }

    /// The sockets that somebody has connected to; `None` when the gateway has closed.
    fn wait(&self, stream: &UnixStream, bell: &Bell, is_full: bool) -> Option<Vec<&Socket>> {
        let watched = if is_full { 0 } else { FAMILIES };
        let sockets: Vec<&Socket> = self.sockets.iter().take(watched).collect();
        let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut polled = vec![readable(stream.as_fd()), readable(bell.as_fd())];
        polled.extend(sockets.iter().map(|socket| readable(socket.as_fd())));
        match poll(&mut polled, PollTimeout::NONE) {
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => return Some(Vec::new()),
            Err(_) => return None,
        }
        let mut is_ready = polled.iter().map(|p| p.any().unwrap_or(true));
        // The gateway has nothing to say here: when its half is readable, it has closed.
        if is_ready.next() != Some(false) {
            return None;
        }
        let sockets = sockets.iter().zip(is_ready.skip(1));
        Some(sockets.filter_map(|(socket, ready)| ready.then_some(*socket)).collect())
    }
}

/// False when the gateway cannot be told.
fn accept(agent: &Agent, stream: &UnixStream, socket: &Socket, room: &Arc<Room>) -> bool {
    let (connection, address, port) = match socket.accept() {
        Ok((connection, Some(from))) => (connection, from.ip().to_string(), from.port()),
        Ok((connection, None)) => (connection, String::new(), 0),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => return true,
        Err(_) => {
            thread::sleep(ACCEPT_PAUSE);
            return true;
        }
    };
    let token = agent.accepted.put(connection, room);
    write_frame(&mut &*stream, &Event::Accepted { token, address, port }, MAX_FRAME).is_ok()
}

impl Socket {
    fn accept(&self) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, from) = listener.accept()?;
                stream.set_nodelay(true)?;
                Ok((stream.into(), Some(from)))
            }
            Self::Unix(listener) => Ok((listener.accept()?.0.into(), None)),
        }
    }

    fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => listener.set_nonblocking(true),
            Self::Unix(listener) => listener.set_nonblocking(true),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) => listener.as_fd(),
        }
    }
}
