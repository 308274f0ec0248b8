//! The client's TCP connection: quick in the key exchange, and endable from outside.

use std::io;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::in_flight::InFlight;

/// Reads in which a delayed ACK would make the client's Nagle wait: key exchange and authentication.
const QUICK_READS: u8 = 16;
/// So much is read at a time where less is asked for. Of a large packet it is the part that is copied once more.
const AHEAD: usize = 2 * 1024;
/// Bytes between two looks at the way to the client.
const MEASURE_EVERY: usize = 256 * 1024;

/// A TCP connection that ends when its token is cancelled. russh's own disconnect waits for the
/// client to close; a client that never does would stay for ever.
pub(super) struct ClientStream {
    tcp: TcpStream,
    quick_reads: u8,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    /// How long the client may take nothing while something waits for it.
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    /// Read and not asked for yet.
    ahead: BytesMut,
    in_flight: Arc<InFlight>,
    /// Written since the way was last looked at.
    unmeasured: usize,
}

impl ClientStream {
    pub(super) fn new(
        tcp: TcpStream,
        end: CancellationToken,
        patience: Duration,
        in_flight: Arc<InFlight>,
    ) -> Self {
        // Ours are small and at once; without it every reply in the key exchange costs 40 ms.
        let _ = tcp.set_nodelay(true);
        Self {
            tcp,
            quick_reads: QUICK_READS,
            ended: Box::pin(end.cancelled_owned()),
            patience,
            stalled: None,
            ahead: BytesMut::new(),
            in_flight,
            unmeasured: MEASURE_EVERY,
        }
    }

    /// A client that reads nothing answers no keepalive either: without an end to it, it would stay for ever,
    /// because russh waits here and looks at nothing else.
    fn poll_patience(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        match stalled.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }

    /// Linux forgets TCP_QUICKACK by itself, so it is set again before each of the first reads.
    fn acknowledge_quickly(&mut self) {
        if self.quick_reads > 0 {
            self.quick_reads -= 1;
            let on: libc::c_int = 1;
            // SAFETY: the option takes one int; pointer and length describe `on`.
            unsafe {
                libc::setsockopt(
                    self.tcp.as_raw_fd(),
                    libc::IPPROTO_TCP,
                    libc::TCP_QUICKACK,
                    (&raw const on).cast(),
                    libc::socklen_t::try_from(size_of_val(&on)).unwrap_or_default(),
                );
            }
        }
    }

    /// The round trip tells how much must be under way to fill the line.
    fn measure(&mut self, written: usize) {
        self.unmeasured = self.unmeasured.saturating_add(written);
        if self.unmeasured >= MEASURE_EVERY {
            self.unmeasured = 0;
            self.in_flight.measure(&self.tcp);
        }
    }

    /// russh asks for the length of each packet by itself: small ones that came together are read together.
    fn poll_read_ahead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ahead.reserve(AHEAD);
        let Self { tcp, ahead, .. } = self;
        let read = std::pin::pin!(tcp.take(AHEAD as u64).read_buf(ahead)).poll(context);
        read.map_ok(drop)
    }

    fn poll_ended(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.ended.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_ended(context)?;
        if self.ahead.is_empty() {
            self.acknowledge_quickly();
            if buffer.remaining() >= AHEAD {
                return Pin::new(&mut self.tcp).poll_read(context, buffer);
            }
            ready!(self.poll_read_ahead(context))?;
        }
        let served = self.ahead.len().min(buffer.remaining());
        buffer.put_slice(self.ahead.get(..served).unwrap_or_default());
        self.ahead.advance(served);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_ended(context)?;
        let written = Pin::new(&mut self.tcp).poll_write(context, bytes);
        match &written {
            Poll::Ready(written) => {
                self.stalled = None;
                self.measure(*written.as_ref().unwrap_or(&0));
            }
            Poll::Pending => self.poll_patience(context)?,
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}
