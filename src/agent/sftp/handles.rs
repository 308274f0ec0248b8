//! Open files and directories.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

use super::attributes::{Attributes, Target};
use super::files::path;
use super::reply::{Replies, Status};
use super::{MAX_DATA, Outcome, Server, listing};
use crate::wire::Fields;

/// Handles at once; also told in `limits@openssh.com`.
pub(super) const MAX_HANDLES: usize = 512;
/// Entries of one answer to READDIR, as OpenSSH has it.
const ENTRIES: usize = 100;
/// Without permissions in the request, before the umask.
const FILE_MODE: u32 = 0o666;

/// Flags of OPEN, section 6.3.
mod flag {
    pub(super) const READ: u32 = 1;
    pub(super) const WRITE: u32 = 2;
    pub(super) const APPEND: u32 = 4;
    pub(super) const CREATE: u32 = 8;
    pub(super) const TRUNCATE: u32 = 16;
    pub(super) const EXCLUSIVE: u32 = 32;
}

#[derive(Default)]
pub(super) struct Handles {
    next: u32,
    open: HashMap<u32, Handle>,
}

pub(super) enum Handle {
    File { file: File, appends: bool },
    Directory { path: PathBuf, names: std::iter::Chain<std::array::IntoIter<OsString, 2>, Entries> },
}

type Entries = std::iter::FilterMap<std::fs::ReadDir, fn(io::Result<std::fs::DirEntry>) -> Option<OsString>>;

impl Handles {
    fn add(&mut self, handle: Handle) -> Result<u32, Status> {
        if self.open.len() >= MAX_HANDLES {
            return Err(io::Error::from_raw_os_error(libc::EMFILE).into());
        }
        self.next = self.next.wrapping_add(1);
        self.open.insert(self.next, handle);
        Ok(self.next)
    }

    fn number(fields: &mut Fields<'_>) -> Result<u32, Status> {
        let bytes = fields.bytes().ok_or(Status::BAD_MESSAGE)?;
        bytes.try_into().map(u32::from_be_bytes).map_err(|_| Status::NO_SUCH_FILE)
    }

    fn get(&mut self, fields: &mut Fields<'_>) -> Result<&mut Handle, Status> {
        self.open.get_mut(&Self::number(fields)?).ok_or(Status::NO_SUCH_FILE)
    }

    pub(super) fn file(&mut self, fields: &mut Fields<'_>) -> Result<(&mut File, bool), Status> {
        match self.get(fields)? {
            Handle::File { file, appends } => Ok((file, *appends)),
            Handle::Directory { .. } => Err(Status::NO_SUCH_FILE),
        }
    }

    fn metadata(&mut self, fields: &mut Fields<'_>) -> Result<Metadata, Status> {
        match self.get(fields)? {
            Handle::File { file, .. } => Ok(file.metadata()?),
            Handle::Directory { path, .. } => Ok(path.metadata()?),
        }
    }
}

impl Server {
    pub(super) fn open(
        &mut self,
        id: u32,
        fields: &mut Fields<'_>,
        replies: &mut Replies<impl Write>,
    ) -> Outcome {
        let path = path(fields)?;
        let flags = fields.number().ok_or(Status::BAD_MESSAGE)?;
        let attributes = Attributes::read(fields).ok_or(Status::BAD_MESSAGE)?;
        let has = |flag| flags & flag != 0;
        let extra = |wanted, value| if has(wanted) { value } else { 0 };
        let file = File::options()
            .read(has(flag::READ) || !has(flag::WRITE))
            .write(has(flag::WRITE))
            .mode(attributes.permissions.unwrap_or(FILE_MODE) & 0o7777)
            .custom_flags(
                libc::O_NOCTTY
                    | extra(flag::APPEND, libc::O_APPEND)
                    | extra(flag::CREATE, libc::O_CREAT)
                    | extra(flag::TRUNCATE, libc::O_TRUNC)
                    | extra(flag::EXCLUSIVE, libc::O_EXCL),
            )
            .open(path)?;
        let handle = self.handles.add(Handle::File { file, appends: has(flag::APPEND) })?;
        Ok(replies.handle(id, handle)?)
    }

    pub(super) fn close(&mut self, fields: &mut Fields<'_>) -> Outcome {
        let number = Handles::number(fields)?;
        match self.handles.open.remove(&number) {
            Some(_) => Err(Status::OK),
            None => Err(Status::NO_SUCH_FILE),
        }
    }

    pub(super) fn read(
        &mut self,
        id: u32,
        fields: &mut Fields<'_>,
        replies: &mut Replies<impl Write>,
    ) -> Outcome {
        let (file, _) = self.handles.file(fields)?;
        let offset = fields.long().ok_or(Status::BAD_MESSAGE)?;
        let length = fields.number().ok_or(Status::BAD_MESSAGE)? as usize;
        replies.data(id, length.min(MAX_DATA), |space| match file.read_at(space, offset) {
            // A pipe or a terminal has no offsets.
            Err(e) if e.raw_os_error() == Some(libc::ESPIPE) => io::Read::read(file, space),
            other => other,
        })
    }

    pub(super) fn write(&mut self, fields: &mut Fields<'_>) -> Outcome {
        let (file, appends) = self.handles.file(fields)?;
        let offset = fields.long().ok_or(Status::BAD_MESSAGE)?;
        let data = fields.bytes().ok_or(Status::BAD_MESSAGE)?;
        match if appends { file.write_all(data) } else { file.write_all_at(data, offset) } {
            Err(e) if e.raw_os_error() == Some(libc::ESPIPE) => file.write_all(data)?,
            other => other?,
        }
        Err(Status::OK)
    }

    pub(super) fn fstat(
        &mut self,
        id: u32,
        fields: &mut Fields<'_>,
        replies: &mut Replies<impl Write>,
    ) -> Outcome {
        let found = self.handles.metadata(fields)?;
        Ok(replies.attributes(id, &(&found).into())?)
    }

    pub(super) fn fsetstat(&mut self, fields: &mut Fields<'_>) -> Outcome {
        let handle = self.handles.get(fields)?;
        let attributes = Attributes::read(fields).ok_or(Status::BAD_MESSAGE)?;
        match handle {
            Handle::File { file, .. } => attributes.apply(&Target::Open(file))?,
            Handle::Directory { path, .. } => attributes.apply(&Target::Path(path))?,
        }
        Err(Status::OK)
    }

    pub(super) fn opendir(
        &mut self,
        id: u32,
        fields: &mut Fields<'_>,
        replies: &mut Replies<impl Write>,
    ) -> Outcome {
        let path = path(fields)?;
        fn name(entry: io::Result<std::fs::DirEntry>) -> Option<OsString> {
            entry.ok().map(|entry| entry.file_name())
        }
        let entries = std::fs::read_dir(&path)?.filter_map(name as fn(_) -> _);
        let names = [OsString::from("."), OsString::from("..")].into_iter().chain(entries);
        let handle = self.handles.add(Handle::Directory { path, names })?;
        Ok(replies.handle(id, handle)?)
    }

    pub(super) fn readdir(
        &mut self,
        id: u32,
        fields: &mut Fields<'_>,
        replies: &mut Replies<impl Write>,
    ) -> Outcome {
        let Handle::Directory { path, names } = self.handles.get(fields)? else {
            return Err(Status::NO_SUCH_FILE);
        };
        let accounts = &mut self.accounts;
        let named: Vec<_> = names.take(ENTRIES).map(|name| listing::named(path, &name, accounts)).collect();
        if named.is_empty() {
            return Err(Status::END);
        }
        Ok(replies.names(id, &named)?)
    }
}
