//! What stands behind an encrypted connection: the conversation's own code, and the descriptors that it passes.

use std::io::{self, ErrorKind, IoSliceMut, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

use super::super::lanes::{ERRORS, MAIN, Parser, Piece, TALK, WINDOW};
use super::super::protocol::MAX_REQUEST;

/// What waits for the conversation's own code; it reads at once, so that more than a request is never there.
const MOST_TALK: usize = MAX_REQUEST + 64 * 1024;
/// Credit goes back in pieces of this size.
const GRANT: usize = WINDOW / 4;
const MAX_DESCRIPTORS: usize = 3;

pub(super) struct Ends {
    parser: Parser,
    pub(super) talk: Talk,
    pub(super) input: Option<Input>,
    /// Lane 1 and lane 2 towards the gateway.
    pub(super) outputs: Vec<Output>,
}

/// Our end of the conversation.
pub(super) struct Talk {
    pub(super) stream: UnixStream,
    pub(super) pending: Vec<u8>,
    /// The gateway has said its last word.
    is_over: bool,
    /// The agent has.
    pub(super) has_ended: bool,
}

/// Where lane 1 goes.
pub(super) struct Input {
    pub(super) descriptor: OwnedFd,
    pending: Vec<u8>,
    /// How much of `pending` is written already.
    written: usize,
    /// Written and not granted again yet.
    owed: usize,
    is_over: bool,
    /// Nobody reads it any more.
    is_refused: bool,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pipe,
    Socket,
    Terminal,
}

pub(super) struct Output {
    pub(super) descriptor: OwnedFd,
    pub(super) lane: u8,
}

/// What the gateway is told of lane 1.
pub(super) enum Word {
    Credit(usize),
    Stop,
}

impl Ends {
    pub(super) fn new(stream: UnixStream) -> Self {
        let talk = Talk { stream, pending: Vec::new(), is_over: false, has_ended: false };
        Self { parser: Parser::default(), talk, input: None, outputs: Vec::new() }
    }

    pub(super) fn are_over(&self) -> bool {
        self.talk.has_ended && self.input.is_none() && self.outputs.is_empty()
    }

    pub(super) fn have_room(&self) -> bool {
        self.talk.pending.len() < MOST_TALK
    }

    /// False when what comes makes no sense.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> bool {
        loop {
            match self.parser.next(&mut bytes) {
                Ok(None) => return true,
                Ok(Some(Piece::Data(TALK, data))) => self.talk.pending.extend_from_slice(data),
                Ok(Some(Piece::End(TALK))) => self.talk.is_over = true,
                // After a stop some is still on its way.
                Ok(Some(Piece::Data(MAIN, data))) => {
                    if self.input.as_mut().is_some_and(|input| !input.take(data)) {
                        return false;
                    }
                }
                Ok(Some(Piece::End(MAIN))) => {
                    if let Some(input) = &mut self.input {
                        input.is_over = true;
                    }
                }
                Ok(Some(_)) | Err(_) => return false,
            }
        }
    }

    /// Delivers what waits; what the gateway must be told of it.
    pub(super) fn feed(&mut self) -> Option<Word> {
        self.talk.feed();
        let input = self.input.as_mut()?;
        input.feed();
        let is_done = input.is_over && input.pending.is_empty();
        if is_done && input.kind == Kind::Socket {
            let _ =
                nix::sys::socket::shutdown(input.descriptor.as_raw_fd(), nix::sys::socket::Shutdown::Write);
        }
        let grant = (input.owed >= GRANT).then(|| std::mem::take(&mut input.owed));
        let is_refused = input.is_refused;
        if is_done || is_refused {
            self.input = None;
        }
        if is_refused { Some(Word::Stop) } else { grant.map(Word::Credit) }
    }

    /// A descriptor becomes lanes, by what can be done with it.
    pub(super) fn attach(&mut self, descriptor: OwnedFd) {
        let flags = OFlag::from_bits_retain(fcntl(&descriptor, FcntlArg::F_GETFL).unwrap_or_default());
        let _ = fcntl(&descriptor, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK));
        let access = flags & OFlag::O_ACCMODE;
        let lane = if self.outputs.is_empty() { MAIN } else { ERRORS };
        if access == OFlag::O_RDONLY {
            self.outputs.push(Output { descriptor, lane });
            return;
        }
        if access == OFlag::O_RDWR {
            let Ok(copy) = descriptor.try_clone() else { return };
            self.outputs.push(Output { descriptor: copy, lane });
        }
        let is_socket =
            nix::sys::socket::getsockopt(&descriptor, nix::sys::socket::sockopt::SockType).is_ok();
        let kind = match access {
            OFlag::O_WRONLY => Kind::Pipe,
            _ if is_socket => Kind::Socket,
            _ => Kind::Terminal,
        };
        self.input = Some(Input::new(descriptor, kind));
    }

    /// What the gateway has sent is delivered, as bytes in a pipe are whose writer has gone; all else closes now.
    pub(super) fn last_words(self) {
        drop(self.talk);
        drop(self.outputs);
        if let Some(input) = self.input {
            input.last_words();
        }
    }
}

