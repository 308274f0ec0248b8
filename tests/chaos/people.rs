//! People who work: they reserve, carry bytes to and fro with their hashes checked, and give back.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::journal::{Journal, Outcome, Work};
use super::random::Random;
use super::world::{Client, World};
use crate::common::{Cluster, free_port, signal};

/// Of a transfer, in KiB.
const SIZES: [u64; 4] = [64, 512, 2048, 6144];

pub struct Person<'a> {
    pub user: &'static str,
    pub world: &'a World,
    pub client: Client,
    pub journal: &'a Journal,
    pub random: Random,
    pub over: &'a AtomicBool,
    pub held: Option<Held>,
}

/// What somebody knows of their reservation.
#[derive(Debug, Clone)]
pub struct Held {
    pub id: String,
    pub machine: String,
    pub deadline: jiff::Timestamp,
}

impl Person<'_> {
    pub fn live(mut self) {
        while !self.over.load(Ordering::Relaxed) {
            match self.held.clone() {
                None => self.reserve(),
                Some(held) => match self.random.below(10) {
                    0 => self.release(&held),
                    1..=3 => self.work("stream", &held, Self::stream),
                    4..=5 => self.work("slow stream", &held, Self::slow_stream),
                    6..=7 => self.work("sftp", &held, Self::sftp),
                    _ => self.work("forward", &held, Self::forward),
                },
            }
            let pause = if self.held.is_some() { 50 + self.random.below(300) } else { 500 };
            std::thread::sleep(Duration::from_millis(pause));
        }
    }

    fn reserve(&mut self) {
        let _changing = self.world.changes.read().unwrap();
        let target = *self.random.pick(&["", "", "gpu1", "gpu2", "gpu3", "gpu1/1", "gpu3/2"]);
        let ran = self.client.run(self.user, &format!("clusteria reserve {target} --json"));
        match serde_json::from_str::<serde_json::Value>(&ran.stdout) {
            Ok(facts) if ran.status == 0 => self.take(&facts, true),
            // Perhaps it came to a reservation whose answer was lost: look.
            _ => {
                self.journal.refused();
                self.look();
            }
        }
    }

    fn take(&mut self, facts: &serde_json::Value, fresh: bool) {
        let text = |field: &str| facts[field].as_str().unwrap().to_owned();
        let held = Held {
            id: text("id"),
            machine: text("slot").split('/').next().unwrap().to_owned(),
            deadline: text("deadline").parse().unwrap(),
        };
        self.journal.reserved(&held.id, fresh);
        self.held = Some(held);
    }

    /// What the gateway says of us.
    fn look(&mut self) {
        let ran = self.client.run(self.user, "clusteria status --json");
        let Ok(status) = serde_json::from_str::<serde_json::Value>(&ran.stdout) else { return };
        self.held = None;
        if status["reservation"]["state"] == "active" {
            self.take(&status["reservation"], false);
        }
    }

    fn release(&mut self, held: &Held) {
        let _changing = self.world.changes.read().unwrap();
        // Noted before: an answer that is lost is a release all the same.
        self.journal.releasing(&held.id);
        self.client.run(self.user, "clusteria release");
        self.held = None;
    }

    fn work(&mut self, kind: &'static str, held: &Held, carry: fn(&mut Self, u64) -> Outcome) {
        let began = Instant::now();
        let size = *self.random.pick(&SIZES) * 1024;
        let outcome = carry(self, size);
        let cut = matches!(outcome, Outcome::Cut(_));
        let work = Work { user: self.user, kind, held: held.clone(), began, ended: Instant::now(), outcome };
        self.journal.worked(work);
        if cut {
            let _changing = self.world.changes.read().unwrap();
            self.look();
        }
    }

    fn bytes(&mut self, size: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap());
        while (bytes.len() as u64) < size {
            bytes.extend(self.random.next().to_le_bytes());
        }
        bytes
    }

    fn ssh(&self, words: &str, input: &[u8]) -> crate::common::Ran {
        let mut ssh = self.client.command("ssh", "-p", self.user);
        crate::common::run(ssh.arg(Cluster::host(self.user)).arg(words), input)
    }

    /// Through `cat` and back.
    fn stream(&mut self, size: u64) -> Outcome {
        let sent = self.bytes(size);
        let ran = self.ssh("cat", &sent);
        judge(&sent, &ran.bytes, ran.status, &ran.stderr)
    }

    /// The same, in portions that take their time: something happens meanwhile.
    fn slow_stream(&mut self, size: u64) -> Outcome {
        let sent = self.bytes(size);
        let part = size.div_ceil(16);
        let words = format!(
            "cat > /tmp/slow; for n in $(seq 0 15); do tail -c +$((n * {part} + 1)) /tmp/slow | head -c {part}; sleep 0.25; done"
        );
        let ran = self.ssh(&words, &sent);
        judge(&sent, &ran.bytes, ran.status, &ran.stderr)
    }

    /// There and back as files.
    fn sftp(&mut self, size: u64) -> Outcome {
        let sent = self.bytes(size);
        let (up, down) = (self.file("up"), self.file("down"));
        std::fs::write(&up, &sent).unwrap();
        let _ = std::fs::remove_file(&down);
        let batch = format!("put {up} /tmp/file\nget /tmp/file {down}\n");
        let mut sftp = self.client.command("sftp", "-P", self.user);
        let ran =
            crate::common::run(sftp.args(["-q", "-b", "-"]).arg(Cluster::host(self.user)), batch.as_bytes());
        let got = std::fs::read(&down).unwrap_or_default();
        judge(&sent, &got, ran.status, &ran.stderr)
    }

    fn file(&self, name: &str) -> String {
        self.client.folder.join(format!("{}.{name}", self.user)).display().to_string()
    }

    /// Through `-L` to a server in the container that says everything again.
    fn forward(&mut self, size: u64) -> Outcome {
        let sent = self.bytes(size);
        let local = free_port();
        let server = "import socket,sys\ns=socket.create_server(('127.0.0.1',0))\nprint(s.getsockname()[1],flush=True)\nc=s.accept()[0]\nwhile True:\n  d=c.recv(65536)\n  if not d: break\n  c.sendall(d)\n";
        let mut ssh = self.client.command("ssh", "-p", self.user);
        ssh.arg(Cluster::host(self.user)).arg(format!("exec python3 -c \"{server}\""));
        ssh.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut serving = ssh.spawn().unwrap();
        let port = first_line(serving.stdout.as_mut().unwrap());
        let outcome = match port.trim().parse::<u16>() {
            Ok(port) => self.through(local, port, &sent),
            Err(_) => Outcome::Cut("no server".into()),
        };
        end(serving);
        outcome
    }

    fn through(&self, local: u16, port: u16, sent: &[u8]) -> Outcome {
        let mut ssh = self.client.command("ssh", "-p", self.user);
        ssh.args(["-N", "-o", "ExitOnForwardFailure=yes", "-L", &format!("{local}:127.0.0.1:{port}")]);
        let mut forward = ssh.arg(Cluster::host(self.user)).stderr(Stdio::null()).spawn().unwrap();
        let limit = Instant::now() + Duration::from_secs(30);
        let got = loop {
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", local)) {
                break echo(&stream, sent);
            }
            if forward.try_wait().unwrap().is_some() || Instant::now() > limit {
                break Vec::new();
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        end(forward);
        judge(sent, &got, i32::from(got.len() < sent.len()), "the forward ended")
    }
}

