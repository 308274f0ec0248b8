//! A shell without a terminal, its script on standard input: how VS Code starts.

use super::ask::Ask;
use super::behaviour::Behaviour;
use super::place::Case;

pub const BEHAVIOUR: Behaviour =
    Behaviour { title: "shell without a terminal, fed with a script", lacks: &[], check };

fn check(case: &Case) {
    let script = b"echo shell-$((6*7)) $0; tty; exit 5\n";
    let ran = case.run_with_input(&Ask::shell(), script);
    assert!(ran.stdout == "shell-42 -bash\nnot a tty\n" && ran.status == 5, "{ran:?}");
    let ended = case.run_with_input(&Ask::shell(), b"echo until the end of input\n");
    assert!(ended.stdout == "until the end of input\n" && ended.status == 0, "{ended:?}");
}

#[test]
fn every_client() {
    BEHAVIOUR.run();
}
