//! One conversation of transport `tls`: the same conversation as over the Unix socket, and the bytes of the descriptors
//! that would pass there, in lanes.
//!
//! The conversation itself is held by the same code, over a pair of sockets: this relay is the gateway's stand-in inside the
//! container. One thread, one poll; nothing is read from a descriptor before what was read last is on its way.

use std::io::{self, ErrorKind, IoSliceMut, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use rustls::ServerConnection;

use super::lanes::{self, ERRORS, MAIN, MOST, Parser, Piece, TALK, WINDOW};
use super::protocol::MAX_REQUEST;

/// What waits for the conversation's own code; it reads at once, so that more than a request is never there.
const MOST_TALK: usize = MAX_REQUEST + 64 * 1024;
/// Credit goes back in pieces of this size.
const GRANT: usize = WINDOW / 4;
const MAX_DESCRIPTORS: usize = 3;

/// One encrypted connection and what stands behind it.
pub(super) struct Relay {
    tls: ServerConnection,
    socket: TcpStream,
    /// What was read from the socket, and how much of it the TLS machine has taken.
    wire: Vec<u8>,
    taken: usize,
    /// Nothing more comes over the socket.
    has_hung_up: bool,
    /// The gateway is gone, and everything that it has sent was taken.
    is_closed: bool,
    parser: Parser,
    talk: Talk,
    input: Option<Input>,
    /// Lane 1 and lane 2 towards the gateway.
    outputs: Vec<Output>,
    buffer: Vec<u8>,
}

/// Our end of the conversation.
struct Talk {
    stream: UnixStream,
    pending: Vec<u8>,
    /// The gateway has said its last word.
    is_over: bool,
    /// The agent has.
    has_ended: bool,
}

/// Where lane 1 goes.
struct Input {
    descriptor: OwnedFd,
    pending: Vec<u8>,
    /// How much of `pending` is written already.
    written: usize,
    /// Written and not granted again yet.
    owed: usize,
    is_over: bool,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pipe,
    Socket,
    Terminal,
}

struct Output {
    descriptor: OwnedFd,
    lane: u8,
}

impl Relay {
    pub(super) fn new(tls: ServerConnection, socket: TcpStream, talk: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        talk.set_nonblocking(true)?;
        let talk = Talk { stream: talk, pending: Vec::new(), is_over: false, has_ended: false };
        Ok(Self {
            tls,
            socket,
            wire: Vec::new(),
            taken: 0,
            has_hung_up: false,
            is_closed: false,
            parser: Parser::default(),
            talk,
            input: None,
            outputs: Vec::new(),
            buffer: vec![0; MOST],
        })
    }

    /// Until the gateway has closed, or everything has ended by itself.
    pub(super) fn run(mut self) {
        loop {
            self.flush();
            self.decrypt();
            self.feed_talk();
            self.feed_input();
            self.flush();
            if self.is_closed {
                return self.last_words();
            }
            if self.is_over() && !self.tls.wants_write() {
                self.tls.send_close_notify();
                self.flush();
                return;
            }
            if !self.wait_and_read() {
                return;
            }
        }
    }

    fn is_over(&self) -> bool {
        self.talk.has_ended && self.input.is_none() && self.outputs.is_empty()
    }

    /// What the gateway has sent is delivered, as bytes in a pipe are whose writer has gone; all else closes now.
    fn last_words(self) {
        drop(self.talk);
        drop(self.outputs);
        // What nobody has read from a terminal goes with it: to hold it would hold off the hang-up.
        let Some(input) = self.input.filter(|input| input.kind != Kind::Terminal) else { return };
        let flags = OFlag::from_bits_retain(fcntl(&input.descriptor, FcntlArg::F_GETFL).unwrap_or_default());
        let _ = fcntl(&input.descriptor, FcntlArg::F_SETFL(flags & !OFlag::O_NONBLOCK));
        let _ = std::fs::File::from(input.descriptor)
            .write_all(input.pending.get(input.written..).unwrap_or_default());
    }

    fn flush(&mut self) {
        while !self.is_closed && self.tls.wants_write() {
            match self.tls.write_tls(&mut self.socket) {
                Ok(0) => self.is_closed = true,
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.is_closed = true,
            }
        }
    }

    fn send(&mut self, lane: u8, bytes: &[u8]) {
        // Into memory: it cannot fail, and nothing more is read before it has gone.
        let _ = self.tls.writer().write_all(&lanes::data(lane, bytes.len()));
        let _ = self.tls.writer().write_all(bytes);
    }

    fn send_head(&mut self, head: [u8; lanes::HEAD]) {
        let _ = self.tls.writer().write_all(&head);
    }

    /// What has come over the wire. Read in one go: the TLS machine by itself asks for 4 KiB at a time.
    fn receive(&mut self) {
        self.wire.clear();
        self.taken = 0;
        self.wire.resize(MOST, 0);
        let read = self.socket.read(&mut self.wire);
        self.wire.truncate(*read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => self.has_hung_up = true,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.has_hung_up = true,
            Ok(_) => {}
        }
    }

    fn has_room(&self) -> bool {
        self.talk.pending.len() < MOST_TALK
    }

    fn is_wire_empty(&self) -> bool {
        self.taken >= self.wire.len()
    }

    fn decrypt(&mut self) {
        while self.has_room() && self.take_plaintext() {
            if self.is_wire_empty() {
                self.is_closed |= self.has_hung_up;
                return;
            }
            let mut rest = self.wire.get(self.taken..).unwrap_or_default();
            let before = rest.len();
            let read = self.tls.read_tls(&mut rest);
            self.taken += before - rest.len();
            if read.is_err() || self.tls.process_new_packets().is_err() {
                self.flush();
                self.is_closed = true;
            }
        }
    }

    /// Takes what is decrypted already. False when nothing more can come.
    fn take_plaintext(&mut self) -> bool {
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            match self.tls.reader().read(&mut buffer) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Ok(read @ 1..) if self.take_pieces(buffer.get(..read).unwrap_or_default()) => {}
                // The gateway has said farewell, or does not speak this.
                Ok(_) | Err(_) => {
                    self.is_closed = true;
                    break;
                }
            }
        }
        self.buffer = buffer;
        !self.is_closed
    }

    /// False when what comes makes no sense.
    fn take_pieces(&mut self, mut bytes: &[u8]) -> bool {
        loop {
            match self.parser.next(&mut bytes) {
                Ok(None) => return true,
                Ok(Some(Piece::Data(TALK, data))) => self.talk.pending.extend_from_slice(data),
                Ok(Some(Piece::End(TALK))) => self.talk.is_over = true,
                Ok(Some(Piece::Data(MAIN, data))) => {
                    // More than was granted is not what a gateway sends. After a stop some is still on its way.
                    if let Some(input) = &mut self.input {
                        if input.is_over || input.pending.len() - input.written + data.len() > WINDOW {
                            return false;
                        }
                        input.pending.extend_from_slice(data);
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

    fn feed_talk(&mut self) {
        let talk = &mut self.talk;
        while !talk.pending.is_empty() {
            match talk.stream.write(&talk.pending) {
                Ok(written) => drop(talk.pending.drain(..written)),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                // The agent has said all it had to say.
                Err(_) => talk.pending.clear(),
            }
        }
        if talk.is_over {
            let _ = talk.stream.shutdown(Shutdown::Write);
        }
    }

    fn feed_input(&mut self) {
        let Some(input) = &mut self.input else { return };
        let mut is_wanted = true;
        while let Some(rest) = input.pending.get(input.written..).filter(|rest| !rest.is_empty()) {
            match nix::unistd::write(&input.descriptor, rest) {
                Ok(written) => {
                    input.written += written;
                    input.owed += written;
                }
                Err(nix::errno::Errno::EINTR) => {}
                Err(nix::errno::Errno::EAGAIN) => break,
                Err(_) => {
                    is_wanted = false;
                    break;
                }
            }
        }
        if input.written == input.pending.len() {
            input.pending.clear();
            input.written = 0;
        }
        let grant = (input.owed >= GRANT).then(|| std::mem::take(&mut input.owed));
        let is_done = input.is_over && input.pending.is_empty();
        if is_done && input.kind == Kind::Socket {
            let _ =
                nix::sys::socket::shutdown(input.descriptor.as_raw_fd(), nix::sys::socket::Shutdown::Write);
        }
        if !is_wanted {
            self.send_head(lanes::stop());
        } else if let Some(bytes) = grant {
            self.send_head(lanes::credit(bytes));
        }
        if is_done || !is_wanted {
            self.input = None;
        }
    }

    /// Waits for anything, then reads what is there. False when waiting itself fails.
    fn wait_and_read(&mut self) -> bool {
        let mut waits = Waits::default();
        let may_send = !self.tls.wants_write();
        let hears = may_send && !self.talk.has_ended;
        // Behind a full conversation the rest waits in the socket.
        let receives = self.is_wire_empty();
        waits.add(Source::Socket, self.socket.as_fd(), receives, !may_send);
        waits.add(Source::Talk, self.talk.stream.as_fd(), hears, !self.talk.pending.is_empty());
        if let Some(input) = &self.input {
            waits.add(Source::Input, input.descriptor.as_fd(), false, !input.pending.is_empty());
        }
        for (index, output) in self.outputs.iter().enumerate() {
            waits.add(Source::Output(index), output.descriptor.as_fd(), may_send, false);
        }
        let Some(ready) = waits.wait() else { return false };
        // From behind: an output that has ended is taken out of its list.
        for source in ready.into_iter().rev() {
            match source {
                Source::Output(index) => self.read_output(index),
                Source::Talk if hears => self.hear(),
                Source::Socket if receives => self.receive(),
                Source::Input | Source::Talk | Source::Socket => {}
            }
        }
        true
    }

    fn read_output(&mut self, index: usize) {
        let mut buffer = std::mem::take(&mut self.buffer);
        if let Some(output) = self.outputs.get(index) {
            let lane = output.lane;
            match nix::unistd::read(&output.descriptor, &mut buffer) {
                Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => {}
                // EIO: the last holder of a terminal's other side is gone. A connection that was reset has ended, too.
                Ok(0) | Err(_) => {
                    self.outputs.remove(index);
                    self.send(lane, &[]);
                }
                Ok(read) => self.send(lane, buffer.get(..read).unwrap_or_default()),
            }
        }
        self.buffer = buffer;
    }

    /// What the agent says, and the descriptors that come along.
    fn hear(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut descriptors = Vec::new();
        match receive_some(&self.talk.stream, &mut buffer, &mut descriptors) {
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Ok(0) | Err(_) => {
                self.talk.has_ended = true;
                self.send(TALK, &[]);
            }
            Ok(read) => {
                for descriptor in descriptors {
                    self.attach(descriptor);
                }
                self.send(TALK, buffer.get(..read).unwrap_or_default());
            }
        }
        self.buffer = buffer;
    }

    /// A descriptor becomes lanes, by what can be done with it.
    fn attach(&mut self, descriptor: OwnedFd) {
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
        let input = Input { descriptor, pending: Vec::new(), written: 0, owed: 0, is_over: false, kind };
        self.input = Some(input);
    }
}

#[derive(Debug, Clone, Copy)]
enum Source {
    Socket,
    Talk,
    Input,
    Output(usize),
}

/// What is waited for, one poll(2) for all.
#[derive(Default)]
struct Waits<'a> {
    sources: Vec<Source>,
    polled: Vec<PollFd<'a>>,
}

impl<'a> Waits<'a> {
    /// With nothing to wait for it is left out: poll reports a hang-up without being asked.
    fn add(&mut self, source: Source, descriptor: BorrowedFd<'a>, reads: bool, writes: bool) {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::POLLIN, reads);
        flags.set(PollFlags::POLLOUT, writes);
        if !flags.is_empty() {
            self.sources.push(source);
            self.polled.push(PollFd::new(descriptor, flags));
        }
    }

    fn wait(mut self) -> Option<Vec<Source>> {
        match poll(&mut self.polled, PollTimeout::NONE) {
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => return Some(Vec::new()),
            Err(_) => return None,
        }
        let ready = self.sources.into_iter().zip(&self.polled);
        Some(ready.filter_map(|(source, polled)| polled.any().unwrap_or(true).then_some(source)).collect())
    }
}

fn receive_some(stream: &UnixStream, into: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut space = nix::cmsg_space!([RawFd; MAX_DESCRIPTORS]);
    let mut parts = [IoSliceMut::new(into)];
    let message =
        recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(received) = part {
            // SAFETY: the kernel has just made these descriptors for us and nobody else knows them.
            descriptors.extend(received.into_iter().map(|raw| unsafe { OwnedFd::from_raw_fd(raw) }));
        }
    }
    Ok(message.bytes)
}
