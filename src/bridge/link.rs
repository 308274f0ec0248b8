//! One connection to an agent over its Unix socket, with the descriptors that come along.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use nix::fcntl::{OFlag, open};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::sys::stat::{Mode, SFlag, fstat};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::UnixStream;

use super::stream::{FdStream, Kind};
use super::{BridgeError, ControlSender, Conversation, ExitWatch, Process, Stdio, Stream};
use crate::agent::protocol::{
    FrameError, MAX_FRAME, MAX_REQUEST, PREAMBLE, Reply, Request, SOCKET_NAME, body_length, decode, encode,
};

/// No reply carries more.
const MAX_DESCRIPTORS: usize = 3;

pub(super) struct UnixLink {
    stream: UnixStream,
    descriptors: Vec<OwnedFd>,
}

impl UnixLink {
    /// Connects to the socket in a directory that the container can write to. The last step is not
    /// followed if it is a link: a compromised container must not point us at the host's own sockets.
    pub(super) async fn connect(directory: &Path) -> Result<Self, BridgeError> {
        let pinned = pin_socket(&directory.join(SOCKET_NAME)).map_err(BridgeError::Unreachable)?;
        let path = format!("/proc/self/fd/{}", pinned.as_raw_fd());
        let stream = UnixStream::connect(path).await.map_err(BridgeError::Unreachable)?;
        Ok(Self { stream, descriptors: Vec::new() })
    }

    pub(super) async fn request(&mut self, request: &Request) -> Result<Reply, BridgeError> {
        let mut message = PREAMBLE.to_vec();
        message.extend(encode(request, MAX_REQUEST)?);
        self.stream.write_all(&message).await.map_err(BridgeError::Unreachable)?;
        let mut head = [0; 4];
        self.receive(&mut head).await?;
        let mut body = vec![0; body_length(head, MAX_FRAME)?];
        self.receive(&mut body).await?;
        Ok(decode(&body)?)
    }

    /// Fills `into`, never reading past it: what follows belongs to the process's conversation.
    async fn receive(&mut self, into: &mut [u8]) -> Result<(), BridgeError> {
        let mut filled = 0;
        while let Some(rest) = into.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let (stream, descriptors) = (&self.stream, &mut self.descriptors);
            let read = stream
                .async_io(Interest::READABLE, || receive_some(stream.as_raw_fd(), rest, descriptors))
                .await
                .map_err(FrameError::Io)?;
            if read == 0 {
                return Err(BridgeError::Protocol("it closed before it answered".into()));
            }
            filled += read;
        }
        Ok(())
    }

    pub(super) fn into_process(self, on_pty: bool) -> Result<Process, BridgeError> {
        let (exit, control) = Conversation::unix(self.stream);
        let mut descriptors = self.descriptors.into_iter();
        let mut next = |kind| {
            let descriptor = descriptors.next().ok_or_else(|| missing("a descriptor"))?;
            stream(descriptor, kind)
        };
        let stdio = if on_pty {
            Stdio::Pty(next(Kind::Terminal)?)
        } else {
            Stdio::Pipes { stdin: next(Kind::Pipe)?, stdout: next(Kind::Pipe)?, stderr: next(Kind::Pipe)? }
        };
        Ok(Process { stdio, exit: ExitWatch(exit), control: ControlSender(control) })
    }

    pub(super) fn into_connection(self) -> Result<Stream, BridgeError> {
        let descriptor = self.descriptors.into_iter().next().ok_or_else(|| missing("the connection"))?;
        stream(descriptor, Kind::Socket)
    }

    pub(super) fn into_halves(self) -> (Conversation, Conversation) {
        Conversation::unix(self.stream)
    }
}

fn stream(descriptor: OwnedFd, kind: Kind) -> Result<Stream, BridgeError> {
    let stream = FdStream::new(descriptor, kind).map_err(|e| BridgeError::Protocol(e.to_string()))?;
    Ok(Stream::Descriptor(stream))
}

fn missing(what: &str) -> BridgeError {
    BridgeError::Protocol(format!("{what} is missing"))
}

/// Opens the socket's inode itself, refusing anything but a socket. (Not by `std`: musl counts
/// `O_PATH` as an access mode, and `std` lets nobody choose that by a flag.)
fn pin_socket(path: &Path) -> io::Result<OwnedFd> {
    let pinned = open(path, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())?;
    let kind = SFlag::from_bits_truncate(fstat(&pinned)?.st_mode) & SFlag::S_IFMT;
    if kind == SFlag::S_IFSOCK { Ok(pinned) } else { Err(io::Error::other("it is not a socket")) }
}

fn receive_some(socket: RawFd, into: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut space = nix::cmsg_space!([RawFd; MAX_DESCRIPTORS]);
    let mut parts = [IoSliceMut::new(into)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<()>(socket, &mut parts, Some(&mut space), flags)?;
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(received) = part {
            for descriptor in received {
                // SAFETY: the kernel has just made this descriptor for us and nobody else knows it.
                let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
                if descriptors.len() < MAX_DESCRIPTORS {
                    descriptors.push(owned);
                }
            }
        }
    }
    Ok(message.bytes)
}
