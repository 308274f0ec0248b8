//! `-J`: through us to another SSH server, here an sshd in the container.

use super::ask::Ask;
use super::behaviour::Behaviour;
use super::place::Case;

const LIBRARY: &str = "A program on top makes the jump, over the channels of `-L`.";

pub const BEHAVIOUR: Behaviour = Behaviour {
    title: "`-J` through us to a server in the container",
    lacks: &[
        ("PuTTY", "plink takes another plink as its proxy, with the channel of `-nc`."),
        ("paramiko", LIBRARY),
        ("libssh2", LIBRARY),
        ("libssh", LIBRARY),
    ],
    check,
};

fn check(case: &Case) {
    let port = case.place.inner_sshd();
    let ran = case.run(&Ask::jump(port, "echo inside; echo $SSH_CONNECTION; exit 4"));
    assert!(ran.stdout.starts_with("inside\n127.0.0.1 ") && ran.status == 4, "{ran:?}");
    assert!(ran.stdout.trim_end().ends_with(&format!("127.0.0.1 {port}")), "{ran:?}");
}

#[test]
fn every_client() {
    BEHAVIOUR.run();
}
