//! A descriptor passed out of a container, read and written without blocking.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{MsgFlags, SockType, getsockopt, sendmsg, sockopt};
use nix::sys::stat::{SFlag, fstat};
use nix::sys::uio::writev;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::task::coop;

/// A larger pipe means fewer wake-ups; where the kernel refuses (limits of unprivileged users), 64 KiB do.
const PIPE_SIZE: i32 = 1024 * 1024;
/// Between two tries to wait for room.
const NOTHING_LEFT_PAUSE: Duration = Duration::from_millis(20);

/// What a descriptor must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Pipe,
    Terminal,
    Socket,
}

/// A pipe's end, a pseudo-terminal's master or a connected socket. Clones share it.
#[derive(Debug)]
pub struct FdStream {
    descriptor: Arc<AsyncFd<OwnedFd>>,
    /// Where it is waited for room to write.
    room: Room,
    kind: Kind,
}

/// A terminal and a Unix socket tell of room to write whenever their other side has read something: a wake-up for
/// each key. So it is waited for only once a write has found no room.
#[derive(Debug)]
enum Room {
    /// With the reading: a pipe tells only after it was full.
    Shared,
    /// A duplicate of the descriptor, once it was needed.
    Apart(Option<AsyncFd<OwnedFd>>),
}

impl Clone for FdStream {
    fn clone(&self) -> Self {
        Self { descriptor: Arc::clone(&self.descriptor), room: Room::of(self.kind), kind: self.kind }
    }
}

impl Room {
    fn of(kind: Kind) -> Self {
        match kind {
            Kind::Pipe => Self::Shared,
            Kind::Terminal | Kind::Socket => Self::Apart(None),
        }
    }

    fn interest(&self) -> Interest {
        match self {
            Self::Shared => Interest::READABLE | Interest::WRITABLE,
            Self::Apart(_) => Interest::READABLE,
        }
    }
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
        let room = Room::of(kind);
        // SAFETY: the `AsyncFd` owns the descriptor, so it stays open for as long as it is registered.
        let registered = unsafe { AsyncFd::register_with_interest(descriptor, room.interest())? };
        Ok(Self { descriptor: Arc::new(registered), room, kind })
    }
}

fn check(descriptor: &OwnedFd, kind: Kind) -> io::Result<()> {
    let stat = fstat(descriptor)?;
    let format = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    let right = match kind {
        Kind::Pipe => format == SFlag::S_IFIFO,
        // Of a datagram socket the end can be told and not read.
        Kind::Socket => {
            format == SFlag::S_IFSOCK && getsockopt(descriptor, sockopt::SockType) == Ok(SockType::Stream)
        }
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
            match ready.try_io(|fd| read_once(fd.get_ref(), self.kind, buffer)) {
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

/// A socket is asked not to wait each time: who passed it on could take that from the open file. (A pipe and a terminal
/// have no such flag on each kernel: there the agent is trusted not to.)
fn read_once(descriptor: &OwnedFd, kind: Kind, buffer: &mut ReadBuf<'_>) -> io::Result<()> {
    // SAFETY: only written to, by the kernel, and `assume_init` covers exactly what it wrote.
    let space = unsafe { buffer.unfilled_mut() };
    let (fd, start, length) = (descriptor.as_raw_fd(), space.as_mut_ptr().cast(), space.len());
    // SAFETY: the pointer and the length describe `space`, which lives across the call.
    let read = match kind {
        Kind::Socket => unsafe { libc::recv(fd, start, length, libc::MSG_DONTWAIT) },
        Kind::Pipe | Kind::Terminal => unsafe { libc::read(fd, start, length) },
    };
    let read = usize::try_from(read).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: `read` bytes of `space` were initialised by the kernel.
    unsafe { buffer.assume_init(read) };
    buffer.advance(read);
    Ok(())
}

fn write_once(descriptor: &AsyncFd<OwnedFd>, kind: Kind, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    loop {
        let written = match kind {
            Kind::Socket => sendmsg::<()>(descriptor.as_raw_fd(), parts, &[], flags, None),
            Kind::Pipe | Kind::Terminal => writev(descriptor.get_ref(), parts),
        };
        match written {
            Err(Errno::EINTR) => {}
            outcome => return Ok(outcome?),
        }
    }
}

/// Of the same open file, as one descriptor is registered once only (epoll_ctl(2)).
fn waits_for_room(descriptor: &OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the `AsyncFd` owns the duplicate, so it stays open for as long as it is registered.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor.try_clone()?, Interest::WRITABLE)? })
}

/// The gateway has nothing left to wait with: it is full still, and tried again soon.
fn try_again_soon<T>(context: &Context<'_>) -> Poll<T> {
    let waker = context.waker().clone();
    tokio::spawn(async move {
        tokio::time::sleep(NOTHING_LEFT_PAUSE).await;
        waker.wake();
    });
    Poll::Pending
}

