//! Answers, section 7 of the draft.

use std::io::{self, Write};

use super::attributes::Attributes;
use crate::wire::put_bytes;

const VERSION: u8 = 2;
const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const DATA: u8 = 103;
const NAME: u8 = 104;
const ATTRS: u8 = 105;
const EXTENDED_REPLY: u8 = 201;

/// Gathered before they are written, in bytes.
const GATHERED: usize = 256 * 1024;

/// A status with its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Status {
    code: u32,
    words: String,
}

impl Status {
    pub(super) const OK: Self = Self::plain(0);
    pub(super) const END: Self = Self::plain(1);
    pub(super) const NO_SUCH_FILE: Self = Self::plain(2);
    pub(super) const FAILURE: Self = Self::plain(4);
    pub(super) const BAD_MESSAGE: Self = Self::plain(5);
    pub(super) const UNSUPPORTED: Self = Self::plain(8);

    const fn plain(code: u32) -> Self {
        Self { code, words: String::new() }
    }

    fn words(&self) -> &str {
        match self.code {
            _ if !self.words.is_empty() => &self.words,
            0 => "Success",
            1 => "End of file",
            2 => "No such file",
            3 => "Permission denied",
            5 => "Bad message",
            8 => "Operation unsupported",
            _ => "Failure",
        }
    }
}

/// As OpenSSH's server maps them. A failure says why in the system's words (`No space left on device`).
impl From<io::Error> for Status {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR | libc::EBADF | libc::ELOOP) => Self::NO_SUCH_FILE,
            Some(libc::EPERM | libc::EACCES | libc::EFAULT) => Self::plain(3),
            Some(libc::ENAMETOOLONG | libc::EINVAL) => Self::BAD_MESSAGE,
            Some(libc::ENOSYS) => Self::UNSUPPORTED,
            _ => {
                let words = error.to_string();
                let words = words.split(" (os error").next().unwrap_or_default().to_owned();
                Self { words, ..Self::FAILURE }
            }
        }
    }
}

impl From<nix::errno::Errno> for Status {
    fn from(errno: nix::errno::Errno) -> Self {
        io::Error::from(errno).into()
    }
}

/// One entry of a listing.
pub(super) struct Named {
    pub(super) name: Vec<u8>,
    pub(super) long: Vec<u8>,
    pub(super) attributes: Attributes,
}

/// Writes answers, gathered.
pub(super) struct Replies<W> {
    output: W,
    gathered: Vec<u8>,
}

impl<W: Write> Replies<W> {
    pub(super) fn new(output: W) -> Self {
        Self { output, gathered: Vec::new() }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.output.write_all(&self.gathered)?;
        self.gathered.clear();
        self.output.flush()
    }

    fn packet(&mut self, kind: u8, fill: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let start = self.gathered.len();
        self.gathered.extend([0, 0, 0, 0, kind]);
        fill(&mut self.gathered);
        let length = u32::try_from(self.gathered.len() - start - 4).unwrap_or(u32::MAX);
        if let Some(head) = self.gathered.get_mut(start..).and_then(|p| p.first_chunk_mut::<4>()) {
            *head = length.to_be_bytes();
        }
        if self.gathered.len() >= GATHERED { self.flush() } else { Ok(()) }
    }

    pub(super) fn version(&mut self, version: u32, extensions: &[(&str, &str)]) -> io::Result<()> {
        self.packet(VERSION, |p| {
            p.extend(version.to_be_bytes());
            for (name, data) in extensions {
                put_bytes(p, name.as_bytes());
                put_bytes(p, data.as_bytes());
            }
        })
    }

    pub(super) fn status(&mut self, id: u32, status: &Status) -> io::Result<()> {
        self.packet(STATUS, |p| {
            p.extend(id.to_be_bytes());
            p.extend(status.code.to_be_bytes());
            put_bytes(p, status.words().as_bytes());
            put_bytes(p, b"");
        })
    }

    pub(super) fn handle(&mut self, id: u32, handle: u32) -> io::Result<()> {
        self.packet(HANDLE, |p| {
            p.extend(id.to_be_bytes());
            put_bytes(p, &handle.to_be_bytes());
        })
    }

    /// Data that is read right into the answer, at most `length` bytes; a status when there is none.
    pub(super) fn data(
        &mut self,
        id: u32,
        length: usize,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> Result<(), Status> {
        let start = self.gathered.len();
        // packet length (4), type (1), id (4), data length (4)
        let body = start + 13;
        self.gathered.resize(body + length, 0);
        let space = self.gathered.get_mut(body..).unwrap_or_default();
        let outcome = match read(space) {
            Ok(0) => Err(Status::END),
            Ok(got) => Ok(got),
            Err(e) => Err(e.into()),
        };
        let got = outcome.inspect_err(|_| self.gathered.truncate(start))?;
        self.gathered.truncate(body + got);
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes();
        let mut head = number(9 + got).to_vec();
        head.push(DATA);
        head.extend(id.to_be_bytes());
        head.extend(number(got));
        if let Some(space) = self.gathered.get_mut(start..body) {
            space.copy_from_slice(&head);
        }
        if self.gathered.len() >= GATHERED {
            self.flush()?
        }
        Ok(())
    }

    pub(super) fn names(&mut self, id: u32, names: &[Named]) -> io::Result<()> {
        self.packet(NAME, |p| {
            p.extend(id.to_be_bytes());
            p.extend(u32::try_from(names.len()).unwrap_or_default().to_be_bytes());
            for named in names {
                put_bytes(p, &named.name);
                put_bytes(p, &named.long);
                named.attributes.write(p);
            }
        })
    }

    pub(super) fn attributes(&mut self, id: u32, attributes: &Attributes) -> io::Result<()> {
        self.packet(ATTRS, |p| {
            p.extend(id.to_be_bytes());
            attributes.write(p);
        })
    }

    pub(super) fn extended_lists(&mut self, id: u32, lists: &[Vec<u8>]) -> io::Result<()> {
        self.packet(EXTENDED_REPLY, |p| {
            p.extend(id.to_be_bytes());
            lists.iter().for_each(|list| put_bytes(p, list));
        })
    }

    pub(super) fn extended(&mut self, id: u32, numbers: &[u64]) -> io::Result<()> {
        self.packet(EXTENDED_REPLY, |p| {
            p.extend(id.to_be_bytes());
            p.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
        })
    }
}
