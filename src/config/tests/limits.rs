//! Values at their ends, and values that contradict each other.

use std::path::PathBuf;

use super::{MINIMAL, instead, parse, refused, with};
use crate::config::MountSource;

#[test]
fn reservations_are_in_range() {
    refused(&with("[reservation]", "lifetime = \"0s\""), "between 1s and 30d");
    refused(&with("[reservation]", "lifetime = \"31d\""), "31d is out of range");
    refused(
        &with("[reservation]", "lifetime = \"30m\"\nwarnings = [\"30m\"]"),
        "a warning at 30m never comes",
    );
    refused(&with("[reservation]", "warnings = [\"5m\", \"300s\"]"), "5m is there twice");
    refused(&with("[reservation]", "grace = \"2h\""), "2h is out of range");
    refused(&with("[reservation]", "lifetime = \"long\"\nwarnings = [\"10h\"]"), "is not a duration");
    let rules = parse(&with("[reservation]", "lifetime = \"10m\"\n")).unwrap().reservation;
    assert_eq!(rules.warnings.iter().map(|time| time.as_secs()).collect::<Vec<_>>(), [300, 60]);
    let rules = parse(&with("[reservation]", "warnings = [\"1m\", \"1h30m\"]")).unwrap().reservation;
    assert_eq!(rules.warnings.iter().map(|time| time.as_secs()).collect::<Vec<_>>(), [5400, 60]);
    assert!(parse(&with("[reservation]", "warnings = []")).unwrap().reservation.warnings.is_empty());
}

#[test]
fn connections_are_in_range() {
    refused(&with("[ssh]", "max_connections = 0"), "0 is out of range");
    refused(&with("[ssh]", "max_per_user = -1"), "-1 is out of range");
    refused(&with("[ssh]", "max_connections = 10\nmax_per_user = 20"), "20 is more than max_connections");
    refused(&with("[ssh]", "keepalive = \"0s\""), "between 1s and 1h");
    assert_eq!(parse(&with("[ssh]", "max_connections = 10")).unwrap().ssh.max_per_user, 10);
    assert_eq!(parse(&with("[ssh]", "max_connections = 0x10")).unwrap().ssh.max_connections, 16);
}

#[test]
fn container_limits_are_in_range() {
    refused(&with("[container]", "memory = \"1MiB\""), "between 6MiB and");
    refused(&with("[container]", "memory = \"2g\""), "is not a size");
    refused(&with("[container]", "cpus = 0"), "0 is out of range");
    refused(&with("[container]", "cpus = nan"), "out of range");
    refused(&with("[container]", "cpus = \"4\""), "it must be a number");
    refused(&with("[container]", "pids = 1"), "between 16 and");
    refused(&with("[container]", "memory = \"1GiB\"\nshm = \"2GiB\""), "more than the memory");
    refused(&with("[container]", "shell = \"bash\""), "is not an absolute path");
    refused(&with("[container]", "user = \"Root\""), "is not a user name");
    refused(&with("[container]", "env = { \"1A\" = \"x\" }"), "not a variable's name");
    refused(&instead("ubuntu:24.04", "ubuntu"), "has no tag");
    refused(&instead("ubuntu:24.04", "ubuntu:latest"), "`latest`");
}

#[test]
fn slots_override_the_container() {
    let text = with("[container]", "memory = \"64GiB\"\ncpus = 4\nenv = { B = \"2\", A = \"1\" }");
    let config = parse(&format!("{text}memory = \"32GiB\"\nshm = \"2GiB\"\npids = 100\n")).unwrap();
    let limits = &config.machines[0].slots[0].limits;
    assert_eq!((limits.memory, limits.shm), (Some(32 << 30), Some(2 << 30)));
    assert_eq!((limits.cpus, limits.pids), (Some(4.0), Some(100)));
    assert_eq!(config.container.limits.memory, Some(64 << 30));
    assert_eq!(config.container.env, [("A".into(), "1".into()), ("B".into(), "2".into())]);
}

#[test]
fn mounts_have_one_source_and_a_free_target() {
    let mount = |target: &str, source: &str| with("[[mount]]", &format!("target = \"{target}\"\n{source}"));
    for target in ["data", "/a/", "/a//b", "/a/../b", "/./a", ""] {
        refused(&mount(target, "source = \"/srv\""), "is not an absolute path");
    }
    for target in ["/", "/.clusteria", "/.clusteria/x", "/proc", "/sys/fs", "/dev/shm"] {
        refused(&mount(target, "source = \"/srv\""), "[[mount]] target");
    }
    refused(&mount("/x", "source = \"/srv\"\nnfs = \"a:/b\""), "write one of source and nfs");
    for source in ["./data", "/a/..", "a b", "a:b"] {
        refused(&mount("/x", &format!("source = \"{source}\"")), "neither an absolute path");
    }
    for nfs in ["server", ":/path", "a,rw:/path", "a b:/path", "server:/a/../b"] {
        refused(&mount("/x", &format!("nfs = \"{nfs}\"")), "is not an export");
    }
    let twice = format!("{}[[mount]]\ntarget = \"/x\"\nsource = \"vol\"\n", mount("/x", "source = \"/srv\""));
    refused(&twice, "two mounts on /x");
    let source = |text: &str| parse(&mount("/developer", text)).unwrap().mounts.remove(0).source;
    assert_eq!(source("source = \"/srv\""), MountSource::Path(PathBuf::from("/srv")));
    assert_eq!(source("source = \"home\""), MountSource::Volume("home".into()));
    let nfs = MountSource::Nfs { server: "nas.example.org".into(), path: "/export".into() };
    assert_eq!(source("nfs = \"nas.example.org:/export\""), nfs);
}

/// Whoever can open the engine's socket is root on the machine.
#[test]
fn no_mount_shows_what_is_private() {
    let mount = |source: &str| with("[[mount]]", &format!("target = \"/x\"\nsource = \"{source}\""));
    for source in ["/", "/var/run/docker.sock", "/run", "/run/docker.sock"] {
        refused(&mount(source), "to every user");
    }
    refused(&mount("/run/clusteria/x"), "the agents' sockets");
    refused(&mount("/var/lib/clusteria"), "the ledger");
    refused(&mount("/etc/clusteria/hostkeys"), "the host keys");
}

#[test]
fn paths_start_from_the_files_folder() {
    let config = parse(&with("[store]", "path = \"./clusteria.db\"\nruntime = \"run\"")).unwrap();
    assert_eq!(config.store.path, PathBuf::from("/etc/clusteria/clusteria.db"));
    assert_eq!(config.store.runtime, PathBuf::from("/etc/clusteria/run"));
    refused(&with("[store]", "path = \"\""), "is not a path");
    assert!(parse(&with("[store]", &format!("runtime = \"/{}\"", "r".repeat(68)))).is_ok());
    refused(&with("[store]", &format!("runtime = \"/{}\"", "r".repeat(69))), "has 70 bytes and may have 69");
}

#[test]
fn a_byte_order_mark_and_windows_lines_are_fine() {
    assert!(parse(&format!("\u{feff}{}", MINIMAL.replace('\n', "\r\n"))).is_ok());
}
