//! One encrypted connection of transport `tls`, without its socket: TLS 1.3 (RFC 8446).
//!
//! rustls shakes hands (`handshake`) and derives the keys. The bytes that follow are opened and sealed here, where they
//! are: each is copied once on its way out and not at all on its way in, where rustls by itself copies it three times.

mod alerts;
mod handshake;
mod records;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;

use rustls::{ConnectionTrafficSecrets, Error};

pub use handshake::{Handshake, client, server};
use records::{ALERT, APPLICATION_DATA, HANDSHAKE, HEAD, MOST_PLAIN, Protection};

/// RFC 8446 section 5.5: AES-GCM protects 2^24.5 records of full size with one key.
const MOST_RECORDS: u64 = 1 << 24;
/// Keys that were hardly used are not renewed: it would be work for nothing, as much as the other side likes.
const LEAST_RECORDS: u64 = 1 << 10;
/// RFC 8446 section 4.6.3: a key update that asks for none in return.
const KEY_UPDATE: [u8; 5] = [24, 0, 0, 1, 0];
/// What says nothing is not counted on for ever.
const MOST_EMPTY: usize = 32;
/// What an idle connection may keep of what it needed once, in bytes.
const KEPT: usize = 4 * 1024;

/// The next keys, when the present ones have been used enough.
trait Keys: Send {
    fn for_sending(&mut self) -> Result<(u64, ConnectionTrafficSecrets), Error>;
    fn for_receiving(&mut self) -> Result<(u64, ConnectionTrafficSecrets), Error>;
}

/// A connection whose both sides have shown who they are.
pub struct Session {
    keys: Box<dyn Keys>,
    opener: Protection,
    sealer: Protection,
    /// The other side has asked for new keys of ours (RFC 8446 section 4.6.3: before we say anything more).
    owes_new_keys: bool,
    incoming: Vec<u8>,
    /// How much of it was opened already.
    opened: usize,
    outgoing: Vec<u8>,
    /// How much of it has gone already.
    sent: usize,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

/// What one record said.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened<'a> {
    /// Never empty.
    Data(&'a [u8]),
    /// Nothing comes after it.
    Farewell,
}

enum Next {
    /// Where it stands in what came.
    Data(Range<usize>),
    Farewell,
}

impl Session {
    /// Room for at least `most` bytes from the socket behind those that came before, which are incomplete. The caller
    /// appends to it.
    pub fn incoming(&mut self, most: usize) -> &mut Vec<u8> {
        self.incoming.drain(..self.opened.min(self.incoming.len()));
        self.opened = 0;
        self.incoming.reserve_exact(most);
        &mut self.incoming
    }

    /// Opens the next record; `None` when more must come first. After an error nothing makes sense any more, and the
    /// other side is to be told why by what is [outgoing](Self::outgoing).
    ///
    /// # Errors
    /// An alert of the other side's, or what does not come from it.
    pub fn open(&mut self) -> Result<Option<Opened<'_>>, Error> {
        match self.next() {
            Ok(Some(Next::Data(place))) => {
                Ok(Some(Opened::Data(self.incoming.get(place).unwrap_or_default())))
            }
            Ok(Some(Next::Farewell)) => Ok(Some(Opened::Farewell)),
            Ok(None) => Ok(None),
            Err(error) => {
                if let Some(alert) = alerts::for_error(&error) {
                    self.say(ALERT, &alert);
                }
                Err(error)
            }
        }
    }

    fn next(&mut self) -> Result<Option<Next>, Error> {
        for _ in 0..=MOST_EMPTY {
            let rest = self.incoming.get_mut(self.opened..).unwrap_or_default();
            let Some(length) = records::first_length(rest)? else { return Ok(None) };
            let (kind, plain) = self.opener.open(rest.get_mut(..length).unwrap_or_default())?;
            let begin = self.opened + HEAD;
            self.opened += length;
            let place = begin..begin + plain;
            let content = self.incoming.get(place.clone()).unwrap_or_default();
            match kind {
                APPLICATION_DATA if content.is_empty() => {}
                APPLICATION_DATA => return Ok(Some(Next::Data(place))),
                ALERT if alerts::is_farewell(content)? => return Ok(Some(Next::Farewell)),
                ALERT => {}
                HANDSHAKE => self.renew_theirs(is_key_update(content)?)?,
                _ => return Err(Error::General("a record of no known kind".into())),
            }
        }
        Err(Error::General("records that say nothing, one after the other".into()))
    }

