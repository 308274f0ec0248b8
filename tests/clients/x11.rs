//! X11: a program in the container reaches the client's display, with a cookie of its own.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use super::ask::Ask;
use super::behaviour::Behaviour;
use super::place::{Case, LIMIT};
use super::program::run_within;
use crate::common::SOON;

pub const NO_X11: &str =
    "The client does not know X11 forwarding (libssh's binding cannot accept its channels).";

pub const BEHAVIOUR: Behaviour = Behaviour {
    title: "X11 forwarding",
    lacks: &[("dbclient", NO_X11), ("libssh2", NO_X11), ("libssh", NO_X11)],
    check,
};

/// Connects as Xlib does: with the cookie that `~/.Xauthority` has for the display, read without xauth's help.
const PROGRAM: &str = "import os,socket,struct
d=os.environ['DISPLAY']; n=d.rsplit(':',1)[1].split('.')[0]
b=open(os.environ.get('XAUTHORITY',os.path.expanduser('~/.Xauthority')),'rb').read(); c=None
while b:
    b=b[2:]; f=[]
    for _ in range(4):
        l,=struct.unpack('>H',b[:2]); f.append(b[2:2+l]); b=b[2+l:]
    if f[1]==n.encode(): c=f[3]
s=socket.create_connection(('127.0.0.1',6000+int(n)))
s.sendall(struct.pack('<BxHHHHxx',0x6c,11,0,18,16)+b'MIT-MAGIC-COOKIE-1'+bytes(2)+c)
print(d,s.recv(100))";

fn check(case: &Case) {
    let display = 200 + case.there.rsplit('-').next().unwrap().parse::<u32>().unwrap();
    let (tell, told) = mpsc::channel();
    let path = format!("/tmp/.X11-unix/X{display}");
    let _ = std::fs::create_dir("/tmp/.X11-unix");
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        if let Ok((mut stream, _)) = listener.accept() {
            let mut first = [0; 48];
            let _ = stream.read_exact(&mut first);
            let _ = tell.send(first.to_vec());
            let _ = stream.write_all(b"server");
        }
    });
    let authority = case.local("authority");
    let cookie = "0123456789abcdef0123456789abcdef";
    let made = Command::new("xauth")
        .args(["-f", &authority, "add", &format!(":{display}"), ".", cookie])
        .output()
        .unwrap();
    assert!(made.status.success());
    let ask = Ask::exec(&format!("python3 -c \"{PROGRAM}\""))
        .with("x11", true)
        .with("display", display)
        .with("cookie", cookie);
    let mut command = case.command(&ask);
    let ran = run_within(LIMIT, command.env("XAUTHORITY", &authority), b"");
    let _ = std::fs::remove_file(&path);
    let first = told.recv_timeout(SOON).unwrap_or_else(|_| panic!("nobody came to the display: {ran:?}"));
    assert!(first.starts_with(b"l\0"), "{first:?}");
    assert!(ran.stdout.contains("b'server'"), "{ran:?}");
}

#[test]
fn every_client() {
    BEHAVIOUR.run();
}
