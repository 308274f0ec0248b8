//! A Unix socket's path that goes with its listener. All of it happens with the user's rights: the path
//! is theirs to choose, and what lies there may be a trap.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::account::User;
use super::rights::as_user;

/// For a name that nobody has: a few tries are plenty.
const TRIES: usize = 16;
const NAME_LETTERS: usize = 10;

pub(super) struct OwnPath {
    path: PathBuf,
    user: User,
    owns_directory: bool,
    /// What we made there; anything else stays.
    inode: OnceLock<u64>,
}

impl OwnPath {
    pub(super) fn new(path: PathBuf, user: &User) -> Self {
        Self { path, user: user.clone(), owns_directory: false, inode: OnceLock::new() }
    }

    /// `/tmp/PREFIXxxxxxxxxxx/NAME.1`, in a directory that only the user may enter, as sshd names its own.
    pub(super) fn in_new_directory(user: &User, prefix: &'static str, name: &str) -> io::Result<Self> {
        let directory = as_user(user, move || new_directory(prefix))?;
        let path = directory.join(format!("{name}.1"));
        Ok(Self { path, user: user.clone(), owns_directory: true, inode: OnceLock::new() })
    }

    pub(super) fn bind(&self) -> io::Result<UnixListener> {
        let path = self.path.clone();
        let (listener, inode) = as_user(&self.user, move || {
            let listener = UnixListener::bind(&path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            Ok((listener, fs::symlink_metadata(&path)?.ino()))
        })?;
        let _ = self.inode.set(inode);
        Ok(listener)
    }
}

/// `/tmp/PREFIXxxxxxxxxxx`, which only its maker may enter.
pub(super) fn new_directory(prefix: &str) -> io::Result<PathBuf> {
    let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
    for _ in 0..TRIES {
        let path = Path::new("/tmp").join(format!("{prefix}{}", random_name()?));
        match fs::DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(path),
            Err(e) => last = e,
        }
    }
    Err(last)
}

fn random_name() -> io::Result<String> {
    let mut bytes = [0_u8; NAME_LETTERS];
    io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut bytes)?;
    Ok(bytes.iter().map(|byte| char::from(b'a' + byte % 26)).collect())
}

impl fmt::Display for OwnPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

impl Drop for OwnPath {
    fn drop(&mut self) {
        let (path, inode, owns_directory) =
            (self.path.clone(), self.inode.get().copied(), self.owns_directory);
        let _ = as_user(&self.user, move || {
            let found = fs::symlink_metadata(&path).ok().map(|m| m.ino());
            if inode.is_some() && found == inode {
                fs::remove_file(&path)?;
            }
            match path.parent() {
                Some(directory) if owns_directory => fs::remove_dir(directory),
                _ => Ok(()),
            }
        });
    }
}
