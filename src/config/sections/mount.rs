//! `[[mount]]`

use std::path::{Path, PathBuf};

use super::container::container_path;
use crate::config::table::{Section, Table};
use crate::config::value::Value;
use crate::config::words::quoted;
use crate::config::{EngineAddress, Machine, Mount, MountSource, Ssh, Store};

pub(super) const MOUNT: Section =
    Section { title: "[[mount]]", key: "mount", keys: &["target", "source", "nfs", "read_only"], later: &[] };

/// Folders in the container that belong to the agent, the kernel or the engine.
const TAKEN: [&str; 4] = ["/.clusteria", "/proc", "/sys", "/dev"];

/// A path that no container may see, and what it is.
pub(super) type Private = (PathBuf, &'static str);

/// Whoever reaches one of these owns the machine, or everybody's sessions.
pub(super) fn private_paths(ssh: &Ssh, store: &Store, machines: &[Machine]) -> Vec<Private> {
    let mut paths = vec![
        (ssh.host_keys.clone(), "the host keys"),
        (store.path.clone(), "the ledger"),
        (store.path.with_file_name("agents.key"), "the agents' key"),
        (store.runtime.clone(), "the agents' sockets"),
    ];
    for machine in machines {
        match &machine.engine {
            EngineAddress::Unix(socket) => paths.push((socket.clone(), "the engine's socket")),
            EngineAddress::Tcp { tls: Some(tls), .. } => paths.push((tls.key.clone(), "the engine's key")),
            EngineAddress::Tcp { .. } | EngineAddress::Ssh(_) => {}
        }
    }
    paths
}

pub(super) fn mounts(root: &mut Table<'_, '_>, private: &[Private]) -> Vec<Mount> {
    let mut targets: Vec<String> = Vec::new();
    let mounts = root.sections(&MOUNT, |table| {
        let target = table.required("target", "\"/dataset\"").and_then(|value| {
            let target = value.checked(free_target)?;
            if targets.contains(&target) {
                value.refuse(format!("two mounts on {target}"));
            }
            targets.push(target.clone());
            Some(target)
        });
        let source = source(table, private);
        let read_only = table.take("read_only").and_then(|value| value.flag()).unwrap_or(false);
        Some(Mount { target: target?, source: source?, read_only })
    });
    mounts.into_iter().flatten().collect()
}

fn free_target(text: &str) -> Result<String, String> {
    let target = container_path(text)?;
    if target == "/" {
        return Err("the container's / cannot be replaced".to_owned());
    }
    match TAKEN.into_iter().find(|taken| Path::new(&target).starts_with(taken)) {
        Some(taken) => Err(format!("{taken} in the container is not free to mount on")),
        None => Ok(target),
    }
}

fn source(table: &mut Table<'_, '_>, private: &[Private]) -> Option<MountSource> {
    match (table.take("source"), table.take("nfs")) {
        (Some(value), None) => path_or_volume(&value, private),
        (None, Some(value)) => value.checked(export),
        (Some(_), Some(value)) => {
            value.refuse("there is a source too; write one of source and nfs");
            None
        }
        (None, None) => {
            table.missing("[[mount]] has neither source nor nfs; write one, like source = \"/data\"");
            None
        }
    }
}

fn path_or_volume(value: &Value<'_, '_>, private: &[Private]) -> Option<MountSource> {
    let text = value.text()?;
    if is_volume(text) {
        return Some(MountSource::Volume(text.to_owned()));
    }
    if container_path(text).is_err() {
        let rule = "neither an absolute path on the machine (no .. and no / at its end) nor a volume's name";
        value.refuse(format!("{} is {rule}", quoted(text)));
        return None;
    }
    let path = PathBuf::from(text);
    if let Some((secret, what)) = private.iter().find(|(secret, _)| shows(&path, secret)) {
        value.refuse(format!("{text} would show {what}, {}, to every user", secret.display()));
    }
    Some(MountSource::Path(path))
}

fn shows(source: &Path, secret: &Path) -> bool {
    let (source, secret) = (resolved(source), resolved(secret));
    source.starts_with(&secret) || secret.starts_with(&source)
}

/// `/var/run` is a link to `/run` on every system that runs an engine.
fn resolved(path: &Path) -> PathBuf {
    path.strip_prefix("/var/run").map_or_else(|_| path.to_owned(), |rest| Path::new("/run").join(rest))
}

/// Docker's rule for names.
fn is_volume(text: &str) -> bool {
    text.len() >= 2
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

/// The server becomes a mount option, `addr=…`: a comma in it would smuggle in others.
fn export(text: &str) -> Result<MountSource, String> {
    let wrong = || format!(r#"{} is not an export; write it like "server:/path""#, quoted(text));
    let (server, path) = text.split_once(":/").ok_or_else(wrong)?;
    let host = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    if server.is_empty() || !server.chars().all(host) {
        return Err(wrong());
    }
    let path = container_path(&format!("/{path}")).map_err(|_| wrong())?;
    Ok(MountSource::Nfs { server: server.to_owned(), path })
}