    /// Seals one message, given in parts, behind what has not gone yet. How much that is is bounded by who calls.
    ///
    /// # Errors
    /// When there are no keys; then the connection is of no use any more.
    pub fn seal<'a>(
        &mut self,
        parts: impl IntoIterator<Item = &'a [u8], IntoIter: Clone>,
    ) -> Result<(), Error> {
        if self.owes_new_keys || self.sealer.used() >= MOST_RECORDS {
            self.renew()?;
        }
        let mut parts = parts.into_iter();
        let mut left: usize = parts.clone().map(<[u8]>::len).sum();
        self.outgoing.reserve(records::sealed_length(left));
        let mut part: &[u8] = &[];
        while left > 0 {
            let mut room = left.min(MOST_PLAIN);
            left -= room;
            self.sealer.seal(APPLICATION_DATA, &mut self.outgoing, |into| {
                while room > 0 {
                    let now = split(&mut part, room);
                    into.extend_from_slice(now);
                    room -= now.len();
                    if room > 0 {
                        part = parts.next().unwrap_or_default();
                    }
                }
            })?;
        }
        Ok(())
    }

    /// Says that nothing more will come from us.
    pub fn say_farewell(&mut self) {
        self.say(ALERT, &alerts::CLOSE_NOTIFY);
    }

    /// Without such a word the other side sees the connection end, which says the same less politely.
    fn say(&mut self, kind: u8, word: &[u8]) {
        let _ = self.sealer.seal(kind, &mut self.outgoing, |into| into.extend_from_slice(word));
    }

    /// What is to be sent.
    #[must_use]
    pub fn outgoing(&self) -> &[u8] {
        self.outgoing.get(self.sent..).unwrap_or_default()
    }

    /// So much of it has gone.
    pub fn sent(&mut self, bytes: usize) {
        self.sent += bytes;
        if self.sent >= self.outgoing.len() {
            self.outgoing.clear();
            self.sent = 0;
        }
    }

    /// Nothing more has come for now: large buffers that hold nothing are given back.
    pub fn rest(&mut self) {
        if self.opened >= self.incoming.len() {
            self.opened = 0;
            give_back(&mut self.incoming);
        }
        if self.outgoing().is_empty() {
            give_back(&mut self.outgoing);
        }
    }

    fn renew(&mut self) -> Result<(), Error> {
        self.owes_new_keys = false;
        self.sealer.seal(HANDSHAKE, &mut self.outgoing, |into| into.extend_from_slice(&KEY_UPDATE))?;
        let (sequence, secrets) = self.keys.for_sending()?;
        self.sealer = Protection::new(sequence, &secrets)?;
        Ok(())
    }

    fn renew_theirs(&mut self, asks_for_ours: bool) -> Result<(), Error> {
        if self.opener.used() < LEAST_RECORDS {
            return Err(Error::General("new keys again and again".into()));
        }
        let (sequence, secrets) = self.keys.for_receiving()?;
        self.opener = Protection::new(sequence, &secrets)?;
        self.owes_new_keys |= asks_for_ours;
        Ok(())
    }
}

fn give_back(buffer: &mut Vec<u8>) {
    buffer.clear();
    if buffer.capacity() > KEPT {
        *buffer = Vec::new();
    }
}

fn split<'a>(from: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (head, rest) = from.split_at_checked(most).unwrap_or((*from, &[]));
    *from = rest;
    head
}

/// Nothing else of the handshake is left to say: the agent gives no tickets. True when ours are asked for, too.
fn is_key_update(message: &[u8]) -> Result<bool, Error> {
    match message {
        [24, 0, 0, 1, asks_too @ (0 | 1)] => Ok(*asks_too == 1),
        _ => Err(Error::General("a handshake after the handshake".into())),
    }
}
