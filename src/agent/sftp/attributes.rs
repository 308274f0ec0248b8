//! A file's attributes, section 5 of the draft.

use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, fchown, lchown};
use std::path::Path;

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, futimens, utimensat};
use nix::sys::time::TimeSpec;

use super::reply::Status;
use crate::wire::Fields;

const SIZE: u32 = 1;
const OWNER: u32 = 2;
const PERMISSIONS: u32 = 4;
const TIMES: u32 = 8;
const EXTENDED: u32 = 0x8000_0000;
/// What chmod(2) takes.
const MODE: u32 = 0o7777;

/// Those that are known or asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    size: Option<u64>,
    owner: Option<(u32, u32)>,
    pub(super) permissions: Option<u32>,
    /// Access and modification, seconds since 1970.
    times: Option<(u32, u32)>,
}

impl Attributes {
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let flags = fields.number()?;
        let has = |flag| flags & flag != 0;
        let mut found = Self::default();
        if has(SIZE) {
            found.size = Some(fields.long()?);
        }
        if has(OWNER) {
            found.owner = Some((fields.number()?, fields.number()?));
        }
        if has(PERMISSIONS) {
            found.permissions = Some(fields.number()?);
        }
        if has(TIMES) {
            found.times = Some((fields.number()?, fields.number()?));
        }
        if has(EXTENDED) {
            for _ in 0..fields.number()? {
                fields.bytes()?;
                fields.bytes()?;
            }
        }
        Some(found)
    }

    pub(super) fn write(&self, to: &mut Vec<u8>) {
        let flag = |known: bool, flag: u32| if known { flag } else { 0 };
        let flags = flag(self.size.is_some(), SIZE)
            | flag(self.owner.is_some(), OWNER)
            | flag(self.permissions.is_some(), PERMISSIONS)
            | flag(self.times.is_some(), TIMES);
        to.extend(flags.to_be_bytes());
        if let Some(size) = self.size {
            to.extend(size.to_be_bytes());
        }
        let pairs = [self.owner, self.permissions.map(|p| (p, 0)), self.times];
        for (index, pair) in pairs.into_iter().enumerate() {
            let Some((first, second)) = pair else { continue };
            to.extend(first.to_be_bytes());
            if index != 1 {
                to.extend(second.to_be_bytes());
            }
        }
    }

    /// Sets what is asked for, in OpenSSH's order.
    pub(super) fn apply(&self, target: &Target<'_>) -> Result<(), Status> {
        if let Some(size) = self.size {
            target.truncate(size)?;
        }
        if let Some(mode) = self.permissions {
            target.set_mode(mode & MODE)?;
        }
        if let Some(times) = self.times {
            target.set_times(times)?;
        }
        if let Some((user, group)) = self.owner {
            target.set_owner(user, group)?;
        }
        Ok(())
    }
}

impl From<&Metadata> for Attributes {
    fn from(found: &Metadata) -> Self {
        // Version 3 has 32 bits for times: what does not fit is shown as the nearest that does.
        let seconds = |time: i64| u32::try_from(time.max(0)).unwrap_or(u32::MAX);
        Self {
            size: Some(found.size()),
            owner: Some((found.uid(), found.gid())),
            permissions: Some(found.mode()),
            times: Some((seconds(found.atime()), seconds(found.mtime()))),
        }
    }
}

/// What attributes are set on.
pub(super) enum Target<'a> {
    Path(&'a Path),
    /// Not following a last link.
    Link(&'a Path),
    Open(&'a File),
}

impl Target<'_> {
    fn truncate(&self, size: u64) -> Result<(), Status> {
        match self {
            Self::Path(path) => File::options().write(true).open(path)?.set_len(size)?,
            Self::Open(file) => file.set_len(size)?,
            // As OpenSSH: a link has no size of its own to set.
            Self::Link(_) => return Err(Status::BAD_MESSAGE),
        }
        Ok(())
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        let mode = Permissions::from_mode(mode);
        match self {
            Self::Path(path) => std::fs::set_permissions(path, mode),
            Self::Open(file) => file.set_permissions(mode),
            // Linux has no modes of links.
            Self::Link(_) => Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP)),
        }
    }

    fn set_times(&self, (access, modification): (u32, u32)) -> io::Result<()> {
        let (access, modification) = (second(access), second(modification));
        match self {
            Self::Path(path) => {
                utimensat(AT_FDCWD, *path, &access, &modification, UtimensatFlags::FollowSymlink)?;
            }
            Self::Link(path) => {
                utimensat(AT_FDCWD, *path, &access, &modification, UtimensatFlags::NoFollowSymlink)?;
            }
            Self::Open(file) => futimens(file, &access, &modification)?,
        }
        Ok(())
    }

    fn set_owner(&self, user: u32, group: u32) -> io::Result<()> {
        let (user, group) = (Some(user), Some(group));
        match self {
            Self::Path(path) => chown(path, user, group),
            Self::Link(path) => lchown(path, user, group),
            Self::Open(file) => fchown(file, user, group),
        }
    }
}

fn second(seconds: u32) -> TimeSpec {
    TimeSpec::new(i64::from(seconds), 0)
}
