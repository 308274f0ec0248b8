//! Passwords, both ways of asking; without a terminal OpenSSH asks its askpass program, as under an editor.

use super::ask::Ask;
use super::behaviour::Behaviour;
use super::place::Case;

pub const PASSWORD: Behaviour =
    Behaviour { title: "login with a password", lacks: &[], check: check_password };

const ONE_WAY: &str = "The client chooses the way by itself and takes `password` here.";

pub const INTERACTIVE: Behaviour = Behaviour {
    title: "login by keyboard-interactive",
    lacks: &[
        ("dbclient", ONE_WAY),
        ("PuTTY", ONE_WAY),
        ("libssh", "The Python binding of libssh cannot carry the dialogue."),
    ],
    check: check_interactive,
};

fn ask() -> Ask {
    Ask::exec("id -un").with("password", "pw-ada")
}

fn check_password(case: &Case) {
    let ran = case.run(&ask());
    assert!(ran.stdout == "ada\n" && ran.status == 0, "{ran:?}");
}

fn check_interactive(case: &Case) {
    let ran = case.run(&ask().with("interactive", true));
    assert!(ran.stdout == "ada\n" && ran.status == 0, "{ran:?}");
}

#[test]
fn every_client_by_password() {
    PASSWORD.run();
}

#[test]
fn every_client_by_keyboard_interactive() {
    INTERACTIVE.run();
}
