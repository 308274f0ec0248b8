//! `-R` of a Unix socket in the container to one here.

use super::ask::Ask;
use super::behaviour::Behaviour;
use super::place::Case;
use super::talk;
use super::unix_local::NO_UNIX;
use crate::common::{SOON, eventually};

pub const BEHAVIOUR: Behaviour = Behaviour {
    title: "`-R` of a Unix socket in the container",
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
    let (here, there) = (case.local("sock"), case.remote("sock"));
    talk::echo_at(&here);
    let _forward = case.start(&Ask::unix_remote(&there, &here));
    eventually("the container's socket answers", SOON, || {
        (case.place.look(&format!("python3 ~/talk.py {there} 2>&1")) == talk::WHOLE).then_some(())
    });
    assert_eq!(case.place.look(&format!("stat -c '%U %a' {there}")), "ada 600\n");
}

#[test]
fn every_client() {
    BEHAVIOUR.run();
}