/// By SIGTERM to `timeout`, which passes it on.
fn end(mut child: Child) {
    if child.try_wait().unwrap().is_none() {
        signal(child.id(), "TERM");
    }
    child.wait().unwrap();
}

fn first_line(from: &mut impl Read) -> String {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while matches!(from.read(&mut byte), Ok(1)) && byte != *b"\n" {
        line.extend(byte);
    }
    String::from_utf8_lossy(&line).into_owned()
}

fn echo(stream: &TcpStream, sent: &[u8]) -> Vec<u8> {
    let limit = Some(Duration::from_secs(30));
    stream.set_read_timeout(limit).unwrap();
    stream.set_write_timeout(limit).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut to = stream;
            let _ = to.write_all(sent);
            let _ = stream.shutdown(std::net::Shutdown::Write);
        });
        let mut got = Vec::new();
        let mut from = stream;
        let _ = from.read_to_end(&mut got);
        got
    })
}

/// What arrived must be what was sent, or its beginning where it was cut. OpenSSH's client whose connection breaks keeps the
/// status it has heard and drops what it has not written yet, beside any server: its complaint is what tells then.
fn judge(sent: &[u8], got: &[u8], status: i32, why: &str) -> Outcome {
    if !sent.starts_with(got) {
        return Outcome::Wrong(format!("{} of {} bytes, and they differ", got.len(), sent.len()));
    }
    let broke = ["closed by remote host", "Read from remote host"].iter().any(|words| why.contains(words));
    match (status, got.len() == sent.len()) {
        (0, true) => Outcome::Intact(2 * sent.len() as u64),
        (0, false) if broke => Outcome::Cut(why.trim().to_owned()),
        (0, false) => Outcome::Wrong(format!("{} of {} bytes and success", got.len(), sent.len())),
        _ => Outcome::Cut(format!("status {status}: {}", why.trim())),
    }
}
