//! The client's own keepalives are answered: an idle session lives on.

use super::ask::Ask;
use super::behaviour::Behaviour;
use super::place::Case;

const NO_KEEPALIVE: &str = "The client's keepalives (plink's are ignore messages) cannot be set here.";

pub const BEHAVIOUR: Behaviour = Behaviour {
    title: "the client's keepalives are answered",
    lacks: &[("PuTTY", NO_KEEPALIVE), ("libssh2", NO_KEEPALIVE), ("libssh", NO_KEEPALIVE)],
    check,
};

/// Every second, and without an answer the client would leave: after three for most.
fn check(case: &Case) {
    let ran = case.run(&Ask::exec("sleep 4; echo still here").with("keepalive", 1));
    assert!(ran.stdout == "still here\n" && ran.status == 0, "{ran:?}");
}

#[test]
fn every_client() {
    BEHAVIOUR.run();
}
