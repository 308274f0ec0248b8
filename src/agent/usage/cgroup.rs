//! The container's own control group, version 1 or 2, as it is seen from inside.

use std::fs;
use std::path::Path;

use super::report::Amount;

/// Where both versions are mounted.
pub(super) const ROOT: &str = "/sys/fs/cgroup";
/// Version 1 has a number for "no limit": the largest multiple of a page.
const NO_LIMIT: u64 = 1 << 60;

/// One look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cgroup {
    pub(super) memory: Option<Amount>,
    pub(super) processes: Option<Amount>,
    /// Processor time so far, in microseconds.
    pub(super) processor_us: Option<u64>,
    pub(super) oom_kills: u64,
    pub(super) forks_refused: u64,
}

pub(super) fn look(root: &Path) -> Cgroup {
    if root.join("cgroup.controllers").exists() { version_2(root) } else { version_1(root) }
}

fn version_2(root: &Path) -> Cgroup {
    let memory = amount(root, "memory.current", "memory.max").map(|amount| {
        let idle = field(root, "memory.stat", "inactive_file").unwrap_or_default();
        Amount { used: amount.used.saturating_sub(idle), ..amount }
    });
    Cgroup {
        memory,
        processes: amount(root, "pids.current", "pids.max"),
        processor_us: field(root, "cpu.stat", "usage_usec"),
        oom_kills: field(root, "memory.events", "oom_kill").unwrap_or_default(),
        forks_refused: field(root, "pids.events", "max").unwrap_or_default(),
    }
}

fn version_1(root: &Path) -> Cgroup {
    let (memory, pids) = (root.join("memory"), root.join("pids"));
    let used = amount(&memory, "memory.usage_in_bytes", "memory.limit_in_bytes").map(|amount| {
        let idle = field(&memory, "memory.stat", "total_inactive_file").unwrap_or_default();
        Amount { used: amount.used.saturating_sub(idle), ..amount }
    });
    Cgroup {
        memory: used,
        processes: amount(&pids, "pids.current", "pids.max"),
        processor_us: number(&root.join("cpuacct/cpuacct.usage")).map(|nanoseconds| nanoseconds / 1000),
        oom_kills: field(&memory, "memory.oom_control", "oom_kill").unwrap_or_default(),
        forks_refused: field(&pids, "pids.events", "max").unwrap_or_default(),
    }
}

fn amount(folder: &Path, used: &str, limit: &str) -> Option<Amount> {
    // "max", version 2's "no limit", is no number.
    let limit = number(&folder.join(limit)).filter(|limit| *limit < NO_LIMIT);
    Some(Amount { used: number(&folder.join(used))?, limit })
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// A line `NAME VALUE`.
fn field(folder: &Path, file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(folder.join(file)).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn both_versions_say_the_same() {
        let first = files(&[
            ("memory/memory.usage_in_bytes", "5000\n"),
            ("memory/memory.limit_in_bytes", "8000\n"),
            ("memory/memory.stat", "cache 9\ntotal_inactive_file 1000\n"),
            ("memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"),
            ("pids/pids.current", "7\n"),
            ("pids/pids.max", "64\n"),
            ("pids/pids.events", "max 2\n"),
            ("cpuacct/cpuacct.usage", "1500000\n"),
        ]);
        let second = files(&[
            ("cgroup.controllers", "cpu memory pids\n"),
            ("memory.current", "5000\n"),
            ("memory.max", "8000\n"),
            ("memory.stat", "anon 1\ninactive_file 1000\n"),
            ("memory.events", "low 0\noom 4\noom_kill 3\n"),
            ("pids.current", "7\n"),
            ("pids.max", "64\n"),
            ("pids.events", "max 2\n"),
            ("cpu.stat", "usage_usec 1500\n"),
        ]);
        let expected = Cgroup {
            memory: Some(Amount { used: 4000, limit: Some(8000) }),
            processes: Some(Amount { used: 7, limit: Some(64) }),
            processor_us: Some(1500),
            oom_kills: 3,
            forks_refused: 2,
        };
        assert_eq!(look(first.path()), expected);
        assert_eq!(look(second.path()), expected);
    }

    #[test]
    fn no_limit_is_none_and_nothing_there_is_nothing() {
        let first = files(&[
            ("memory/memory.usage_in_bytes", "5\n"),
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("pids/pids.current", "1\n"),
            ("pids/pids.max", "max\n"),
        ]);
        let found = look(first.path());
        assert_eq!(found.memory, Some(Amount { used: 5, limit: None }));
        assert_eq!(found.processes, Some(Amount { used: 1, limit: None }));
        assert_eq!(look(Path::new("/nowhere")), Cgroup::default());
    }
}
