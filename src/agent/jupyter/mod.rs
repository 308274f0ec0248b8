//! JupyterLab: kept running for the user on the container's loopback, opened by the reservation's password.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, fchown};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::account::User;
use super::protocol::JupyterState;

mod keep;
mod program;
mod tail;

/// Where it listens in the container.
const PORT: u16 = 8888;
/// Root's: nobody else can put files or links there.
const FOLDER: &str = "/run/clusteria-jupyter";
const SETTINGS: &str = include_str!("config.py");
const SETTINGS_NAME: &str = "config.py";
const PASSWORD_NAME: &str = "password";
/// Longer than any argon2id hash in PHC format.
const MAX_HASH: usize = 512;

/// How JupyterLab does.
#[derive(Debug)]
pub(super) struct Jupyter {
    state: Mutex<JupyterState>,
}

impl Default for Jupyter {
    fn default() -> Self {
        Self { state: Mutex::new(JupyterState::Off) }
    }
}

impl Jupyter {
    fn lock(&self) -> MutexGuard<'_, JupyterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> JupyterState {
        self.lock().clone()
    }

    fn set(&self, state: JupyterState) {
        *self.lock() = state;
    }
}

/// From now on this opens JupyterLab, and nothing else does. It is read at each login.
pub(super) fn set_password(user: &User, hash: &str) -> io::Result<()> {
    let is_hash =
        hash.len() <= MAX_HASH && hash.starts_with("$argon2id$") && !hash.contains(char::is_control);
    if !is_hash {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "that is no argon2id hash"));
    }
    make_folder()?;
    place(PASSWORD_NAME, hash, user)
}

fn write_settings(user: &User) -> io::Result<()> {
    make_folder()?;
    place(SETTINGS_NAME, SETTINGS, user)
}

fn make_folder() -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o755).create(FOLDER)
}

/// Written aside and renamed: never read half. The user's, and nobody else's.
fn place(name: &str, text: &str, user: &User) -> io::Result<()> {
    let folder = Path::new(FOLDER);
    let aside = folder.join(format!("{name}.new"));
    let _ = fs::remove_file(&aside);
    let mut file = fs::File::options().write(true).create_new(true).mode(0o600).open(&aside)?;
    file.write_all(text.as_bytes())?;
    fchown(&file, Some(user.account.uid), Some(user.account.gid))?;
    fs::rename(&aside, folder.join(name))
}
