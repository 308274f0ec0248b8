//! `-L`: a local port to one in the container, half-closed each way, and one where nobody listens.

use std::io::Read;
use std::net::TcpStream;

use super::ask::Ask;
use super::behaviour::Behaviour;
use super::place::{Case, ECHO_PORT};
use super::talk;
use crate::common::{SOON, eventually, free_port};

pub const BEHAVIOUR: Behaviour = Behaviour { title: "`-L` to a port", lacks: &[], check };

fn check(case: &Case) {
    let local = free_port();
    let forward = case.start(&Ask::local(local, ECHO_PORT));
    for _ in 0..3 {
        assert_eq!(talk::to_port(local), talk::WHOLE, "{}", forward.stderr());
    }
    drop(forward);
    let nowhere = free_port();
    let _forward = case.start(&Ask::local(nowhere, 1));
    let mut stream =
        eventually("the forward listens", SOON, || TcpStream::connect(("127.0.0.1", nowhere)).ok());
    stream.set_read_timeout(Some(SOON)).unwrap();
    let ended = stream.read(&mut [0; 1]);
    assert!(matches!(&ended, Ok(0)) || ended.is_err_and(|e| e.kind() != std::io::ErrorKind::WouldBlock));
}

#[test]
fn every_client() {
    BEHAVIOUR.run();
}