/// Of dup(2) and epoll_ctl(2).
fn has_nothing_left(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOSPC | libc::ENOMEM))
}

impl AsyncWrite for FdStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { descriptor, room, kind } = &mut *self;
        let waits = match room {
            Room::Shared => &**descriptor,
            Room::Apart(Some(waits)) => waits,
            Room::Apart(none) => {
                let turn = ready!(coop::poll_proceed(context));
                match write_once(descriptor, *kind, parts) {
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                        match waits_for_room(descriptor.get_ref()) {
                            Err(e) if has_nothing_left(&e) => return try_again_soon(context),
                            waits => none.insert(waits?),
                        }
                    }
                    outcome => {
                        turn.made_progress();
                        return Poll::Ready(outcome);
                    }
                }
            }
        };
        loop {
            let mut ready = ready!(waits.poll_write_ready(context))?;
            match ready.try_io(|fd| write_once(fd, *kind, parts)) {
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
    use nix::sys::socket::{AddressFamily, SockFlag, socketpair};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// More than any buffer between them holds, written by clones in turn.
    #[tokio::test]
    async fn a_socket_that_is_full_goes_on_when_there_is_room() {
        let (near, far) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::empty()).unwrap();
        let mut far = FdStream::new(far, Kind::Socket).unwrap();
        let near = FdStream::new(near, Kind::Socket).unwrap();
        let sent: Vec<u8> = (0..3_u32 << 20).map(|n| (n % 251) as u8).collect();
        let expected = sent.clone();
        tokio::spawn(async move {
            for piece in sent.chunks(1 << 20) {
                near.clone().write_all(piece).await.unwrap();
            }
            near.clone().shutdown().await.unwrap();
        });
        let mut got = Vec::new();
        far.read_to_end(&mut got).await.unwrap();
        assert!(got == expected);
    }

    /// Its far end is dropped while somebody waits for room.
    #[tokio::test]
    async fn a_socket_that_is_full_hears_of_the_end() {
        let (near, far) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::empty()).unwrap();
        let mut near = FdStream::new(near, Kind::Socket).unwrap();
        let writing = tokio::spawn(async move { near.write_all(&vec![7; 3 << 20]).await });
        // Somebody waits once nothing is taken any more.
        let queued = || {
            nix::sys::socket::recv(far.as_raw_fd(), &mut [0; 1], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT)
        };
        while queued().is_err() {
            tokio::task::yield_now().await;
        }
        drop(far);
        assert_eq!(writing.await.unwrap().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    /// Who passed a socket on may share its open file, and take from it that nothing waits.
    #[tokio::test]
    async fn a_socket_never_holds_a_thread_up() {
        let (near, far) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::empty()).unwrap();
        let shared = near.try_clone().unwrap();
        let mut near = FdStream::new(near, Kind::Socket).unwrap();
        fcntl(&shared, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
        let full = std::future::poll_fn(|context| {
            loop {
                match Pin::new(&mut near).poll_write(context, &[7; 65536]) {
                    Poll::Ready(written) => assert!(written.unwrap() > 0),
                    Poll::Pending => return Poll::Ready(()),
                }
            }
        });
        tokio::task::unconstrained(full).await;
        drop(far);
    }

    #[tokio::test]
    async fn a_datagram_socket_is_refused() {
        let (near, _far) =
            socketpair(AddressFamily::Unix, SockType::Datagram, None, SockFlag::empty()).unwrap();
        assert!(FdStream::new(near, Kind::Socket).is_err());
    }

    #[tokio::test]
    async fn a_terminal_that_is_full_goes_on_when_there_is_room() {
        let pty = nix::pty::openpty(None, None).unwrap();
        let mut raw = nix::sys::termios::tcgetattr(&pty.slave).unwrap();
        nix::sys::termios::cfmakeraw(&mut raw);
        nix::sys::termios::tcsetattr(&pty.slave, nix::sys::termios::SetArg::TCSANOW, &raw).unwrap();
        let mut master = FdStream::new(pty.master, Kind::Terminal).unwrap();
        // Kept open: a master's end takes with it what was not read.
        let writing = tokio::spawn(async move { master.write_all(&[7; 200_000]).await.map(|()| master) });
        let reading = tokio::task::spawn_blocking(move || {
            let mut got = vec![0; 200_000];
            std::io::Read::read_exact(&mut std::fs::File::from(pty.slave), &mut got).map(|()| got)
        });
        assert!(reading.await.unwrap().unwrap() == [7; 200_000]);
        writing.await.unwrap().unwrap();
    }

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
