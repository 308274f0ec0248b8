//! Connections made from inside the container.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::account::User;

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

/// Connects to a Unix socket with the user's rights, in a thread that has no others and ends after it.
pub(super) fn unix(path: &str, user: &User) -> io::Result<OwnedFd> {
    let (path, user) = (path.to_owned(), user.clone());
    let connect = move || {
        become_user_in_this_thread(&user)?;
        UnixStream::connect(path).map(OwnedFd::from)
    };
    let thread = std::thread::Builder::new().stack_size(super::run::STACK).spawn(connect)?;
    thread.join().unwrap_or_else(|_| Err(io::Error::other("the dialling thread failed")))
}

/// Raw system calls change one thread only, where libc's functions would change the whole agent.
fn become_user_in_this_thread(user: &User) -> io::Result<()> {
    let (uid, gid) = (user.account.uid, user.account.gid);
    let check = |result: libc::c_long| if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    // SAFETY: pointer and length describe `groups`, which lives across the call.
    check(unsafe { libc::syscall(libc::SYS_setgroups, user.groups.len(), user.groups.as_ptr()) })?;
    // SAFETY: plain integers.
    check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) })?;
    // SAFETY: plain integers.
    check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) })
}
