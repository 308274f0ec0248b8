//! `-R`: a port in the container to a local one; a port that the server chooses; and the end of it.

use std::io::Write;

use super::ask::Ask;
use super::behaviour::Behaviour;
use super::place::Case;
use super::program::Running;
use super::talk;
use crate::common::{SOON, eventually};

const NO_REMOTE: &str = "The Python binding of libssh hands accepted channels over without their port.";

pub const FIXED: Behaviour = Behaviour {
    title: "`-R` of a port, gone when cancelled or at the end",
    lacks: &[("libssh", NO_REMOTE)],
    check: check_fixed,
};

const NO_ZERO: &str = "The client cannot ask for port 0.";

pub const CHOSEN: Behaviour = Behaviour {
    title: "`-R 0`: a port that the server chooses",
    lacks: &[("dbclient", NO_ZERO), ("PuTTY", NO_ZERO), ("libssh", NO_REMOTE)],
    check: check_chosen,
};

fn talk_there(case: &Case, port: u16) -> String {
    case.place.look(&format!("python3 ~/talk.py {port} 2>&1"))
}

fn listens_there(case: &Case, port: u16) -> bool {
    talk_there(case, port) == talk::WHOLE
}

/// A port for each client, below those the kernel gives away.
fn port_for(case: &Case) -> u16 {
    let number: u16 = case.there.rsplit('-').next().unwrap().parse().unwrap();
    20_000 + number
}

fn check_fixed(case: &Case) {
    let port = port_for(case);
    let mut forward = case.start(&Ask::remote(port, talk::echo_here()));
    eventually("the container's port answers", SOON, || listens_there(case, port).then_some(()));
    assert_eq!(talk_there(case, port), talk::WHOLE);
    let can_cancel = !["OpenSSH", "dbclient", "PuTTY", "libssh2"].contains(&case.client.name());
    if can_cancel {
        forward.write(b"cancel\n");
        forward.shows("cancelled");
    } else {
        forward.kill();
    }
    gone(case, port);
}

fn gone(case: &Case, port: u16) {
    eventually("the port is gone", SOON, || talk_there(case, port).contains("refused").then_some(()));
}

fn check_chosen(case: &Case) {
    let mut forward = case.start(&Ask::remote(0, talk::echo_here()));
    let port = chosen_port(&mut forward);
    assert!(port > 1023);
    assert_eq!(talk_there(case, port), talk::WHOLE, "{}", forward.stderr());
    forward.kill();
    gone(case, port);
}

/// `port N`, or OpenSSH's `Allocated port N for remote forward to …`.
fn chosen_port(forward: &mut Running) -> u16 {
    let _ = std::io::stdout().flush();
    let said = eventually("the port is told", SOON, || {
        let said = format!("{}{}", forward.stdout(), forward.stderr());
        said.contains("port ").then_some(said)
    });
    let number: String =
        said.split("port ").nth(1).unwrap().chars().take_while(char::is_ascii_digit).collect();
    number.parse().unwrap_or_else(|_| panic!("{said}"))
}

#[test]
fn every_client_with_a_fixed_port() {
    FIXED.run();
}

#[test]
fn every_client_with_a_chosen_port() {
    CHOSEN.run();
}
