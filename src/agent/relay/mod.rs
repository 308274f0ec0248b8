//! One conversation of transport `tls`: the same conversation as over the Unix socket, and the bytes of the descriptors
//! that would pass there, in lanes.
//!
//! The conversation itself is held by the same code, over a pair of sockets: this relay is the gateway's stand-in inside the
//! container. One thread, one poll; nothing is read from a descriptor before what was read last is on its way.

mod ends;
#[cfg(test)]
mod tests;
mod waits;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use ends::{Ends, Input, Word};
use waits::{Source, Waits};

use super::lanes::{self, MOST, TALK};
use super::secure::{Opened, Session};

/// What is read at once from a descriptor, in bytes.
const READ: usize = MOST;
/// What is read at once from the socket.
const READ_WIRE: usize = MOST;
/// After so much quiet buffers are given back.
const REST_AFTER: Duration = Duration::from_secs(1);
/// For the gateway to go after it has taken something more, or everything.
const LEAVE_LIMIT: Duration = Duration::from_secs(5);
/// How often it is looked whether it has.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// One encrypted connection and what stands behind it.
pub(super) struct Relay {
    session: Session,
    socket: TcpStream,
    /// All that came and is whole was taken.
    is_starved: bool,
    /// Nothing more comes over the socket.
    has_hung_up: bool,
    /// The gateway is gone, and everything that it has sent was taken.
    is_closed: bool,
    ends: Ends,
    buffer: Vec<u8>,
}

impl Relay {
    pub(super) fn new(session: Session, socket: TcpStream, talk: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        talk.set_nonblocking(true)?;
        Ok(Self {
            session,
            socket,
            is_starved: false,
            has_hung_up: false,
            is_closed: false,
            ends: Ends::new(talk),
            buffer: Vec::new(),
        })
    }

    /// Until the gateway has closed, or everything has ended by itself.
    pub(super) fn run(mut self) {
        loop {
            self.take();
            match self.ends.feed() {
                Some(Word::Credit(bytes)) => self.send([&lanes::credit(bytes), &[]]),
                Some(Word::Stop) => self.send([&lanes::stop(), &[]]),
                None => {}
            }
            self.flush();
            if self.is_closed {
                return self.ends.last_words();
            }
            if !self.is_starved && self.ends.have_room() {
                continue;
            }
            if self.ends.are_over() && self.session.outgoing().is_empty() {
                return self.take_leave();
            }
            if !self.wait_and_read() {
                return;
            }
        }
    }

    /// Until the gateway has gone, too: a socket that is closed before all that has come was read takes with it what the
    /// gateway has not read yet (RFC 1122 section 4.2.2.13). A slow one has the time that it needs.
    fn take_leave(mut self) {
        self.session.say_farewell();
        self.flush();
        let _ = self.socket.shutdown(Shutdown::Write);
        let _ = self.socket.set_nonblocking(false);
        if self.socket.set_read_timeout(Some(LOOK_AFTER)).is_err() {
            return;
        }
        self.buffer.resize(READ, 0);
        let (mut limit, mut before) = (Instant::now() + LEAVE_LIMIT, None);
        while Instant::now() < limit {
            match self.socket.read(&mut self.buffer) {
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            }
            let untaken = Some(untaken(&self.socket));
            if untaken != before {
                (limit, before) = (Instant::now() + LEAVE_LIMIT, untaken);
            }
        }
    }

    fn flush(&mut self) {
        while !self.is_closed && !self.session.outgoing().is_empty() {
            match self.socket.write(self.session.outgoing()) {
                Ok(0) => self.is_closed = true,
                Ok(sent) => self.session.sent(sent),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.is_closed = true,
            }
        }
    }

    /// Into memory; nothing more is read before it has gone.
    fn send(&mut self, parts: [&[u8]; 2]) {
        self.is_closed |= self.session.seal(parts).is_err();
    }

    fn send_data(&mut self, lane: u8, bytes: &[u8]) {
        self.send([&lanes::data(lane, bytes.len()), bytes]);
    }

    /// What has come over the wire.
    fn receive(&mut self) {
        match read_some(&self.socket, self.session.incoming(READ_WIRE)) {
            Ok(1..) => {}
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Ok(0) | Err(_) => self.has_hung_up = true,
        }
        self.is_starved = false;
    }

