//! A directory's entries as people read them: `ls -l`.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use jiff::Timestamp;

use super::attributes::Attributes;
use super::reply::Named;

/// Older files show their year, as `ls` has it.
const HALF_A_YEAR: i64 = 365 * 24 * 3600 / 2;

/// Names of users and groups, read once when first needed.
#[derive(Default)]
pub(super) struct Accounts {
    users: Option<HashMap<u32, String>>,
    groups: Option<HashMap<u32, String>>,
}

impl Accounts {
    /// Empty when nobody has this id.
    pub(super) fn known_user(&mut self, id: u32) -> String {
        let users = self.users.get_or_insert_with(|| read("/etc/passwd"));
        users.get(&id).cloned().unwrap_or_default()
    }

    /// Empty when no group has this id.
    pub(super) fn known_group(&mut self, id: u32) -> String {
        let groups = self.groups.get_or_insert_with(|| read("/etc/group"));
        groups.get(&id).cloned().unwrap_or_default()
    }
}

fn or_number(name: String, id: u32) -> String {
    if name.is_empty() { id.to_string() } else { name }
}

/// `name:x:id:…`, as both files begin their lines.
fn read(file: &str) -> HashMap<u32, String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let entry = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        Some((fields.nth(1)?.parse().ok()?, name.to_owned()))
    };
    text.lines().filter_map(entry).collect()
}

pub(super) fn named(directory: &Path, name: &OsStr, accounts: &mut Accounts) -> Named {
    let found = fs::symlink_metadata(directory.join(name)).ok();
    let long = found.as_ref().map_or_else(Vec::new, |found| long(found, name, accounts));
    let attributes = found.as_ref().map(Attributes::from).unwrap_or_default();
    Named { name: name.as_bytes().to_vec(), long, attributes }
}

fn long(found: &Metadata, name: &OsStr, accounts: &mut Accounts) -> Vec<u8> {
    let user = or_number(accounts.known_user(found.uid()), found.uid());
    let group = or_number(accounts.known_group(found.gid()), found.gid());
    let mode = mode_string(found.mode());
    let when = when(found.mtime());
    let mut line =
        format!("{mode} {:>4} {user:<8} {group:<8} {:>8} {when} ", found.nlink(), found.size()).into_bytes();
    line.extend(name.as_bytes());
    line
}

fn when(modified: i64) -> String {
    let Ok(time) = Timestamp::from_second(modified) else { return "?".into() };
    let age = Timestamp::now().as_second().saturating_sub(modified);
    let format = if (0..HALF_A_YEAR).contains(&age) { "%b %e %H:%M" } else { "%b %e  %Y" };
    time.strftime(format).to_string()
}

/// `drwxr-xr-x`, with s, S, t and T as `ls` writes them.
fn mode_string(mode: u32) -> String {
    let kind = match mode & libc::S_IFMT {
        libc::S_IFDIR => 'd',
        libc::S_IFLNK => 'l',
        libc::S_IFCHR => 'c',
        libc::S_IFBLK => 'b',
        libc::S_IFIFO => 'p',
        libc::S_IFSOCK => 's',
        _ => '-',
    };
    let triple = |shift: u32, special: u32, letter: char| {
        let has = |bit: u32| mode >> shift & bit != 0;
        let execute = match (has(1), mode & special != 0) {
            (true, true) => letter,
            (false, true) => letter.to_ascii_uppercase(),
            (true, false) => 'x',
            (false, false) => '-',
        };
        [if has(4) { 'r' } else { '-' }, if has(2) { 'w' } else { '-' }, execute]
    };
    let parts = [triple(6, 0o4000, 's'), triple(3, 0o2000, 's'), triple(0, 0o1000, 't')];
    std::iter::once(kind).chain(parts.into_iter().flatten()).collect()
}

#[cfg(test)]
mod tests {
    use super::mode_string;

    #[test]
    fn modes_read_as_ls_writes_them() {
        for (mode, text) in [
            (0o100_644, "-rw-r--r--"),
            (0o040_755, "drwxr-xr-x"),
            (0o120_777, "lrwxrwxrwx"),
            (0o104_755, "-rwsr-xr-x"),
            (0o041_777, "drwxrwxrwt"),
            (0o102_644, "-rw-r-Sr--"),
        ] {
            assert_eq!(mode_string(mode), text);
        }
    }
}
