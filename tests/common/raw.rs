//! Clients that say what they like: scripts in tests/wire, run by the Python that tests/wire/install makes.

use std::path::PathBuf;
use std::process::Command;

use super::{Cluster, Ran, cache, run};

/// A program of its folder.
pub fn program(name: &str) -> Command {
    Command::new(cache().join("wire/bin").join(name))
}

/// `python tests/wire/SCRIPT NAME PORT USER KEY MORE…`
pub fn script(cluster: &Cluster, script: &str, name: &str, user: &str, more: &[&str]) -> Command {
    let mut command = program("python");
    command
        .arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/wire").join(script))
        .args([name, &cluster.port.to_string(), user])
        .arg(cluster.path(&format!("{user}.key")))
        .args(more);
    command
}

/// Runs one to its end, which is good.
#[track_caller]
pub fn passes(cluster: &Cluster, file: &str, name: &str, user: &str, more: &[&str]) -> Ran {
    let ran = run(&mut script(cluster, file, name, user, more), b"");
    assert!(ran.status == 0 && ran.stdout.ends_with("OK\n"), "{name}: {ran:?}\n{}", cluster.log());
    ran
}
