//! 1,000 commands over one connection.

use super::ask::Ask;
use super::behaviour::Behaviour;
use super::place::Case;

const ONE: &str = "One session for each connection.";

pub const BEHAVIOUR: Behaviour = Behaviour {
    title: "1,000 commands over one connection",
    lacks: &[
        ("OpenSSH", "Its master and eight sessions at once are a test of their own."),
        ("dbclient", ONE),
        ("PuTTY", ONE),
    ],
    check,
};

fn check(case: &Case) {
    let ran = case.run(&Ask::channels(1000, "echo $$")).success();
    assert_eq!(ran.stdout, "1000\n", "{}", ran.stderr);
}

#[test]
fn every_client() {
    BEHAVIOUR.run();
}
