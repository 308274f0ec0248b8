//! Host keys: made once, kept private, never shown.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::rand_core::UnwrapErr;
use russh::keys::{Algorithm, HashAlg, PrivateKey};

/// File names as in OpenSSH, and how each key is made.
const KINDS: [(&str, Algorithm); 2] =
    [("ssh_host_ed25519_key", Algorithm::Ed25519), ("ssh_host_rsa_key", Algorithm::Rsa { hash: None })];
/// Used where an administrator brought one along, but not made: every client knows one of the others.
const BROUGHT: &str = "ssh_host_ecdsa_key";

/// Why the host keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HostKeyError {
    /// There is none.
    #[error("no host key in {}: make them with `clusteria hostkey -c FILE`", .0.display())]
    None(PathBuf),
    /// A file cannot be read or written.
    #[error("host key {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others may read it.
    #[error("host key {} may be read by others (mode {mode:04o}): `chmod 600` it, and make new keys if it was exposed", path.display())]
    Exposed {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is no key.
    #[error("host key {}: {detail}", path.display())]
    Key {
        /// Which.
        path: PathBuf,
        /// Why.
        detail: String,
    },
}

/// A host key as people compare it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey {
    /// Its file.
    pub path: PathBuf,
    /// `SHA256:…`
    pub fingerprint: String,
    /// The line for `known_hosts`, without the host.
    pub public: String,
}

/// Makes the keys that are missing, and lists all.
///
/// # Errors
/// [`HostKeyError`]
pub fn generate(folder: &Path) -> Result<Vec<HostKey>, HostKeyError> {
    let file = |source| HostKeyError::File { path: folder.to_owned(), source };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(file)?;
    for (name, algorithm) in KINDS {
        let path = folder.join(name);
        if !path.exists() {
            write_new(&path, algorithm)?;
        }
    }
    load(folder)?.iter().zip(paths(folder)).map(|(key, path)| describe(key, path)).collect()
}

/// Loads the keys that are there: at least one.
///
/// # Errors
/// [`HostKeyError`]
pub(super) fn load_for_server(folder: &Path) -> Result<Vec<PrivateKey>, HostKeyError> {
    load(folder)
}

fn paths(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let names = KINDS.into_iter().map(|(name, _)| name).chain([BROUGHT]);
    names.map(move |name| folder.join(name)).filter(|path| path.exists())
}

fn load(folder: &Path) -> Result<Vec<PrivateKey>, HostKeyError> {
    let keys = paths(folder).map(|path| read(&path)).collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() { Err(HostKeyError::None(folder.to_owned())) } else { Ok(keys) }
}

fn read(path: &Path) -> Result<PrivateKey, HostKeyError> {
    let file = |source| HostKeyError::File { path: path.to_owned(), source };
    let mode = std::fs::metadata(path).map_err(file)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(HostKeyError::Exposed { path: path.to_owned(), mode });
    }
    let text = std::fs::read_to_string(path).map_err(file)?;
    PrivateKey::from_openssh(&text)
        .map_err(|e| HostKeyError::Key { path: path.to_owned(), detail: e.to_string() })
}

fn write_new(path: &Path, algorithm: Algorithm) -> Result<(), HostKeyError> {
    let bad =
        |e: russh::keys::ssh_key::Error| HostKeyError::Key { path: path.to_owned(), detail: e.to_string() };
    let mut random = UnwrapErr(russh::keys::key::safe_rng());
    let key = PrivateKey::random(&mut random, algorithm).map_err(bad)?;
    let text = key.to_openssh(LineEnding::LF).map_err(bad)?;
    let file = |source| HostKeyError::File { path: path.to_owned(), source };
    let open = std::fs::File::options().write(true).create_new(true).mode(0o600).open(path);
    open.map_err(file)?.write_all(text.as_bytes()).map_err(file)
}

fn describe(key: &PrivateKey, path: PathBuf) -> Result<HostKey, HostKeyError> {
    let public = key
        .public_key()
        .to_openssh()
        .map_err(|e| HostKeyError::Key { path: path.clone(), detail: e.to_string() })?;
    Ok(HostKey { fingerprint: key.fingerprint(HashAlg::Sha256).to_string(), public, path })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn keys_are_made_once_private_and_refused_when_exposed() {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("hostkeys");
        assert!(matches!(load_for_server(&keys), Err(HostKeyError::None(_))));
        let made = generate(&keys).unwrap();
        assert_eq!(made.len(), 2);
        assert_eq!(generate(&keys).unwrap(), made, "a second run keeps them");
        for key in &made {
            assert_eq!(std::fs::metadata(&key.path).unwrap().mode() & 0o7777, 0o600);
        }
        let exposed = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(&made[1].path, exposed).unwrap();
        assert!(matches!(load_for_server(&keys), Err(HostKeyError::Exposed { mode: 0o640, .. })));
    }
}
