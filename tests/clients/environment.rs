//! Variables that the client sends: the harmless ones arrive, the others do not.

use super::ask::Ask;
use super::behaviour::Behaviour;
use super::place::Case;

pub const NO_ENV: &str = "The client has no way to send variables from its command line.";

pub const BEHAVIOUR: Behaviour = Behaviour {
    title: "environment variables (`SendEnv`)",
    lacks: &[("dbclient", NO_ENV), ("PuTTY", NO_ENV)],
    check,
};

fn check(case: &Case) {
    let words = "lettres accentuées, 'quotes' $HOME";
    let ran = case.run(&Ask::exec("printf %s \"$LC_TEST\"").env("LC_TEST", words));
    assert_eq!(ran.stdout, words, "{ran:?}");
    let path = case.run(&Ask::exec("printf %s \"$LD_LIBRARY_PATH\"").env("LD_LIBRARY_PATH", "/tmp"));
    // Clients that wait for the answer may give up over a refusal, as they do with sshd.
    assert!(path.stdout.is_empty(), "{path:?}");
}

#[test]
fn every_client() {
    BEHAVIOUR.run();
}
