//! `-W`: standard input and output to a port in the container.

use super::ask::Ask;
use super::behaviour::Behaviour;
use super::place::{Case, ECHO_PORT};
use super::talk;

const LIBRARY: &str = "A library: the channel is that of `-L`.";

pub const BEHAVIOUR: Behaviour = Behaviour {
    title: "`-W` (`-nc`, `-B`): standard input and output to a port",
    lacks: &[
        ("paramiko", LIBRARY),
        ("asyncssh", LIBRARY),
        ("libssh2", LIBRARY),
        ("libssh", LIBRARY),
        ("ssh2 1.14", LIBRARY),
        ("ssh2 1.17", LIBRARY),
    ],
    check,
};

fn check(case: &Case) {
    let ran = case.run_with_input(&Ask::stdio(ECHO_PORT), b"hello\n");
    assert_eq!(ran.stdout, talk::WHOLE, "{ran:?}");
}

#[test]
fn every_client() {
    BEHAVIOUR.run();
}
