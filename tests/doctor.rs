//! `clusteria doctor`: everything that is wrong is found, with what to do about it, and nothing takes long.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use common::{Cluster, Plan, docker};
use serde_json::Value;

fn examine(cluster: &Cluster) -> (i32, Vec<Value>) {
    let ran = cluster.cli(&["doctor", "--json"]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    (ran.status, report["findings"].as_array().unwrap().clone())
}

#[track_caller]
fn find<'a>(findings: &'a [Value], place: &str, subject: &str) -> &'a Value {
    let found = findings.iter().find(|f| f["place"] == place && f["subject"] == subject);
    found.unwrap_or_else(|| panic!("nothing about {place} {subject}: {findings:#?}"))
}

#[track_caller]
fn error(findings: &[Value], place: &str, subject: &str, found: &str, fix: &str) {
    let finding = find(findings, place, subject);
    assert_eq!(finding["weight"], "error", "{finding}");
    assert!(finding["found"].as_str().unwrap().contains(found), "{finding}");
    assert!(finding["fix"].as_str().unwrap().contains(fix), "{finding}");
}

#[test]
fn what_is_well_is_said_too_and_nothing_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let more = format!(
        "[[mount]]\ntarget = \"/storage\"\nsource = \"{0}\"\n\
         [[mount]]\ntarget = \"/dataset\"\nsource = \"{0}\"\nread_only = true\n",
        folder.path().display()
    );
    let cluster = Cluster::prepare(&Plan {
        container: "memory = \"64MiB\"\npids = 50\nshm = \"8MiB\"",
        more,
        ..Plan::default()
    });
    let (_, findings) = examine(&cluster);
    for (place, subject) in [
        ("gateway", "host keys"),
        ("gateway", "ledger"),
        ("gateway", "agents' sockets"),
        ("gpu1", "engine"),
        ("gpu1", "image"),
        ("gpu1", "clock"),
        ("gpu1", "container"),
        ("gpu1", "mount /storage"),
        ("gpu1", "mount /dataset"),
    ] {
        let finding = find(&findings, place, subject);
        assert_eq!(finding["weight"], "ok", "{finding}");
    }
    // This machine has no packet filter for it: the one error, and it says what to do.
    error(&findings, "gpu1", "network rules", "containers reach", "clusteria firewall");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "the probe cleans up");
    let helpers =
        docker(&["ps", "-aq", "--filter", &format!("label=clusteria.cluster.helper={}", cluster.name)]);
    assert_eq!(helpers, "");
    let text = cluster.cli(&["doctor"]).stdout;
    assert!(text.contains("ok      gpu1: mount /dataset: read-only, answers"), "{text}");
    assert!(text.contains("        to do: install the packet filter"), "{text}");
}

#[test]
fn everything_that_is_wrong_is_found_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let locked = folder.path().join("locked");
    fs::create_dir(&locked).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o700)).unwrap();
    let more = format!(
        "[[mount]]\ntarget = \"/gone\"\nsource = \"{0}/gone\"\n\
         [[mount]]\ntarget = \"/locked\"\nsource = \"{0}/locked\"\n\
         [[mount]]\ntarget = \"/nfs\"\nnfs = \"127.0.0.9:/export\"\n\
         [audit]\npath = \"{0}/log/audit.jsonl\"\n\
         [[machine]]\nname = \"gone\"\nengine = \"unix://{0}/docker.sock\"\n[[machine.slot]]\n\
         [[machine]]\nname = \"dead\"\nengine = \"unix://{0}/dead.sock\"\n[[machine.slot]]\n",
        folder.path().display()
    );
    // An engine that accepts and never answers.
    let _dead = UnixListener::bind(folder.path().join("dead.sock")).unwrap();
    let log = folder.path().join("log");
    fs::create_dir(&log).unwrap();
    let cluster = Cluster::prepare(&Plan {
        slot: "gpus = [\"0\", \"nvidia.com/gpu=0\"]\ndisk = \"1GiB\"",
        auth: "methods = [\"publickey\", \"password\", \"tailnet\"]\n[auth.tailnet]\nsocket = \"/no/tailscaled.sock\"\ndomains = [\"example.org\"]\n\
               [auth.ldap]\nurls = [\"ldaps://127.0.0.1:1\"]\nbase = \"dc=example\"\n",
        slots: vec![1],
        more,
        ..Plan::default()
    });
    fs::set_permissions(cluster.path("hostkeys/ssh_host_ed25519_key"), fs::Permissions::from_mode(0o644))
        .unwrap();
    fs::write(
        cluster.path("ledger/clusteria.db"),
        "not a database, though long enough to look like one".repeat(100),
    )
    .unwrap();
    fs::remove_dir_all(&log).unwrap();
    fs::write(&log, "a file, not a folder").unwrap();
    let began = Instant::now();
    let (status, findings) = examine(&cluster);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    assert_eq!(status, 1);
    error(&findings, "gateway", "host keys", "others can read it", "chmod 600");
    error(&findings, "gateway", "ledger", "not a database", "");
    error(&findings, "gateway", "audit log", "is no folder", "writable");
    error(&findings, "gateway", "directory", "", "ldapsearch");
    error(&findings, "gateway", "tailnet", "/no/tailscaled.sock", "tailscaled");
    error(&findings, "gone", "engine", "does not answer", "systemctl status docker");
    error(&findings, "dead", "engine", "no answer within", "systemctl status docker");
    error(&findings, "gpu1", "disk limit", "cannot limit", "pquota");
    error(&findings, "gpu1", "CDI", "CDI devices", "\"cdi\": true");
}

#[test]
fn mounts_and_gpus_that_the_engine_would_refuse_are_refused_here_first() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("locked")).unwrap();
    fs::set_permissions(folder.path().join("locked"), fs::Permissions::from_mode(0o700)).unwrap();
    let more = format!(
        "[[mount]]\ntarget = \"/gone\"\nsource = \"{0}/gone\"\n\
         [[mount]]\ntarget = \"/locked\"\nsource = \"{0}/locked\"\n\
         [[mount]]\ntarget = \"/nfs\"\nnfs = \"127.0.0.9:/export\"\n",
        folder.path().display()
    );
    let cluster = Cluster::prepare(&Plan { slot: "gpus = [\"0\"]", slots: vec![1], more, ..Plan::default() });
    let (status, findings) = examine(&cluster);
    assert_eq!(status, 1);
    error(&findings, "gpu1", "mount /gone", "does not exist", "exist on the machine");
    error(&findings, "gpu1", "mount /locked", "cannot write", "1777");
    error(&findings, "gpu1", "mount /nfs", "", "showmount");
    error(&findings, "gpu1", "GPUs of gpu1/1", "could not select device driver", "nvidia-smi -L");

    let cluster = Cluster::prepare(&Plan { image: "clusteria/none:1", slots: vec![1], ..Plan::default() });
    let (_, findings) = examine(&cluster);
    error(&findings, "gpu1", "image", "is not on this machine", "docker pull");
}
