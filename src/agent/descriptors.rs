//! Descriptors sent along with a frame (SCM_RIGHTS, unix(7)).

use std::io::{self, IoSlice, Write};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use super::protocol::{FrameError, MAX_FRAME, Reply, encode};

/// Sends a reply; its first byte carries the descriptors.
pub(super) fn send(
    stream: &UnixStream,
    reply: &Reply,
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), FrameError> {
    let frame = encode(reply, MAX_FRAME)?;
    let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let rights = if raw.is_empty() { &[][..] } else { &rights[..] };
    let sent =
        sendmsg::<()>(stream.as_raw_fd(), &[IoSlice::new(&frame)], rights, MsgFlags::MSG_NOSIGNAL, None);
    let sent = sent.map_err(io::Error::from)?;
    (&*stream).write_all(frame.get(sent..).unwrap_or_default())?;
    Ok(())
}
