//! A signal sent through the channel (RFC 4254 section 6.9).

use super::ask::Ask;
use super::behaviour::Behaviour;
use super::place::Case;

pub const NO_SIGNAL: &str = "The client cannot send signals (plink only from its graphical menu).";

pub const BEHAVIOUR: Behaviour = Behaviour {
    title: "signal sent to the command",
    lacks: &[("OpenSSH", NO_SIGNAL), ("dbclient", NO_SIGNAL), ("PuTTY", NO_SIGNAL), ("paramiko", NO_SIGNAL)],
    check,
};

fn check(case: &Case) {
    let command = "trap 'echo got-it; exit 9' USR1; echo ready; while :; do sleep 0.05; done";
    let ran = case.run(&Ask::exec(command).with("signal", "USR1"));
    assert!(ran.stdout == "ready\ngot-it\n" && ran.status == 9, "{ran:?}");
}

#[test]
fn every_client() {
    BEHAVIOUR.run();
}
