//! A command on a terminal.

use std::process::Command;

use super::ask::Ask;
use super::behaviour::Behaviour;
use super::exec::after_signal;
use super::place::Case;
use super::program::OnTerminal;

pub const BEHAVIOUR: Behaviour =
    Behaviour { title: "terminal: a tty, its owner, keys, exit status", lacks: &[], check };

/// Starts a client on a terminal of ours, 101 by 31, where that is what it wants.
pub fn on_terminal(case: &Case, ask: &Ask) -> OnTerminal {
    let command = case.command(ask);
    let mut wrapped = Command::new("sh");
    wrapped
        .args(["-c", "stty erase ^H; exec \"$@\"", "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    OnTerminal::start(&mut wrapped, 101, 31)
}

/// What a command on a terminal shows in the end, whoever's terminal it is, and its status.
pub fn shown(case: &Case, ask: &Ask) -> (i32, String) {
    if case.client.wants_terminal() {
        on_terminal(case, ask).ends()
    } else {
        let ran = case.run(ask);
        (ran.status, ran.stdout + &ran.stderr)
    }
}

fn check(case: &Case) {
    let command = "tty; echo term=$TERM tty=$SSH_TTY; stat -c %U:%a $(tty); printf 'out\\n' >&2; exit 6";
    let (status, screen) = shown(case, &Ask::terminal(command));
    assert!(screen.contains("/dev/pts/") && screen.contains("tty=/dev/pts/"), "{screen:?}");
    assert!(screen.contains("ada:620\r\n"), "{screen:?}");
    assert!(screen.contains("out\r\n"), "a terminal turns line feeds into new lines: {screen:?}");
    assert_eq!(status, 6, "{screen:?}");
    assert!(screen.contains("term=vt220") || case.client.name() == "PuTTY", "{screen:?}");
    if case.client.wants_terminal() {
        let mut keys =
            on_terminal(case, &Ask::terminal("echo ready; read line; echo \"<$line>\"; cat; echo over"));
        keys.shows("ready");
        keys.types("worxX\x08\x08ds\r");
        keys.shows("<words>");
        keys.types("\x04");
        keys.shows("over");
        assert_eq!(keys.ends().0, 0);
        let mut interrupted = on_terminal(case, &Ask::terminal("echo ready; sleep 600; echo never"));
        interrupted.shows("ready");
        interrupted.types("\x03");
        let (status, screen) = interrupted.ends();
        assert!(
            [after_signal(case), 130].contains(&status) && !screen.contains("never"),
            "{status} {screen}"
        );
    }
}

#[test]
fn every_client() {
    BEHAVIOUR.run();
}
