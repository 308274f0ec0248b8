//! The client's ssh-agent in a shell that outlives connections: each connection brings a socket of its own, the
//! shell knows one name for all of them.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::agent::account::User;
use crate::agent::own_path::new_directory;
use crate::agent::rights::as_user;

const VARIABLE: &str = "SSH_AUTH_SOCK";

/// A link to the socket of whoever is connected now. Goes with its shell.
#[derive(Debug)]
pub(super) struct AgentLink {
    path: PathBuf,
    user: User,
}

impl AgentLink {
    /// Where the client lends its ssh-agent: puts the link in the socket's place.
    pub(super) fn put(env: &mut [(String, String)], user: &User) -> Option<Self> {
        let (_, value) = env.iter_mut().find(|(name, _)| name == VARIABLE)?;
        let target = value.clone();
        let made = as_user(user, move || {
            let path = new_directory("ssh-")?.join("agent.shell");
            symlink(target, &path)?;
            Ok(path)
        });
        let path = made.ok()?;
        *value = path.to_string_lossy().into_owned();
        Some(Self { path, user: user.clone() })
    }

    /// Somebody else is connected now, and lends theirs, or none.
    pub(super) fn point(&self, env: &[(String, String)]) {
        let target = env.iter().find(|(name, _)| name == VARIABLE).map(|(_, value)| value.clone());
        let path = self.path.clone();
        let _ = as_user(&self.user, move || {
            let Some(target) = target else { return fs::remove_file(&path) };
            let aside = path.with_extension("new");
            let _ = fs::remove_file(&aside);
            symlink(target, &aside)?;
            fs::rename(&aside, &path)
        });
    }
}

impl Drop for AgentLink {
    fn drop(&mut self) {
        let path = self.path.clone();
        let _ = as_user(&self.user, move || {
            let _ = fs::remove_file(&path);
            path.parent().map_or_else(|| Err(io::ErrorKind::NotFound.into()), fs::remove_dir)
        });
    }
}
