//! The terminal's modes, as the client encodes them (RFC 4254 section 8).

use serde_json::json;

use super::ask::Ask;
use super::behaviour::Behaviour;
use super::place::Case;
use super::terminal::shown;

pub const NO_MODES: &str = "The library's interface has no terminal modes.";

pub const BEHAVIOUR: Behaviour = Behaviour {
    title: "terminal modes (erase key, echo)",
    lacks: &[("paramiko", NO_MODES), ("libssh2", NO_MODES), ("libssh", NO_MODES)],
    check,
};

/// VERASE, IUTF8 and ECHO by number, for those who count, and by name.
fn modes(ask: Ask, echo: u8) -> Ask {
    ask.with("modes", json!({ "3": 8, "42": 1, "53": echo }))
        .with("named_modes", json!({ "VERASE": 8, "IUTF8": 1, "ECHO": echo }))
}

fn check(case: &Case) {
    let (status, screen) = shown(case, &modes(Ask::terminal("stty -a"), 1));
    assert_eq!(status, 0, "{screen}");
    for expected in ["erase = ^H", " echo ", " icanon "] {
        assert!(screen.replace("\r\n", " ").contains(expected), "{expected}: {screen}");
    }
    // npm ssh2 has no name for IUTF8 (RFC 8160).
    assert!(
        screen.contains("-iutf8") == case.client.name().starts_with("ssh2") || case.client.wants_terminal()
    );
    if !case.client.wants_terminal() {
        let (_, screen) = shown(case, &modes(Ask::terminal("stty -a"), 0));
        assert!(screen.contains(" -echo "), "{screen}");
    }
}

#[test]
fn every_client() {
    BEHAVIOUR.run();
}
