//! X11 displays in the container, as sshd makes them, without needing `xauth` in the image.

use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::{fs, str};

use super::account::User;
use super::rights::as_user;

/// sshd's `X11DisplayOffset`: below are real servers.
const FIRST_DISPLAY: u16 = 10;
const LAST_DISPLAY: u16 = 1000;
/// Display N listens on this port and N (X(7)).
const PORT_BASE: u16 = 6000;
/// Xau(3): an entry that counts for local connections, whose address is the host's name.
const FAMILY_LOCAL: u16 = 256;
/// An `.Xauthority` above this is not ours to carry on, in bytes.
const MAX_FILE: u64 = 1024 * 1024;
const MAX_COOKIE: usize = 256;

/// Listens for the first display that nobody has. With the user's rights.
pub(super) fn listen() -> io::Result<(Vec<TcpListener>, u16)> {
    for display in FIRST_DISPLAY..LAST_DISPLAY {
        let port = PORT_BASE + display;
        if let Ok(first) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            let second = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).ok();
            return Ok((std::iter::once(first).chain(second).collect(), display));
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no free display"))
}

/// Notes the cookie for a display in the user's `.Xauthority`, in the place of what was noted for it before.
pub(super) fn authorise(user: &User, display: u16, protocol: &str, cookie: &str) -> io::Result<()> {
    let cookie = from_hex(cookie).ok_or_else(|| io::Error::other("the X11 cookie is not hexadecimal"))?;
    let entry = Entry {
        family: FAMILY_LOCAL,
        address: host_name().into_bytes(),
        number: display.to_string().into_bytes(),
        name: protocol.as_bytes().to_vec(),
        data: cookie,
    };
    let path = Path::new(&user.account.home).join(".Xauthority");
    as_user(user, move || replace(&path, entry))
}

fn host_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    family: u16,
    address: Vec<u8>,
    number: Vec<u8>,
    name: Vec<u8>,
    data: Vec<u8>,
}

impl Entry {
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let family = u16::from_be_bytes(take(bytes, 2)?.try_into().ok()?);
        let mut field = || {
            let length = u16::from_be_bytes(take(bytes, 2)?.try_into().ok()?);
            take(bytes, length.into()).map(<[u8]>::to_vec)
        };
        Some(Self { family, address: field()?, number: field()?, name: field()?, data: field()? })
    }

    fn write(&self, to: &mut Vec<u8>) {
        to.extend(self.family.to_be_bytes());
        for field in [&self.address, &self.number, &self.name, &self.data] {
            let length = u16::try_from(field.len()).unwrap_or(u16::MAX);
            to.extend(length.to_be_bytes());
            to.extend(field.iter().take(length.into()));
        }
    }

    fn is_for_the_same_display(&self, other: &Self) -> bool {
        (self.family, &self.address, &self.number) == (other.family, &other.address, &other.number)
    }
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(head)
}

/// The file with one more entry; what cannot be read of it is left out.
fn with_entry(mut old: &[u8], entry: &Entry) -> Vec<u8> {
    let mut new = Vec::new();
    while let Some(other) = Entry::read(&mut old) {
        if !other.is_for_the_same_display(entry) {
            other.write(&mut new);
        }
    }
    entry.write(&mut new);
    new
}

/// Aside and renamed, so that nobody reads half of it.
fn replace(path: &PathBuf, entry: Entry) -> io::Result<()> {
    let old = match fs::metadata(path) {
        Ok(found) if found.is_file() && found.len() <= MAX_FILE => fs::read(path)?,
        _ => Vec::new(),
    };
    let aside = path.with_extension("new");
    let _ = fs::remove_file(&aside);
    let mut file = fs::File::options().write(true).create_new(true).mode(0o600).open(&aside)?;
    file.write_all(&with_entry(&old, &entry))?;
    fs::rename(&aside, path)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let is_hex = text.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_hex || text.len() > MAX_COOKIE || !text.len().is_multiple_of(2) {
        return None;
    }
    let pair = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    text.as_bytes().chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: &str, data: &[u8]) -> Entry {
        let name = b"MIT-MAGIC-COOKIE-1".to_vec();
        Entry {
            family: FAMILY_LOCAL,
            address: b"gpu1-1".to_vec(),
            number: number.as_bytes().to_vec(),
            name,
            data: data.to_vec(),
        }
    }

    #[test]
    fn a_display_is_noted_once_and_others_stay() {
        let first = with_entry(&[], &entry("10", b"old"));
        let second = with_entry(&first, &entry("11", b"other"));
        let third = with_entry(&second, &entry("10", b"new"));
        let mut rest = third.as_slice();
        assert_eq!(Entry::read(&mut rest), Some(entry("11", b"other")));
        assert_eq!(Entry::read(&mut rest), Some(entry("10", b"new")));
        assert_eq!(Entry::read(&mut rest), None);
        assert_eq!(with_entry(b"garbage", &entry("10", b"x")), with_entry(&[], &entry("10", b"x")));
    }

    #[test]
    fn cookies_are_hexadecimal() {
        assert_eq!(from_hex("00ffA1"), Some(vec![0, 255, 161]));
        for odd in ["0", "zz", "é0", "+1"] {
            assert_eq!(from_hex(odd), None, "{odd}");
        }
    }
}
