//! SFTP: how much room there is (`statvfs@openssh.com`).

use super::ask::Ask;
use super::behaviour::Behaviour;
use super::place::Case;

const NO_STATVFS: &str = "The client does not know `statvfs@openssh.com`.";

pub const BEHAVIOUR: Behaviour = Behaviour {
    title: "sftp: room on the disk (statvfs)",
    lacks: &[("PuTTY", NO_STATVFS), ("paramiko", NO_STATVFS)],
    check,
};

fn check(case: &Case) {
    let ran = case.run(&Ask::sftp(&[&["statvfs", "/home/ada"]])).success();
    let is_said =
        ran.stdout.contains("blocks ") || (ran.stdout.contains("Avail") && ran.stdout.contains('%'));
    assert!(is_said && !ran.stdout.contains("blocks 0\n"), "{}", ran.stdout);
}

#[test]
fn every_client() {
    BEHAVIOUR.run();
}