impl Talk {
    fn feed(&mut self) {
        while !self.pending.is_empty() {
            match self.stream.write(&self.pending) {
                Ok(written) => drop(self.pending.drain(..written)),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                // The agent has said all it had to say.
                Err(_) => self.pending.clear(),
            }
        }
        if self.is_over {
            let _ = self.stream.shutdown(Shutdown::Write);
        }
    }

    /// What the agent says, and the descriptors that come along.
    pub(super) fn hear(&self, into: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> io::Result<usize> {
        let mut space = nix::cmsg_space!([RawFd; MAX_DESCRIPTORS]);
        let mut parts = [IoSliceMut::new(into)];
        let message =
            recvmsg::<()>(self.stream.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
        for part in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(received) = part {
                // SAFETY: the kernel has just made these descriptors for us and nobody else knows them.
                descriptors.extend(received.into_iter().map(|raw| unsafe { OwnedFd::from_raw_fd(raw) }));
            }
        }
        Ok(message.bytes)
    }
}

impl Input {
    fn new(descriptor: OwnedFd, kind: Kind) -> Self {
        Self { descriptor, pending: Vec::new(), written: 0, owed: 0, is_over: false, is_refused: false, kind }
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// False when it is more than was granted, which no gateway sends.
    fn take(&mut self, data: &[u8]) -> bool {
        if self.is_over || self.pending.len() - self.written + data.len() > WINDOW {
            return false;
        }
        self.pending.extend_from_slice(data);
        true
    }

    /// As much as there is room for.
    fn feed(&mut self) {
        while let Some(rest) = self.pending.get(self.written..).filter(|rest| !rest.is_empty()) {
            match nix::unistd::write(&self.descriptor, rest) {
                Ok(written) => {
                    self.written += written;
                    self.owed += written;
                }
                Err(nix::errno::Errno::EINTR) => {}
                Err(nix::errno::Errno::EAGAIN) => return,
                Err(_) => {
                    self.is_refused = true;
                    break;
                }
            }
        }
        self.pending.clear();
        self.written = 0;
    }

    /// What waits for a terminal that nobody has open is read by nobody, and poll(2) would say so for ever.
    pub(super) fn forget(&mut self) {
        self.owed += self.pending.len() - self.written;
        self.pending.clear();
        self.written = 0;
    }

    fn last_words(self) {
        // What nobody has read from a terminal goes with it: to hold it would hold off the hang-up.
        if self.kind == Kind::Terminal {
            return;
        }
        let flags = OFlag::from_bits_retain(fcntl(&self.descriptor, FcntlArg::F_GETFL).unwrap_or_default());
        let _ = fcntl(&self.descriptor, FcntlArg::F_SETFL(flags & !OFlag::O_NONBLOCK));
        let _ = std::fs::File::from(self.descriptor)
            .write_all(self.pending.get(self.written..).unwrap_or_default());
    }
}
