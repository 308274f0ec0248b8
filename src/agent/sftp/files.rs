//! Requests about paths.

use std::ffi::{CString, OsStr};
use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::Outcome;
use super::attributes::{Attributes, Target};
use super::reply::{Named, Replies, Status};
use crate::wire::Fields;

/// Without permissions in the request, before the umask.
const DIRECTORY_MODE: u32 = 0o777;

/// A path as the client gave it, any bytes; an empty one is the home, where the server starts.
pub(super) fn path(fields: &mut Fields<'_>) -> Result<PathBuf, Status> {
    let bytes = fields.bytes().ok_or(Status::BAD_MESSAGE)?;
    if bytes.contains(&0) {
        return Err(Status::BAD_MESSAGE);
    }
    Ok(if bytes.is_empty() { PathBuf::from(".") } else { PathBuf::from(OsStr::from_bytes(bytes)) })
}

pub(super) fn stat(id: u32, fields: &mut Fields<'_>, replies: &mut Replies<impl Write>) -> Outcome {
    let found = fs::metadata(path(fields)?)?;
    Ok(replies.attributes(id, &(&found).into())?)
}

pub(super) fn lstat(id: u32, fields: &mut Fields<'_>, replies: &mut Replies<impl Write>) -> Outcome {
    let found = fs::symlink_metadata(path(fields)?)?;
    Ok(replies.attributes(id, &(&found).into())?)
}

pub(super) fn setstat(fields: &mut Fields<'_>) -> Outcome {
    let path = path(fields)?;
    let attributes = Attributes::read(fields).ok_or(Status::BAD_MESSAGE)?;
    attributes.apply(&Target::Path(&path))?;
    Err(Status::OK)
}

pub(super) fn remove(fields: &mut Fields<'_>) -> Outcome {
    fs::remove_file(path(fields)?)?;
    Err(Status::OK)
}

pub(super) fn mkdir(fields: &mut Fields<'_>) -> Outcome {
    let path = path(fields)?;
    let attributes = Attributes::read(fields).ok_or(Status::BAD_MESSAGE)?;
    let mode = attributes.permissions.unwrap_or(DIRECTORY_MODE) & 0o7777;
    fs::DirBuilder::new().mode(mode).create(path)?;
    Err(Status::OK)
}

pub(super) fn rmdir(fields: &mut Fields<'_>) -> Outcome {
    fs::remove_dir(path(fields)?)?;
    Err(Status::OK)
}

/// The last part need not exist, as with OpenSSH: a client asks before it makes it.
pub(super) fn realpath(id: u32, fields: &mut Fields<'_>, replies: &mut Replies<impl Write>) -> Outcome {
    let asked = path(fields)?;
    let real = match fs::canonicalize(&asked) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let (Some(parent), Some(name)) = (asked.parent(), asked.file_name()) else {
                return Err(e.into());
            };
            let parent = if parent == Path::new("") { Path::new(".") } else { parent };
            fs::canonicalize(parent)?.join(name)
        }
        other => other?,
    };
    one_name(id, real, replies)
}

pub(super) fn readlink(id: u32, fields: &mut Fields<'_>, replies: &mut Replies<impl Write>) -> Outcome {
    one_name(id, fs::read_link(path(fields)?)?, replies)
}

fn one_name(id: u32, path: PathBuf, replies: &mut Replies<impl Write>) -> Outcome {
    let name = path.into_os_string().into_vec();
    let named = Named { long: name.clone(), name, attributes: Attributes::default() };
    Ok(replies.names(id, &[named])?)
}

/// Never onto something that exists; `posix-rename@openssh.com` is for that.
pub(super) fn rename(fields: &mut Fields<'_>) -> Outcome {
    let (from, to) = (path(fields)?, path(fields)?);
    rename_to_nothing(&from, &to)?;
    Err(Status::OK)
}

fn rename_to_nothing(from: &Path, to: &Path) -> Result<(), Status> {
    let c_path = |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(|_| Status::BAD_MESSAGE);
    let (old, new) = (c_path(from)?, c_path(to)?);
    // SAFETY: both pointers are to strings that end in zero and live across the call.
    let renamed = unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            libc::AT_FDCWD,
            old.as_ptr(),
            libc::AT_FDCWD,
            new.as_ptr(),
            libc::RENAME_NOREPLACE,
        )
    };
    if renamed == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        // A file system (network storage) that cannot do it in one step.
        Some(libc::EINVAL | libc::ENOSYS) if fs::symlink_metadata(to).is_err() => Ok(fs::rename(from, to)?),
        _ => Err(error.into()),
    }
}

pub(super) fn posix_rename(fields: &mut Fields<'_>) -> Outcome {
    let (from, to) = (path(fields)?, path(fields)?);
    fs::rename(from, to)?;
    Err(Status::OK)
}

/// In OpenSSH's order, target first, which is what clients send; the draft has it the other way round.
pub(super) fn symlink(fields: &mut Fields<'_>) -> Outcome {
    let (target, link) = (path(fields)?, path(fields)?);
    std::os::unix::fs::symlink(target, link)?;
    Err(Status::OK)
}

pub(super) fn hard_link(fields: &mut Fields<'_>) -> Outcome {
    let (existing, link) = (path(fields)?, path(fields)?);
    fs::hard_link(existing, link)?;
    Err(Status::OK)
}
