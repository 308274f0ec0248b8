//! A stand-in for tailscaled's LocalAPI: `whois` over HTTP on a Unix socket, as its documentation has it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub struct Tailscaled {
    silent: Arc<AtomicBool>,
    socket: std::path::PathBuf,
}

/// Peers by address: login, and the rest of the node.
const PEERS: [(&str, &str, &str); 6] = [
    ("127.9.0.1", "ada@lab.test", ""),
    ("127.9.0.2", "bob@elsewhere.test", ""),
    ("127.9.0.3", "ada@lab.test", r#","Tags":["tag:ci"]"#),
    ("127.9.0.4", "ada@lab.test", r#","Hostinfo":{"ShareeNode":true}"#),
    ("127.9.0.5", "off@lab.test", ""),
    ("127.9.0.6", "new@lab.test", ""),
];

impl Tailscaled {
    pub fn start(socket: &Path) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let silent = Arc::new(AtomicBool::new(false));
        let is_silent = silent.clone();
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming().flatten() {
                if is_silent.load(Ordering::Relaxed) {
                    held.push(stream);
                } else {
                    std::thread::spawn(move || answer(&stream));
                }
            }
        });
        Self { silent, socket: socket.to_owned() }
    }

    /// Accepts and says nothing any more.
    pub fn be_silent(&self) {
        self.silent.store(true, Ordering::Relaxed);
    }

    pub fn vanish(&self) {
        std::fs::remove_file(&self.socket).unwrap();
    }
}

fn answer(mut stream: &UnixStream) {
    let mut head = String::new();
    let mut reader = BufReader::new(stream);
    while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
    let is_ours = head.contains("Host: local-tailscaled.sock\r\n");
    let peer =
        PEERS.iter().find(|(address, ..)| head.contains(&format!("/localapi/v0/whois?addr={address}:")));
    let (status, body) = match (is_ours, peer) {
        (false, _) => ("403 Forbidden", "invalid localapi request\n".to_owned()),
        (true, None) => ("404 Not Found", "no match for IP:port\n".to_owned()),
        (true, Some((_, login, node))) => (
            "200 OK",
            format!(
                r#"{{"Node":{{"ID":1,"Name":"x.tail.test.","ComputedName":"x"{node}}},"UserProfile":{{"ID":1,"LoginName":"{login}"}},"CapMap":null}}"#
            ),
        ),
    };
    let _ = write!(stream, "HTTP/1.0 {status}\r\nContent-Type: application/json\r\n\r\n{body}");
}
