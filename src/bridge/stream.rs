//! A descriptor passed out of a container, read and written without blocking.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::{SFlag, fstat};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A larger pipe means fewer wake-ups; where the kernel refuses (limits of unprivileged users), 64 KiB do.
const PIPE_SIZE: i32 = 1024 * 1024;

/// What a descriptor must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Pipe,
    Terminal,
    Socket,
}

/// A pipe's end, a pseudo-terminal's master or a connected socket. Clones share it.
#[derive(Debug, Clone)]
pub struct FdStream {
    descriptor: Arc<AsyncFd<OwnedFd>>,
    kind: Kind,
}

impl FdStream {
    /// Takes a descriptor over after checking what it is: it comes from inside a container.
    pub(super) fn new(descriptor: OwnedFd, kind: Kind) -> io::Result<Self> {
        check(&descriptor, kind)?;
        let flags = OFlag::from_bits_retain(fcntl(&descriptor, FcntlArg::F_GETFL)?);
        fcntl(&descriptor, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        if kind == Kind::Pipe {
            let _ = fcntl(&descriptor, FcntlArg::F_SETPIPE_SZ(PIPE_SIZE));
        }
        // SAFETY: the `AsyncFd` owns the descriptor, so it stays open for as long as it is registered.
        let registered = unsafe { AsyncFd::register(descriptor)? };
        Ok(Self { descriptor: Arc::new(registered), kind })
    }
}

fn check(descriptor: &OwnedFd, kind: Kind) -> io::Result<()> {
    let stat = fstat(descriptor)?;
    let format = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    let right = match kind {
        Kind::Pipe => format == SFlag::S_IFIFO,
        Kind::Socket => format == SFlag::S_IFSOCK,
        // A master answers TIOCGPTN; no other character device does.
        Kind::Terminal => format == SFlag::S_IFCHR && is_pty_master(descriptor),
    };
    if right { Ok(()) } else { Err(io::Error::other(format!("a descriptor is not a {kind:?}"))) }
}

fn is_pty_master(descriptor: &OwnedFd) -> bool {
    let mut number: libc::c_uint = 0;
    // SAFETY: TIOCGPTN writes one unsigned int through the pointer, which is valid for it.
    unsafe { libc::ioctl(descriptor.as_raw_fd(), libc::TIOCGPTN as _, &raw mut number) == 0 }
}

impl AsyncRead for FdStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.descriptor.poll_read_ready(context))?;
            let before = buffer.filled().len();
            match ready.try_io(|fd| read_once(fd.get_ref(), buffer)) {
                // Less than was asked for: a pipe or a socket is empty now (epoll(7)), and need not be asked. A
                // terminal gives a piece at a time.
                Ok(Ok(()))
                    if buffer.remaining() > 0
                        && buffer.filled().len() > before
                        && self.kind != Kind::Terminal =>
                {
                    ready.clear_ready();
                    return Poll::Ready(Ok(()));
                }
                // EIO: the last holder of a terminal's other side is gone.
                Ok(Err(e)) if e.raw_os_error() == Some(libc::EIO) && self.kind == Kind::Terminal => {
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(e)) if e.kind() == io::ErrorKind::Interrupted => {}
                Ok(outcome) => return Poll::Ready(outcome),
                Err(_would_block) => {}
            }
        }
    }
}

fn read_once(descriptor: &OwnedFd, buffer: &mut ReadBuf<'_>) -> io::Result<()> {
    // SAFETY: only written to, by `read`, and `assume_init` covers exactly what it wrote.
    let space = unsafe { buffer.unfilled_mut() };
    // SAFETY: the pointer and the length describe `space`, which lives across the call.
    let read = unsafe { libc::read(descriptor.as_raw_fd(), space.as_mut_ptr().cast(), space.len()) };
    let read = usize::try_from(read).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: `read` bytes of `space` were initialised by the kernel.
    unsafe { buffer.assume_init(read) };
    buffer.advance(read);
    Ok(())
}

impl AsyncWrite for FdStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.descriptor.poll_write_ready(context))?;
            let write = |fd: &AsyncFd<OwnedFd>| Ok(nix::sys::uio::writev(fd.get_ref(), parts)?);
            match ready.try_io(write) {
                Ok(Err(e)) if e.kind() == io::ErrorKind::Interrupted => {}
                Ok(outcome) => return Poll::Ready(outcome),
                Err(_would_block) => {}
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Half-close of a socket; a pipe's end is closed by dropping it.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.kind == Kind::Socket {
            let fd = self.descriptor.get_ref().as_raw_fd();
            // Not connected any more is as good as shut.
            let _ = nix::sys::socket::shutdown(fd, nix::sys::socket::Shutdown::Write);
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_descriptor_must_be_what_it_should_be() {
        let (read, write) = nix::unistd::pipe().unwrap();
        assert!(FdStream::new(read.try_clone().unwrap(), Kind::Socket).is_err());
        assert!(FdStream::new(read.try_clone().unwrap(), Kind::Terminal).is_err());
        let null: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
        assert!(FdStream::new(null, Kind::Terminal).is_err());
        let mut reader = FdStream::new(read, Kind::Pipe).unwrap();
        let mut writer = FdStream::new(write, Kind::Pipe).unwrap();
        let sent = vec![7; 3 << 20];
        let expected = sent.clone();
        tokio::spawn(async move { writer.write_all(&sent).await });
        let mut got = Vec::new();
        reader.read_to_end(&mut got).await.unwrap();
        assert!(got == expected);
    }
}
