//! scp: over SFTP as it is now, and by its old protocol.

use std::fs;

use super::ask::Ask;
use super::behaviour::Behaviour;
use super::exec::sum_here;
use super::place::Case;
use crate::common::big_file;

const NO_SCP: &str = "The library has no scp.";

pub const MODERN: Behaviour = Behaviour {
    title: "scp over sftp",
    lacks: &[
        ("dbclient", "dropbear's scp is OpenSSH's of old: only the old protocol."),
        ("paramiko", NO_SCP),
        ("asyncssh", "The library's scp speaks the old protocol."),
        ("libssh2", "The library's scp speaks the old protocol."),
        ("libssh", NO_SCP),
        ("ssh2 1.14", NO_SCP),
        ("ssh2 1.17", NO_SCP),
    ],
    check: |case| check(case, false),
};

pub const LEGACY: Behaviour = Behaviour {
    title: "scp, the old protocol (`scp -O`)",
    lacks: &[("paramiko", NO_SCP), ("libssh", NO_SCP), ("ssh2 1.14", NO_SCP), ("ssh2 1.17", NO_SCP)],
    check: |case| check(case, true),
};

fn check(case: &Case, is_legacy: bool) {
    let scp = |from: &str, to: &str| {
        let ask = Ask::scp(from, to);
        case.run(&if is_legacy { ask.with("legacy", true) } else { ask }).success();
    };
    let file = big_file(&case.here, 3_000_000);
    let file = file.to_str().unwrap();
    let there = case.remote("there");
    scp(file, &format!(":{there}"));
    assert_eq!(sum_here(file), case.place.look(&format!("sha256sum < {there}")));
    scp(&format!(":{there}"), &case.local("back"));
    assert_eq!(sum_here(file), sum_here(&case.local("back")));
    if case.client.name() == "libssh2" {
        return; // one file at a time is all it has
    }
    let tree = case.local("tree");
    for number in 0..30 {
        let deep = format!("{tree}/d{}/deep", number % 3);
        fs::create_dir_all(&deep).unwrap();
        fs::write(format!("{deep}/{number}"), vec![number; usize::from(number) * 331]).unwrap();
    }
    let back = case.local("tree-back");
    fs::create_dir(&back).unwrap();
    scp(&tree, &format!(":{}", case.there));
    scp(&format!(":{}", case.remote("tree")), &back);
    let compared =
        std::process::Command::new("diff").args(["-r", &tree, &format!("{back}/tree")]).output().unwrap();
    assert!(compared.status.success(), "{}", String::from_utf8_lossy(&compared.stdout));
}

#[test]
fn every_client_over_sftp() {
    MODERN.run();
}

#[test]
fn every_client_by_the_old_protocol() {
    LEGACY.run();
}
