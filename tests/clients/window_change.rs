//! The terminal's size, at its start and when it changes.

use super::ask::Ask;
use super::behaviour::Behaviour;
use super::place::Case;
use super::terminal::on_terminal;

pub const BEHAVIOUR: Behaviour = Behaviour {
    title: "terminal size, and window-change",
    lacks: &[("libssh2", "The Python binding of libssh2 has no call for the size.")],
    check,
};

fn check(case: &Case) {
    let command = "stty size; trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.05; done";
    let screen = if case.client.wants_terminal() {
        let mut terminal = on_terminal(case, &Ask::terminal(command));
        terminal.shows("ready");
        terminal.resize(77, 22);
        terminal.ends().1
    } else {
        case.run(&Ask::terminal(command).with("resize", vec![77, 22])).stdout
    };
    assert!(screen.contains("31 101\r\n") && screen.contains("22 77\r\n"), "{screen:?}");
}

#[test]
fn every_client() {
    BEHAVIOUR.run();
}
