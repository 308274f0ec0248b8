//! What carries an engine's name, or is left of one: processes, mounts, namespaces, cgroups.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::network::NETNS;
use crate::common::{SOON, eventually};

const CGROUPS: &str = "/sys/fs/cgroup";

/// What tests that were killed have left: they are known by a process id that is nobody's any more.
pub(super) fn remove_leftovers() {
    let names: BTreeSet<String> = entries(NETNS)
        .chain(entries(std::env::temp_dir()))
        .filter_map(|name| {
            let mut parts = name.strip_prefix("ct-")?.split('-');
            let (pid, number) = (parts.next()?.parse::<u32>().ok()?, parts.next()?.parse::<u32>().ok()?);
            (!Path::new(&format!("/proc/{pid}")).exists()).then(|| format!("ct-{pid}-{number}"))
        })
        .collect();
    for name in names {
        remove(&name);
    }
}

/// Everything that carries the name.
pub(super) fn remove(name: &str) {
    let folder = std::env::temp_dir().join(name);
    end_processes(name, &folder);
    unmount(&folder);
    for namespace in entries(NETNS).filter(|other| belongs_to(other, name)) {
        // The host's end of a pair goes with the namespace of the other.
        let _ = Command::new("ip").args(["netns", "del", &namespace]).output();
    }
    for group in cgroups(name) {
        remove_cgroup(&group);
    }
    let _ = fs::remove_dir_all(&folder);
}

fn belongs_to(what: &str, name: &str) -> bool {
    what.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Kills by process id until nothing is left: what is in the namespaces, in the cgroups, or was started with the folder
/// in its command line (containerd's shims).
pub(super) fn end_processes(name: &str, folder: &Path) {
    let own = std::process::id();
    eventually("everything has ended", SOON, || {
        let left: Vec<u32> = processes_of(name, folder).into_iter().filter(|pid| *pid != own).collect();
        for pid in &left {
            let _ = kill(Pid::from_raw(i32::try_from(*pid).unwrap()), Signal::SIGKILL);
        }
        left.is_empty().then_some(())
    });
}

fn processes_of(name: &str, folder: &Path) -> Vec<u32> {
    let namespaces: Vec<u64> = entries(NETNS)
        .filter(|other| belongs_to(other, name))
        .filter_map(|other| fs::metadata(Path::new(NETNS).join(other)).ok())
        .map(|found| found.ino())
        .collect();
    let folder = format!("{}/", folder.display());
    entries("/proc")
        .filter_map(|entry| entry.parse().ok())
        .filter(|pid: &u32| !is_gone(Pid::from_raw(i32::try_from(*pid).unwrap())))
        .filter(|pid| {
            let proc = PathBuf::from(format!("/proc/{pid}"));
            let command = fs::read(proc.join("cmdline")).unwrap_or_default();
            let program = String::from_utf8_lossy(&command);
            // Only what engines are made of: a client of the test may name the folder, too.
            let is_engine = ["dockerd", "containerd", "docker-proxy"]
                .iter()
                .any(|known| program.split('\0').next().is_some_and(|first| first.contains(known)));
            let in_namespace =
                fs::metadata(proc.join("ns/net")).is_ok_and(|ns| namespaces.contains(&ns.ino()));
            let groups = fs::read_to_string(proc.join("cgroup")).unwrap_or_default();
            in_namespace
                || (is_engine && program.contains(&folder))
                || groups.lines().flat_map(|line| line.split('/')).any(|part| belongs_to(part, name))
        })
        .collect()
}

/// Waits for it in a thread of its own: a zombie counts as a running engine for the next one.
pub(super) fn reap(mut child: std::process::Child) {
    std::thread::spawn(move || child.wait());
}

pub(super) fn read_pid(file: &Path) -> Option<Pid> {
    fs::read_to_string(file).ok()?.trim().parse().ok().map(Pid::from_raw)
}

pub(super) fn is_gone(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_none_or(|rest| rest.trim_start().starts_with(['Z', 'X']) || rest.is_empty())
}

/// In whichever hierarchies there are.
fn cgroups(name: &str) -> Vec<PathBuf> {
    let roots = entries(CGROUPS).map(|root| Path::new(CGROUPS).join(root)).chain([PathBuf::from(CGROUPS)]);
    roots
        .flat_map(|root| entries(&root).map(|entry| (root.join(&entry), entry)).collect::<Vec<_>>())
        .filter(|(path, entry)| belongs_to(entry, name) && path.is_dir())
        .map(|(path, _)| path)
        .collect()
}

fn remove_cgroup(path: &Path) {
    for child in entries(path).map(|entry| path.join(entry)).filter(|child| child.is_dir()) {
        remove_cgroup(&child);
    }
    let _ = fs::remove_dir(path);
}

/// Innermost first.
pub(super) fn unmount(folder: &Path) {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let inside = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .filter(|at| Path::new(at).starts_with(folder));
    for mount in inside.collect::<Vec<_>>().into_iter().rev() {
        let _ = umount2(mount, MntFlags::MNT_DETACH);
    }
}

fn entries(folder: impl AsRef<Path>) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}
