use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;

use rustls::pki_types::ServerName;

use super::super::descriptors;
use super::super::lanes::{self, MAIN, Parser, Piece, TALK, WINDOW};
use super::super::pins::{OwnKey, SEED};
use super::super::protocol::Reply;
use super::super::secure::{self, Opened, Session};
use super::Relay;

/// A gateway's end of a connection to a relay, and what it relays to: the agent's end of the conversation.
struct Gateway {
    session: Session,
    socket: TcpStream,
    parser: Parser,
}

fn relayed() -> (Gateway, UnixStream, thread::JoinHandle<()>) {
    let [one, other] = [1, 2].map(|seed| OwnKey::from_seed(&[seed; SEED]).unwrap());
    let server_config = Arc::new(other.server(one.public()).unwrap());
    let client_config = Arc::new(one.client(other.public()).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut accepted, _) = listener.accept().unwrap();
    let mut server = secure::server(server_config).unwrap();
    let mut client = secure::client(client_config, ServerName::try_from("127.0.0.1").unwrap()).unwrap();
    let theirs = thread::spawn(move || {
        while !server.advance().unwrap() {
            accepted.write_all(&server.take_outgoing()).unwrap();
            let mut heard = [0; 4096];
            let length = accepted.read(&mut heard).unwrap();
            server.incoming().extend_from_slice(&heard[..length]);
        }
        (server.finish().unwrap(), accepted)
    });
    loop {
        let is_done = client.advance().unwrap();
        socket.write_all(&client.take_outgoing()).unwrap();
        if is_done {
            break;
        }
        let mut heard = [0; 4096];
        let length = socket.read(&mut heard).unwrap();
        client.incoming().extend_from_slice(&heard[..length]);
    }
    let (theirs, accepted) = theirs.join().unwrap();
    let (agent, talk) = UnixStream::pair().unwrap();
    let relay = Relay::new(theirs, accepted, talk).unwrap();
    let gateway = Gateway { session: client.finish().unwrap(), socket, parser: Parser::default() };
    (gateway, agent, thread::spawn(move || relay.run()))
}

impl Gateway {
    fn say(&mut self, lane: u8, bytes: &[u8]) -> std::io::Result<()> {
        self.session.seal([lanes::data(lane, bytes.len()).as_slice(), bytes]).unwrap();
        let said = self.socket.write_all(self.session.outgoing());
        self.session.sent(self.session.outgoing().len());
        said
    }

    /// What is said on lane 1, until its end, by who goes on speaking after each piece.
    fn hear_main_while_speaking(&mut self) -> Vec<u8> {
        let mut main = Vec::new();
        loop {
            while let Some(Opened::Data(mut data)) = self.session.open().unwrap() {
                while let Some(piece) = self.parser.next(&mut data).unwrap() {
                    match piece {
                        Piece::Data(MAIN, bytes) => main.extend_from_slice(bytes),
                        Piece::End(MAIN) => return main,
                        _ => {}
                    }
                }
            }
            let mut heard = vec![0; 16 * 1024];
            let length = self.socket.read(&mut heard).unwrap();
            assert!(length > 0, "it ends after {} bytes", main.len());
            self.session.incoming(length).extend_from_slice(&heard[..length]);
            // Nobody may be there to take it any more.
            let _ = self.say(TALK, &[0; 1024]);
        }
    }
}

/// A service that answers at once and goes, while its client is still speaking.
#[test]
fn an_answer_is_heard_whole_by_who_is_still_speaking() {
    const ANSWER: usize = 8 << 20;
    let (mut gateway, agent, relay) = relayed();
    let (mut service, passed) = UnixStream::pair().unwrap();
    descriptors::send(&agent, &Reply::Connected, &[passed.as_fd()]).unwrap();
    drop((passed, agent));
    let serving = thread::spawn(move || {
        // It hears nothing: what is said to it fails from the moment it has gone.
        service.shutdown(std::net::Shutdown::Read).unwrap();
        service.write_all(&vec![7; ANSWER]).unwrap();
    });
    gateway.say(MAIN, b"?").unwrap();
    let heard = gateway.hear_main_while_speaking();
    assert!(heard.len() == ANSWER && heard.iter().all(|byte| *byte == 7));
    drop(gateway);
    serving.join().unwrap();
    relay.join().unwrap();
}

/// A terminal that nobody has open takes some and no more, and poll(2) says so for ever: the rest is let go.
#[test]
fn what_is_typed_into_a_terminal_that_nobody_has_open_is_let_go() {
    let (mut gateway, agent, relay) = relayed();
    let pty = nix::pty::openpty(None, None).unwrap();
    descriptors::send(&agent, &Reply::Connected, &[pty.master.as_fd()]).unwrap();
    drop((pty.slave, pty.master));
    // The terminal is there: what was read from it has ended.
    assert_eq!(gateway.hear_main_while_speaking(), b"");
    for _ in 0..16 {
        gateway.say(MAIN, &[b'x'; WINDOW / 16]).unwrap();
    }
    // Credit comes back for all but what is too little to give back.
    let mut credit = 0;
    while credit <= 3 * WINDOW / 4 {
        while let Some(Opened::Data(mut data)) = gateway.session.open().unwrap() {
            while let Some(piece) = gateway.parser.next(&mut data).unwrap() {
                if let Piece::Credit(more) = piece {
                    credit += more;
                }
            }
        }
        if credit <= 3 * WINDOW / 4 {
            let mut heard = [0; 4096];
            let length = gateway.socket.read(&mut heard).unwrap();
            assert!(length > 0);
            gateway.session.incoming(length).extend_from_slice(&heard[..length]);
        }
    }
    drop((agent, gateway));
    relay.join().unwrap();
}

#[test]
fn what_the_gateway_says_reaches_the_conversation() {
    let (mut gateway, mut agent, relay) = relayed();
    gateway.say(TALK, b"a request").unwrap();
    let mut heard = [0; 9];
    agent.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"a request");
    drop(agent);
    drop(gateway);
    relay.join().unwrap();
}
