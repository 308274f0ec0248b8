//! Connections made from inside the container.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::account::User;
use super::rights::as_user;

/// For each address of a name.
const LIMIT: Duration = Duration::from_secs(10);
/// A name with more addresses than this is not tried further.
const ADDRESSES: usize = 4;

/// Connects to a TCP port as seen from the container.
pub(super) fn tcp(host: &str, port: u16) -> io::Result<OwnedFd> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"));
    for address in resolve(host, port)?.into_iter().take(ADDRESSES) {
        match TcpStream::connect_timeout(&address, LIMIT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream.into());
            }
            Err(e) => last = e,
        }
    }
    Err(last)
}

/// An empty container has no `/etc/hosts`, but it is a host of its own all the same.
fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if matches!(host, "localhost" | "") {
        return Ok(vec![([127, 0, 0, 1], port).into(), (std::net::Ipv6Addr::LOCALHOST, port).into()]);
    }
    Ok((host, port).to_socket_addrs()?.collect())
}

/// Connects to a Unix socket with the user's rights.
pub(super) fn unix(path: &str, user: &User) -> io::Result<OwnedFd> {
    let path = path.to_owned();
    as_user(user, move || UnixStream::connect(path).map(OwnedFd::from))
}
