//! Both ends of a conversation through a forward: hello, hello, end of ours, bye, end of theirs.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

use crate::common::{SOON, eventually};

pub const WHOLE: &str = "hello\nbye\n";

/// Talks through a local port, once something listens there.
#[track_caller]
pub fn to_port(port: u16) -> String {
    let mut stream = eventually("the forward listens", SOON, || TcpStream::connect(("127.0.0.1", port)).ok());
    stream.set_read_timeout(Some(SOON)).unwrap();
    talk(&mut stream, |s| s.shutdown(Shutdown::Write).unwrap())
}

#[track_caller]
pub fn to_path(path: &str) -> String {
    let mut stream = eventually("the forward listens", SOON, || UnixStream::connect(path).ok());
    stream.set_read_timeout(Some(SOON)).unwrap();
    talk(&mut stream, |s| s.shutdown(Shutdown::Write).unwrap())
}

pub fn talk<S: Read + Write>(stream: &mut S, end: impl Fn(&S)) -> String {
    stream.write_all(b"hello\n").unwrap();
    let mut first = [0; 6];
    stream.read_exact(&mut first).unwrap();
    end(stream);
    let mut rest = String::from_utf8(first.to_vec()).unwrap();
    stream.read_to_string(&mut rest).unwrap();
    rest
}

/// An echo on our side, on a port of its own, for as long as the test runs.
pub fn echo_here() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || echo(stream));
        }
    });
    port
}

pub fn echo_at(path: &str) {
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || echo(stream));
        }
    });
}

fn echo(mut stream: impl Read + Write) {
    let mut buffer = [0; 65536];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) if stream.write_all(&buffer[..count]).is_ok() => {}
            Err(e) if e.kind() == ErrorKind::Interrupted => thread::sleep(Duration::ZERO),
            _ => return,
        }
    }
    let _ = stream.write_all(b"bye\n");
}
