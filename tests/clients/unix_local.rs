//! `-L` to a Unix socket in the container: how some editor servers listen.

use super::ask::Ask;
use super::behaviour::Behaviour;
use super::place::{Case, ECHO_SOCKET};
use super::talk;

pub const NO_UNIX: &str = "The client does not know forwards of Unix sockets.";

pub const BEHAVIOUR: Behaviour = Behaviour {
    title: "`-L` to a Unix socket in the container",
    lacks: &[
        ("dbclient", NO_UNIX),
        ("PuTTY", NO_UNIX),
        ("paramiko", NO_UNIX),
        ("libssh2", NO_UNIX),
        ("libssh", NO_UNIX),
    ],
    check,
};

fn check(case: &Case) {
    let here = case.local("sock");
    let _forward = case.start(&Ask::unix_local(&here, ECHO_SOCKET));
    for _ in 0..3 {
        assert_eq!(talk::to_path(&here), talk::WHOLE);
    }
}

#[test]
fn every_client() {
    BEHAVIOUR.run();
}
