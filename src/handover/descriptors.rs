//! A line with descriptors (SCM_RIGHTS, unix(7)): its first byte carries them.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// SCM_MAX_FD of the kernel.
pub(super) const MOST: usize = 253;
/// A line with descriptors is short.
const MAX_LINE: usize = 64 * 1024;

/// Sends a line, all of it at once: it is far smaller than the socket's buffer.
pub(super) async fn send(stream: &UnixStream, line: &[u8], rights: &[BorrowedFd<'_>]) -> io::Result<()> {
    let raw: Vec<RawFd> = rights.iter().map(AsRawFd::as_raw_fd).collect();
    let control = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() { &[][..] } else { &control[..] };
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    let send = || Ok(sendmsg::<()>(stream.as_raw_fd(), &[IoSlice::new(line)], control, flags, None)?);
    let sent = stream.async_io(Interest::WRITABLE, send).await?;
    if sent == line.len() { Ok(()) } else { Err(io::Error::other("the line was cut")) }
}

/// Receives a line, without its end, and never a byte of the next.
pub(super) async fn receive(stream: &UnixStream) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let (mut line, mut rights) = (Vec::new(), Vec::new());
    while line.len() < MAX_LINE {
        let mut byte = [0];
        let receive = || receive_some(stream.as_raw_fd(), &mut byte, &mut rights);
        if stream.async_io(Interest::READABLE, receive).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match byte {
            [b'\n'] => return Ok((line, rights)),
            [other] => line.push(other),
        }
    }
    Err(io::Error::other("a line without an end"))
}

fn receive_some(socket: RawFd, into: &mut [u8], rights: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut space = nix::cmsg_space!([RawFd; MOST]);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
    let mut parts = [IoSliceMut::new(into)];
    let message = recvmsg::<()>(socket, &mut parts, Some(&mut space), flags)?;
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(received) = part {
            // SAFETY: the kernel has just made these descriptors for us and nobody else knows them.
            rights.extend(received.into_iter().map(|raw| unsafe { OwnedFd::from_raw_fd(raw) }));
        }
    }
    Ok(message.bytes)
}
