//! Agent forwarding: the keys of the client's ssh-agent are seen in the container, and no longer than needed.

use std::process::Command;

use super::ask::Ask;
use super::behaviour::Behaviour;
use super::place::Case;
use super::program::Running;
use crate::common::{SOON, eventually};

pub const BEHAVIOUR: Behaviour = Behaviour {
    title: "agent forwarding; its socket is gone at the end",
    lacks: &[
        ("libssh2", "The Python binding of libssh2 asks for it, but cannot answer the channels."),
        ("libssh", "The Python binding of libssh asks for it, but cannot answer the channels."),
    ],
    check,
};

/// An ssh-agent with a key.
pub fn agent(case: &Case) -> (Running, String) {
    let socket = case.local("agent");
    let agent = Running::start(Command::new("ssh-agent").args(["-D", "-a", &socket]));
    // Its socket has a name before anybody listens.
    eventually("the agent listens", SOON, || std::os::unix::net::UnixStream::connect(&socket).ok());
    let key = case.place.cluster.path("ada.key");
    let added = Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &socket).output().unwrap();
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    (agent, socket)
}

/// Asks the agent for its keys (draft-miller-ssh-agent), in Python, for an image without ssh-add.
const KEYS: &str = "import os,socket,struct
s=socket.socket(socket.AF_UNIX); s.connect(os.environ['SSH_AUTH_SOCK'])
s.sendall(struct.pack('>IB',1,11)); n,=struct.unpack('>I',s.recv(4)); d=b''
while len(d)<n: d+=s.recv(n)
print('keys',struct.unpack('>I',d[1:5])[0])";

fn check(case: &Case) {
    let (_agent, socket) = agent(case);
    let script = format!("echo $SSH_AUTH_SOCK; stat -c '%U %a' $SSH_AUTH_SOCK; python3 -c \"{KEYS}\"");
    let mut command = case.command(&Ask::exec(&script).with("agent", true));
    let ran = super::program::run_within(super::place::LIMIT, command.env("SSH_AUTH_SOCK", &socket), b"");
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert!(lines.len() == 3 && lines[1].starts_with("ada ") && lines[2] == "keys 1", "{ran:?}");
    eventually("the socket is gone", SOON, || {
        case.place
            .look(&format!("ls -d {} {} 2>&1", lines[0], parent(lines[0])))
            .matches("No such")
            .nth(1)
            .map(|_| ())
    });
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').unwrap().0
}

#[test]
fn every_client() {
    BEHAVIOUR.run();
}
