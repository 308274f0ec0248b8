//! `-D`: SOCKS, as VS Code's tunnel uses it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use super::ask::Ask;
use super::behaviour::Behaviour;
use super::place::{Case, ECHO_PORT};
use super::talk;
use crate::common::{SOON, eventually, free_port};

pub const NO_SOCKS: &str = "No SOCKS in it: a program on top brings its own, over the channels of `-L`.";

pub const BEHAVIOUR: Behaviour = Behaviour {
    title: "`-D` (SOCKS)",
    lacks: &[
        ("dbclient", NO_SOCKS),
        ("paramiko", NO_SOCKS),
        ("libssh2", NO_SOCKS),
        ("libssh", NO_SOCKS),
        ("ssh2 1.14", NO_SOCKS),
        ("ssh2 1.17", NO_SOCKS),
    ],
    check,
};

/// SOCKS5 without a password (RFC 1928), to a name.
pub fn through(socks: u16, port: u16) -> TcpStream {
    let mut stream = eventually("SOCKS listens", SOON, || TcpStream::connect(("127.0.0.1", socks)).ok());
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(&[5, 1, 0]).unwrap();
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen).unwrap();
    assert_eq!(chosen, [5, 0]);
    let mut wanted = vec![5, 1, 0, 3, 9];
    wanted.extend_from_slice(b"localhost");
    wanted.extend_from_slice(&port.to_be_bytes());
    stream.write_all(&wanted).unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer[..2], [5, 0], "connected");
    let rest = match answer[3] {
        1 => 6,
        4 => 18,
        _ => {
            let mut length = [0];
            stream.read_exact(&mut length).unwrap();
            usize::from(length[0]) + 2
        }
    };
    stream.read_exact(&mut vec![0; rest]).unwrap();
    stream
}

fn check(case: &Case) {
    let socks = free_port();
    let _forward = case.start(&Ask::socks(socks));
    for _ in 0..3 {
        let mut stream = through(socks, ECHO_PORT);
        assert_eq!(talk::talk(&mut stream, |s| s.shutdown(Shutdown::Write).unwrap()), talk::WHOLE);
    }
}

#[test]
fn every_client() {
    BEHAVIOUR.run();
}
