//! The agent's own SFTP server, for images that have none: version 3 (draft-ietf-secsh-filexfer-02) with
//! OpenSSH's extensions, as its sftp-server speaks them.
//!
//! A program of its own (`clusteria-agent sftp`), run as the user: it has their rights and no others.

mod attributes;
mod extended;
mod files;
mod handles;
mod listing;
mod reply;

use std::io::{self, BufRead, BufReader, Read, Write};

use crate::wire::Fields;
use handles::Handles;
use reply::{Replies, Status};

/// As OpenSSH's server says in `limits@openssh.com`, in bytes.
const MAX_PACKET: usize = 256 * 1024;
/// What a packet holds besides data.
const OVERHEAD: usize = 1024;
const MAX_DATA: usize = MAX_PACKET - OVERHEAD;
const VERSION: u32 = 3;

/// Request types, section 3 of the draft.
mod request {
    pub(super) const INIT: u8 = 1;
    pub(super) const OPEN: u8 = 3;
    pub(super) const CLOSE: u8 = 4;
    pub(super) const READ: u8 = 5;
    pub(super) const WRITE: u8 = 6;
    pub(super) const LSTAT: u8 = 7;
    pub(super) const FSTAT: u8 = 8;
    pub(super) const SETSTAT: u8 = 9;
    pub(super) const FSETSTAT: u8 = 10;
    pub(super) const OPENDIR: u8 = 11;
    pub(super) const READDIR: u8 = 12;
    pub(super) const REMOVE: u8 = 13;
    pub(super) const MKDIR: u8 = 14;
    pub(super) const RMDIR: u8 = 15;
    pub(super) const REALPATH: u8 = 16;
    pub(super) const STAT: u8 = 17;
    pub(super) const RENAME: u8 = 18;
    pub(super) const READLINK: u8 = 19;
    pub(super) const SYMLINK: u8 = 20;
    pub(super) const EXTENDED: u8 = 200;
}

/// Serves until the client closes.
///
/// # Errors
/// What reading or writing fails with, and a packet that breaks the protocol.
pub fn serve(input: impl Read, output: impl Write) -> io::Result<()> {
    let mut input = BufReader::with_capacity(2 * MAX_PACKET, input);
    let mut replies = Replies::new(output);
    let mut server = Server { handles: Handles::default(), accounts: listing::Accounts::default() };
    let mut packet = Vec::new();
    while read_packet(&mut input, &mut packet)? {
        server.answer(&packet, &mut replies)?;
        // Answers wait for company while more questions are here already.
        if input.buffer().is_empty() {
            replies.flush()?;
        }
    }
    replies.flush()
}

fn read_packet(input: &mut impl BufRead, packet: &mut Vec<u8>) -> io::Result<bool> {
    if input.fill_buf()?.is_empty() {
        return Ok(false);
    }
    let mut head = [0; 4];
    input.read_exact(&mut head)?;
    let length = u32::from_be_bytes(head) as usize;
    if length == 0 || length > MAX_PACKET {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a packet of {length} bytes")));
    }
    packet.clear();
    input.take(length as u64).read_to_end(packet)?;
    if packet.len() == length { Ok(true) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

struct Server {
    handles: Handles,
    accounts: listing::Accounts,
}

/// What a request came to: an answer that has been written, or a status.
type Outcome = Result<(), Status>;

impl Server {
    fn answer(&mut self, packet: &[u8], replies: &mut Replies<impl Write>) -> io::Result<()> {
        let mut fields = Fields::new(packet);
        let kind = fields.byte().unwrap_or_default();
        let number = fields.number().ok_or(io::ErrorKind::InvalidData)?;
        if kind == request::INIT {
            return replies.version(VERSION, extended::NAMES);
        }
        let outcome = self.carry_out(kind, number, &mut fields, replies);
        match outcome {
            Ok(()) => Ok(()),
            Err(status) => replies.status(number, &status),
        }
    }

    fn carry_out(
        &mut self,
        kind: u8,
        id: u32,
        fields: &mut Fields<'_>,
        replies: &mut Replies<impl Write>,
    ) -> Outcome {
        match kind {
            request::OPEN => self.open(id, fields, replies),
            request::CLOSE => self.close(fields),
            request::READ => self.read(id, fields, replies),
            request::WRITE => self.write(fields),
            request::LSTAT => files::lstat(id, fields, replies),
            request::STAT => files::stat(id, fields, replies),
            request::FSTAT => self.fstat(id, fields, replies),
            request::SETSTAT => files::setstat(fields),
            request::FSETSTAT => self.fsetstat(fields),
            request::OPENDIR => self.opendir(id, fields, replies),
            request::READDIR => self.readdir(id, fields, replies),
            request::REMOVE => files::remove(fields),
            request::MKDIR => files::mkdir(fields),
            request::RMDIR => files::rmdir(fields),
            request::REALPATH => files::realpath(id, fields, replies),
            request::RENAME => files::rename(fields),
            request::READLINK => files::readlink(id, fields, replies),
            request::SYMLINK => files::symlink(fields),
            request::EXTENDED => self.extended(id, fields, replies),
            _ => Err(Status::UNSUPPORTED),
        }
    }
}

#[cfg(test)]
mod tests;
