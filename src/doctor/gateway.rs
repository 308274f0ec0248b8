//! The gateway's own host: keys, ledger, audit log, directory, tailnet.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use nix::unistd::{AccessFlags, access};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::{Finding, Notes};
use crate::auth::directory::Directory;
use crate::config::{AuthMethod, Config, LdapEntry};
use crate::error_chain::in_full;
use crate::store;

/// A name that no university gives anybody.
const NOBODY: &str = "clusteria-doctor";
const TAILNET_LIMIT: Duration = Duration::from_secs(2);

pub(super) async fn look(config: &Config) -> Vec<Finding> {
    let mut notes = Notes::at("gateway");
    host_keys(&mut notes, &config.ssh.host_keys);
    ledger(&mut notes, &config.store.path).await;
    runtime(&mut notes, &config.store.runtime);
    if let Some(path) = &config.audit.path {
        audit(&mut notes, path);
    }
    directory(&mut notes, config).await;
    tailnet(&mut notes, config).await;
    notes.findings
}

fn host_keys(notes: &mut Notes, folder: &Path) {
    let subject = "host keys";
    let keys = fs::read_dir(folder).into_iter().flatten().flatten().filter(|entry| {
        let name = entry.file_name();
        name.to_string_lossy().starts_with("ssh_host_") && !name.to_string_lossy().ends_with(".pub")
    });
    let mut count = 0;
    for key in keys {
        count += 1;
        let mode = key.metadata().map(|m| m.mode() & 0o777).unwrap_or_default();
        if mode & 0o077 != 0 {
            let path = key.path().display().to_string();
            notes.error(
                subject,
                format!("{path} has mode {mode:04o}: others can read it"),
                &format!("chmod 600 {path}, and make new keys if somebody may have read it"),
            );
        }
    }
    match count {
        0 => notes.error(
            subject,
            format!("there are none in {}", folder.display()),
            "make them: clusteria hostkey",
        ),
        count => notes.ok(subject, format!("{count} in {}", folder.display())),
    }
}

async fn ledger(notes: &mut Notes, path: &Path) {
    let subject = "ledger";
    if !path.exists() {
        return writable_folder(notes, subject, path);
    }
    let own = path.to_owned();
    let checked = tokio::task::spawn_blocking(move || store::quick_check(&own)).await;
    let restore = "move it aside and bring back the last backup; who works goes on working meanwhile";
    match checked {
        Ok(Ok(complaints)) if complaints.is_empty() => {
            notes.ok(subject, format!("{} is whole", path.display()))
        }
        Ok(Ok(complaints)) => {
            notes.error(subject, format!("{}: {}", path.display(), complaints.join("; ")), restore);
        }
        Ok(Err(e)) => notes.error(
            subject,
            in_full(&e),
            "it must be writable for the gateway's user, on a disk that is not full",
        ),
        Err(e) => notes.error(subject, e.to_string(), restore),
    }
}

fn runtime(notes: &mut Notes, folder: &Path) {
    writable_folder(notes, "agents' sockets", &folder.join("x"));
}

fn audit(notes: &mut Notes, path: &Path) {
    if !path.exists() {
        return writable_folder(notes, "audit log", path);
    }
    match access(path, AccessFlags::W_OK) {
        Ok(()) => notes.ok("audit log", path.display().to_string()),
        Err(e) => notes.error(
            "audit log",
            format!("{}: {}", path.display(), e.desc()),
            "make it writable for the gateway's user: without it the gateway does not start",
        ),
    }
}

/// The folder of something that is made later, or the nearest one above it that exists.
fn writable_folder(notes: &mut Notes, subject: &str, path: &Path) {
    let folder = path.ancestors().skip(1).find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let fix = "make that folder writable for the gateway's user, or name another place in the configuration";
    if !folder.is_dir() {
        return notes.error(subject, format!("{} is no folder", folder.display()), fix);
    }
    match access(folder, AccessFlags::W_OK | AccessFlags::X_OK) {
        Ok(()) => notes.ok(subject, format!("will be made in {}", folder.display())),
        Err(e) => notes.error(subject, format!("cannot be made in {}: {}", folder.display(), e.desc()), fix),
    }
}

async fn directory(notes: &mut Notes, config: &Config) {
    let Some(rules) = &config.auth.ldap else { return };
    let subject = "directory";
    let fix = "try it by hand: ldapsearch -ZZ -H URL -x -b BASE; look at the address, the certificate (ca) and the account (bind_dn)";
    let directory = match Directory::new(rules.clone()) {
        Ok(directory) => directory,
        Err(e) => return notes.error(subject, in_full(&e), fix),
    };
    let Ok(nobody) = NOBODY.parse() else { return };
    let (asked, how) = match rules.entry {
        LdapEntry::Search { .. } => (directory.look_up(&nobody).await, "it answers, and can be searched"),
        // Without an account of our own there is nothing to search as: a wrong password must be refused.
        LdapEntry::BindAs { .. } => (directory.check(&nobody, NOBODY).await, "it answers"),
    };
    match asked {
        Ok(None) => notes.ok(subject, how),
        Ok(Some(_)) => notes.warn(
            subject,
            format!("it knows somebody named {NOBODY}"),
            "look at the filter: it should find one person by their name",
        ),
        Err(e) => notes.error(subject, in_full(&e), fix),
    }
}

async fn tailnet(notes: &mut Notes, config: &Config) {
    if !config.auth.methods.contains(&AuthMethod::Tailnet) {
        return;
    }
    let socket = &config.auth.tailnet.socket;
    match timeout(TAILNET_LIMIT, UnixStream::connect(socket)).await {
        Ok(Ok(_)) => notes.ok("tailnet", format!("tailscaled answers at {}", socket.display())),
        Ok(Err(e)) => notes.error(
            "tailnet",
            format!("{}: {e}", socket.display()),
            "is tailscaled running (systemctl status tailscaled), and may the gateway's user open its socket?",
        ),
        Err(_) => {
            notes.error("tailnet", "tailscaled does not answer", "restart it: systemctl restart tailscaled");
        }
    }
}
