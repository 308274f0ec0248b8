//! OpenSSH's extensions, its PROTOCOL file, section 4.

use std::io::Write;
use std::path::PathBuf;

use nix::sys::statvfs::{FsFlags, Statvfs, fstatvfs, statvfs};

use super::attributes::{Attributes, Target};
use super::files::{self, path};
use super::handles::MAX_HANDLES;
use super::reply::{Named, Replies, Status};
use super::{MAX_DATA, MAX_PACKET, Outcome, Server};
use crate::wire::{Fields, put_bytes};

/// Name and version of each.
pub(super) const NAMES: &[(&str, &str)] = &[
    ("posix-rename@openssh.com", "1"),
    ("statvfs@openssh.com", "2"),
    ("fstatvfs@openssh.com", "2"),
    ("hardlink@openssh.com", "1"),
    ("fsync@openssh.com", "1"),
    ("lsetstat@openssh.com", "1"),
    ("limits@openssh.com", "1"),
    ("expand-path@openssh.com", "1"),
    ("users-groups-by-id@openssh.com", "1"),
];

impl Server {
    pub(super) fn extended(
        &mut self,
        id: u32,
        fields: &mut Fields<'_>,
        replies: &mut Replies<impl Write>,
    ) -> Outcome {
        match fields.bytes().ok_or(Status::BAD_MESSAGE)? {
            b"posix-rename@openssh.com" => files::posix_rename(fields),
            b"hardlink@openssh.com" => files::hard_link(fields),
            b"lsetstat@openssh.com" => {
                let path = path(fields)?;
                let attributes = Attributes::read(fields).ok_or(Status::BAD_MESSAGE)?;
                attributes.apply(&Target::Link(&path))?;
                Err(Status::OK)
            }
            b"fsync@openssh.com" => {
                self.handles.file(fields)?.0.sync_all()?;
                Err(Status::OK)
            }
            b"statvfs@openssh.com" => Ok(replies.extended(id, &space(&statvfs(&path(fields)?)?))?),
            b"fstatvfs@openssh.com" => {
                let found = fstatvfs(&*self.handles.file(fields)?.0)?;
                Ok(replies.extended(id, &space(&found))?)
            }
            b"limits@openssh.com" => {
                Ok(replies.extended(id, &[MAX_PACKET, MAX_DATA, MAX_DATA, MAX_HANDLES].map(|n| n as u64))?)
            }
            b"users-groups-by-id@openssh.com" => {
                let (users, groups) = (ids(fields)?, ids(fields)?);
                let names = |names: Vec<String>| {
                    let mut list = Vec::new();
                    names.iter().for_each(|name| put_bytes(&mut list, name.as_bytes()));
                    list
                };
                let users = names(users.into_iter().map(|id| self.accounts.known_user(id)).collect());
                let groups = names(groups.into_iter().map(|id| self.accounts.known_group(id)).collect());
                Ok(replies.extended_lists(id, &[users, groups])?)
            }
            b"expand-path@openssh.com" => expand(id, path(fields)?, replies),
            _ => Err(Status::UNSUPPORTED),
        }
    }
}

/// A list of ids, in a string of their own.
fn ids(fields: &mut Fields<'_>) -> Result<Vec<u32>, Status> {
    let mut list = Fields::new(fields.bytes().ok_or(Status::BAD_MESSAGE)?);
    Ok(std::iter::from_fn(|| list.number()).collect())
}

fn space(found: &Statvfs) -> [u64; 11] {
    let flags = found.flags();
    let flag = |wanted, value| if flags.contains(wanted) { value } else { 0 };
    [
        found.block_size(),
        found.fragment_size(),
        found.blocks(),
        found.blocks_free(),
        found.blocks_available(),
        found.files(),
        found.files_free(),
        found.files_available(),
        found.filesystem_id(),
        flag(FsFlags::ST_RDONLY, 1) | flag(FsFlags::ST_NOSUID, 2),
        found.name_max(),
    ]
}

/// `~` and `~/…` are the user's own home; others' are not known here.
fn expand(id: u32, asked: PathBuf, replies: &mut Replies<impl Write>) -> Outcome {
    let home = || std::env::var_os("HOME").map(PathBuf::from).ok_or(Status::NO_SUCH_FILE);
    let expanded = match asked.strip_prefix("~") {
        Ok(rest) if rest.as_os_str().is_empty() => home()?,
        Ok(rest) => home()?.join(rest),
        Err(_) if asked.as_os_str().as_encoded_bytes().starts_with(b"~") => return Err(Status::NO_SUCH_FILE),
        Err(_) => std::path::absolute(asked)?,
    };
    let name = expanded.into_os_string().into_encoded_bytes();
    let named = Named { long: name.clone(), name, attributes: Attributes::default() };
    Ok(replies.names(id, &[named])?)
}