    /// Opens what has come, as far as there is room for it.
    fn take(&mut self) {
        while !self.is_starved && !self.is_closed && self.ends.have_room() {
            match self.session.open() {
                Ok(Some(Opened::Data(bytes))) => self.is_closed |= !self.ends.take(bytes),
                Ok(None) => {
                    self.is_starved = true;
                    self.is_closed |= self.has_hung_up;
                }
                Ok(Some(Opened::Farewell)) => self.is_closed = true,
                // It does not speak this, and is told.
                Err(_) => {
                    self.flush();
                    self.is_closed = true;
                }
            }
        }
    }

    /// Waits for anything, then reads what is there. False when waiting itself fails.
    fn wait_and_read(&mut self) -> bool {
        let ends = &self.ends;
        let mut waits = Waits::default();
        let may_send = self.session.outgoing().is_empty();
        let hears = may_send && !ends.talk.has_ended;
        // Behind a full conversation the rest waits in the socket.
        let receives = self.is_starved;
        waits.add(Source::Socket, self.socket.as_fd(), receives, !may_send);
        waits.add(Source::Talk, ends.talk.stream.as_fd(), hears, !ends.talk.pending.is_empty());
        if let Some(input) = &ends.input {
            waits.add(Source::Input, input.descriptor.as_fd(), false, input.has_pending());
        }
        for (index, output) in ends.outputs.iter().enumerate() {
            waits.add(Source::Output(index), output.descriptor.as_fd(), may_send, false);
        }
        // Small words come one after the other; large buffers are kept for that long.
        let has_rested = self.buffer.is_empty();
        let Some(ready) = waits.wait((!has_rested).then_some(REST_AFTER)) else { return false };
        if ready.is_empty() {
            self.rest();
        } else {
            self.buffer.resize(READ, 0);
        }
        // From behind: an output that has ended is taken out of its list.
        for source in ready.into_iter().rev() {
            match source {
                Source::Output(index) => self.read_output(index),
                Source::Talk if hears => self.hear(),
                Source::Socket if receives => self.receive(),
                Source::InputAlone => self.ends.input.iter_mut().for_each(Input::forget),
                Source::Input | Source::Talk | Source::Socket => {}
            }
        }
        true
    }

    /// Nothing has happened for a moment: memory is given back.
    fn rest(&mut self) {
        self.session.rest();
        self.buffer = Vec::new();
    }

    fn read_output(&mut self, index: usize) {
        let Some(output) = self.ends.outputs.get(index) else { return };
        let lane = output.lane;
        let mut buffer = std::mem::take(&mut self.buffer);
        match nix::unistd::read(&output.descriptor, &mut buffer) {
            Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => {}
            // EIO: the last holder of a terminal's other side is gone. A connection that was reset has ended, too.
            Ok(0) | Err(_) => {
                self.ends.outputs.remove(index);
                self.send_data(lane, &[]);
            }
            Ok(read) => self.send_data(lane, buffer.get(..read).unwrap_or_default()),
        }
        self.buffer = buffer;
    }

    /// What the agent says, and the descriptors that come along.
    fn hear(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut descriptors = Vec::new();
        match self.ends.talk.hear(&mut buffer, &mut descriptors) {
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Ok(0) | Err(_) => {
                self.ends.talk.has_ended = true;
                self.send_data(TALK, &[]);
            }
            Ok(read) => {
                for descriptor in descriptors {
                    self.ends.attach(descriptor);
                }
                self.send_data(TALK, buffer.get(..read).unwrap_or_default());
            }
        }
        self.buffer = buffer;
    }
}

/// Appends what there is, as far as there is room, without filling the room with zeros first.
fn read_some(socket: &TcpStream, into: &mut Vec<u8>) -> io::Result<usize> {
    let room = into.spare_capacity_mut();
    // SAFETY: the pointer and the length describe `room`, which lives across the call.
    let read = unsafe { libc::recv(socket.as_raw_fd(), room.as_mut_ptr().cast(), room.len(), 0) };
    let read = usize::try_from(read).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: the kernel has initialised so many bytes behind those that were there, and there was room for them.
    unsafe { into.set_len(into.len() + read) };
    Ok(read)
}

/// How much of what was sent the other side has not acknowledged yet, in bytes (SIOCOUTQ, tcp(7)).
fn untaken(socket: &TcpStream) -> libc::c_int {
    let mut bytes: libc::c_int = 0;
    // SAFETY: TIOCOUTQ, which is SIOCOUTQ, writes one int through the pointer, which is valid for it.
    unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ as _, &raw mut bytes) };
    bytes
}
