//! Clients that mean harm. Whatever they do, the gateway's memory stays where it was, its log stays short, and
//! somebody else's session echoes as before. tests/wire/attacks.py has the attacks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use common::raw::{passes, script};
use common::{Cluster, Plan, docker};

/// What the gateway may keep after any attack: allocators do not give everything back.
const MEMORY: u64 = 48 << 20;
/// A line of a bystander's session comes back within this, under attack: a person would hardly notice.
const ECHO: Duration = Duration::from_secs(2);

/// Somebody who works meanwhile: a session whose lines come back.
struct Bystander {
    ssh: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    worst: Duration,
}

impl Bystander {
    fn of(cluster: &Cluster, user: &str) -> Self {
        let mut command = cluster.ssh(user).command("cat");
        let mut ssh = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (ssh.stdin.take().unwrap(), BufReader::new(ssh.stdout.take().unwrap()));
        let mut bystander = Self { ssh, input, output, worst: Duration::ZERO };
        bystander.echoes();
        bystander.worst = Duration::ZERO;
        bystander
    }

    #[track_caller]
    fn echoes(&mut self) {
        let began = Instant::now();
        self.input.write_all(b"line\n").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert_eq!(line, "line\n");
        self.worst = self.worst.max(began.elapsed());
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.ssh.kill();
        let _ = self.ssh.wait();
    }
}

fn memory(cluster: &Cluster) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", cluster.gateway_pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// The attacked cluster, and who else is on it.
struct Siege {
    cluster: Cluster,
    bystander: Bystander,
}

impl Siege {
    fn of(ssh: &'static str) -> Self {
        Self::on(Cluster::start(Plan { ssh, ..Plan::default() }))
    }

    fn on(cluster: Cluster) -> Self {
        cluster.ssh("bob").run("clusteria reserve gpu1/2").success();
        let bystander = Bystander::of(&cluster, "bob");
        Self { cluster, bystander }
    }

    /// One attack, which must end well: within `extra` more memory at its worst, and few words in the log.
    #[track_caller]
    fn stands(&mut self, attack: &str, more: &[&str], at_worst: u64) {
        let (before, lines) = (memory(&self.cluster), self.cluster.log().lines().count());
        let mut command = script(&self.cluster, "attacks.py", attack, "ada", more);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = command.spawn().unwrap();
        let mut peak = before;
        let status = loop {
            self.bystander.echoes();
            peak = peak.max(memory(&self.cluster));
            if let Some(status) = running.try_wait().unwrap() {
                break status;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let mut said = String::new();
        running.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        running.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(status.success() && said.contains("OK"), "{attack}: {said}");
        let after = memory(&self.cluster);
        let lines = self.cluster.log().lines().count() - lines;
        eprintln!(
            "{attack}: memory {} → {} (at worst {}) MiB, {lines} lines of log, worst echo {:?}",
            before >> 20,
            after >> 20,
            peak >> 20,
            self.bystander.worst
        );
        assert!(peak <= before + at_worst, "{attack}: {} MiB more at its worst", (peak - before) >> 20);
        assert!(lines <= 60, "{attack}: {lines} lines\n{}", self.cluster.log());
        assert!(self.bystander.worst < ECHO, "{attack}: an echo took {:?}", self.bystander.worst);
    }
}

#[test]
fn broken_packets_do_no_harm() {
    let mut siege = Siege::of("");
    for attack in ["malformed", "broken_after_the_key_exchange", "in_disorder", "guesses"] {
        siege.stands(attack, &[], MEMORY);
    }
}

#[test]
fn who_does_not_log_in_is_sent_away() {
    let mut siege = Siege::of("login_grace = \"2s\"");
    siege.stands("never_logs_in", &["2"], MEMORY);
}

#[test]
fn floods_of_requests_are_bounded() {
    let mut siege = Siege::of("");
    for attack in ["ten_thousand_variables", "huge_terminal", "request_flood", "rekey_never_finished"] {
        siege.stands(attack, &[], MEMORY);
    }
}

#[test]
fn floods_of_names_of_menus_and_of_records_are_bounded() {
    let more = "[audit]\npath = \"audit.jsonl\"\n".into();
    let mut siege = Siege::on(Cluster::start(Plan { more, ..Plan::default() }));
    siege.stands("long_names", &[], MEMORY);
    // 64 menus of two pictures of 24,000 cells.
    siege.stands("menus_without_end", &[], (128 << 20) + MEMORY);
    siege.stands("many_forwards", &[], MEMORY);
    siege.cluster.ssh("ada").run("clusteria reserve gpu1/1");
    let frozen = siege.cluster.running().remove(0);
    assert!(frozen.ends_with("gpu1-1"), "{frozen}");
    docker(&["pause", &frozen]);
    siege.stands("owed_answers", &[], MEMORY);
    docker(&["unpause", &frozen]);
    let audit = std::fs::read_to_string(siege.cluster.path("audit.jsonl")).unwrap();
    let of_flood: Vec<_> = audit.lines().filter(|line| line.contains("from the container")).collect();
    assert!((200..1000).contains(&of_flood.len()), "{} records", of_flood.len());
    assert!(of_flood.iter().all(|line| line.len() < 1000), "{of_flood:?}");
}

#[test]
fn floods_of_channels_are_bounded() {
    let mut siege = Siege::of("");
    // 4,096 channels of some 12 KiB each are what one connection may hold open.
    siege.stands("channel_flood", &[], MEMORY + (48 << 20));
}

#[test]
fn what_nobody_consumes_is_bounded() {
    let mut siege = Siege::of("");
    siege.stands("beyond_the_window", &[], MEMORY);
    // 128 MiB is what one connection may have unread.
    siege.stands("all_windows_full", &[], (128 << 20) + MEMORY);
}

#[test]
fn a_client_that_never_reads_is_let_go() {
    let mut siege = Siege::of("keepalive = \"1s\"");
    siege.cluster.ssh("ada").run("clusteria reserve gpu1/1").success();
    siege.stands("never_reads", &["4"], MEMORY);
}

/// One address cannot take all the places: others still get in, and the log says it once.
#[test]
fn ten_thousand_connections_leave_room_for_others() {
    let mut siege = Siege::of("max_startups = 50");
    let (before, lines) = (memory(&siege.cluster), siege.cluster.log().lines().count());
    let mut command = script(&siege.cluster, "attacks.py", "ten_thousand_connections", "ada", &["50"]);
    let mut attack =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(attack.stdout.take().unwrap());
    let mut said = String::new();
    output.read_line(&mut said).unwrap();
    assert!(said.starts_with("HELD"), "{said} {:?}", attack.wait_with_output());
    // They are held open now: somebody from elsewhere logs in, bob's session goes on.
    siege.cluster.ssh("ada").run("clusteria status").success();
    siege.bystander.echoes();
    attack.stdin.take().unwrap().write_all(b"\n").unwrap();
    output.read_line(&mut said).unwrap();
    attack.wait().unwrap();
    assert!(said.ends_with("OK\n"), "{said}");
    let (after, lines) = (memory(&siege.cluster), siege.cluster.log().lines().count() - lines);
    eprintln!("{said}: memory {} → {} MiB, {lines} lines of log", before >> 20, after >> 20);
    assert!(after <= before + MEMORY && lines <= 60, "{}", siege.cluster.log());
    passes(&siege.cluster, "requests.py", "on_the_connection", "bob", &[]);
}
