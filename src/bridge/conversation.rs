//! What follows the reply, whatever carries it: one half of a conversation, and the data beside it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::lane::Lane;
use super::stream::FdStream;

/// One half of the conversation with an agent.
#[derive(Debug)]
pub(super) enum Conversation {
    Events(OwnedReadHalf),
    Control(OwnedWriteHalf),
    Lane(Lane),
}

impl Conversation {
    /// What the agent says, and what it is told.
    pub(super) fn unix(stream: UnixStream) -> (Self, Self) {
        let (events, control) = stream.into_split();
        (Self::Events(events), Self::Control(control))
    }

    pub(super) fn lane(lane: Lane) -> (Self, Self) {
        (Self::Lane(lane.clone()), Self::Lane(lane))
    }
}

impl AsyncRead for Conversation {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Events(half) => Pin::new(half).poll_read(context, buffer),
            Self::Lane(lane) => Pin::new(lane).poll_read(context, buffer),
            Self::Control(_) => Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
        }
    }
}

impl AsyncWrite for Conversation {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Control(half) => Pin::new(half).poll_write(context, bytes),
            Self::Lane(lane) => Pin::new(lane).poll_write(context, bytes),
            Self::Events(_) => Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Control(half) => Pin::new(half).poll_flush(context),
            Self::Lane(lane) => Pin::new(lane).poll_flush(context),
            Self::Events(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Control(half) => Pin::new(half).poll_shutdown(context),
            Self::Lane(lane) => Pin::new(lane).poll_shutdown(context),
            Self::Events(_) => Poll::Ready(Ok(())),
        }
    }
}

/// What a process or a connection reads and writes: its own descriptor, or a lane that stands for it. Clones share it.
#[derive(Debug, Clone)]
pub enum Stream {
    /// Passed out of a container on this host.
    Descriptor(FdStream),
    /// On another machine. Its end is said by shutting it down; dropping it alone says nothing.
    Lane(Lane),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Descriptor(descriptor) => Pin::new(descriptor).poll_read(context, buffer),
            Self::Lane(lane) => Pin::new(lane).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Descriptor(descriptor) => Pin::new(descriptor).poll_write(context, bytes),
            Self::Lane(lane) => Pin::new(lane).poll_write(context, bytes),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Descriptor(descriptor) => Pin::new(descriptor).poll_write_vectored(context, parts),
            Self::Lane(lane) => Pin::new(lane).poll_write_vectored(context, parts),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Descriptor(descriptor) => Pin::new(descriptor).poll_flush(context),
            Self::Lane(lane) => Pin::new(lane).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Descriptor(descriptor) => Pin::new(descriptor).poll_shutdown(context),
            Self::Lane(lane) => Pin::new(lane).poll_shutdown(context),
        }
    }
}
