//! Which program it is, and what it is started with.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{FOLDER, SETTINGS_NAME};
use crate::agent::account::User;
use crate::agent::spawn;

const NAME: &str = "jupyter-lab";
/// Where images keep Python without saying so in PATH, which only login shells then know.
const ELSEWHERE: [&str; 3] = ["/opt/conda/bin", "/opt/venv/bin", "/usr/local/bin"];
/// Somebody who put them into the image's environment would open the door with them.
const NOT_PASSED_ON: [&str; 2] = ["JUPYTER_TOKEN", "JUPYTER_TOKEN_FILE"];

/// In the image's PATH, or where such programs are.
pub(super) fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(ELSEWHERE.into_iter().map(PathBuf::from));
    folders.map(|folder| folder.join(NAME)).find(|program| is_executable(program))
}

fn is_executable(path: &Path) -> bool {
    path.is_absolute() && path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// As the user, in a session of its own, in their home. Nothing secret is in its arguments or its environment.
pub(super) fn command(program: &Path, user: &User) -> Command {
    let mut command = Command::new(program);
    command.arg(format!("--config={FOLDER}/{SETTINGS_NAME}"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    spawn::environment(&mut command, user);
    for name in NOT_PASSED_ON {
        command.env_remove(name);
    }
    let home = Path::new(&user.account.home);
    command.current_dir(if home.is_dir() { home } else { Path::new("/") });
    spawn::prepare(&mut command, user, false);
    command
}
