//! A newer gateway takes over from the one that runs: nobody is refused, nobody is cut off, nothing is there twice.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use common::terminal::Terminal;
use common::{Cluster, Plan, Ran, SOON, big_file, docker, eventually, is_gateway, signal};

const MIB: u64 = 1024 * 1024;

fn sha256(bytes: impl Into<Stdio>) -> String {
    let output = Command::new("sha256sum").stdin(bytes).output().unwrap();
    String::from_utf8_lossy(&output.stdout).split_whitespace().next().unwrap().to_owned()
}

/// An ssh whose connection others may use.
struct Master<'a> {
    cluster: &'a Cluster,
    path: String,
    child: Child,
}

impl<'a> Master<'a> {
    fn start(cluster: &'a Cluster, user: &str) -> Self {
        let path = cluster.path(&format!("{user}.master")).display().to_string();
        let ssh = cluster.ssh(user).option("-N").option("-M").option(&format!("-oControlPath={path}"));
        let child = ssh.command("").stdin(Stdio::null()).spawn().unwrap();
        eventually("the master listens", SOON, || std::fs::exists(&path).unwrap().then_some(()));
        Self { cluster, path, child }
    }

    fn run(&self, user: &str, words: &str) -> Ran {
        self.cluster.ssh(user).option(&format!("-oControlPath={}", self.path)).run(words)
    }
}

impl Drop for Master<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn gone(cluster: &Cluster, pid: u32) {
    let why = format!("process {pid} has ended");
    eventually(&why, SOON, || {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        (!is_gateway(pid, &cluster.config()) || state.contains(") Z ")).then_some(())
    });
}

fn gateways(cluster: &Cluster) -> usize {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| is_gateway(*pid, &cluster.config())).count()
}

/// Twenty upgrades: not one connection refused, not one byte of running transfers lost.
#[test]
fn twenty_upgrades_refuse_nobody_and_lose_no_byte() {
    let cluster = Cluster::start(Plan::default());
    cluster.ssh("ada").run("clusteria reserve").success();
    cluster.ssh("bob").run("clusteria reserve").success();
    let file = big_file(cluster.folder.path(), 64 * MIB);
    let sum = sha256(File::open(&file).unwrap());
    let first = cluster.gateway_pid();
    let (over, answered) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        let done = Done(&over);
        // One connection after the other, each answered.
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let ran = cluster.ssh("ada").run("echo here").success();
                assert_eq!(ran.stdout, "here\n");
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
        // Bare TCP connections, faster than ssh can make them: each is greeted.
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let stream = std::net::TcpStream::connect(("127.0.0.1", cluster.port)).unwrap();
                stream.set_read_timeout(Some(SOON)).unwrap();
                let mut greeting = String::new();
                BufReader::new(stream).read_line(&mut greeting).unwrap();
                assert!(greeting.starts_with("SSH-2.0-"), "{greeting:?}");
            }
        });
        // A slow download that lives through all of them, and an upload that is echoed.
        let mut slow = cluster
            .ssh("bob")
            .command("cat > f && for part in $(seq 0 63); do dd if=f bs=1M skip=$part count=1 status=none; sleep 0.1; done")
            .stdin(File::open(&file).unwrap())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = slow.stdout.take().unwrap();
        let download = scope.spawn(move || sha256(stdout));
        for _ in 0..20 {
            let echo = cluster
                .ssh("bob")
                .command("cat")
                .stdin(File::open(&file).unwrap())
                .stdout(Stdio::piped())
                .spawn();
            let mut echo = echo.unwrap();
            let stdout = echo.stdout.take().unwrap();
            let echoed = scope.spawn(move || sha256(stdout));
            cluster.reload();
            assert_eq!(echoed.join().unwrap(), sum);
            assert!(echo.wait().unwrap().success());
        }
        assert_eq!(download.join().unwrap(), sum);
        assert!(slow.wait().unwrap().success());
        drop(done);
    });
    assert!(answered.load(Ordering::Relaxed) >= 20);
    gone(&cluster, first);
    eventually("each serves out and ends", SOON, || (gateways(&cluster) == 1).then_some(()));
    let names: Vec<_> =
        std::fs::read_dir(cluster.path("run")).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(names.len(), 4, "two reservations, two sockets: {names:?}");
    assert_eq!(cluster.containers().len(), 2);
}

/// Tells the others that it is over, also when the test fails.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn what_is_connected_goes_on_and_new_channels_reach_what_the_new_gateway_gave() {
    let cluster = Cluster::start(Plan::default());
    cluster.ssh("ada").run("clusteria reserve gpu1/1").success();
    let shell = Terminal::ssh(&cluster, "ada", 100, 30, "");
    shell.shows("gpu1/1 ·");
    shell.line("export MARK=kept; cd /tmp");
    let master = Master::start(&cluster, "ada");
    let bobs = Master::start(&cluster, "bob");
    let local = common::free_port();
    cluster.ssh("ada").run("echo forwarded > /tmp/page; nohup sh -c 'while :; do nc -l -p 9000 < /tmp/page || exec python3 -m http.server -d /tmp 9000; done' >/dev/null 2>&1 &").success();
    let mut forward = cluster
        .ssh("ada")
        .option("-N")
        .option(&format!("-L{local}:127.0.0.1:9000"))
        .command("")
        .spawn()
        .unwrap();
    let forwarded = || {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", local)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream.write_all(b"GET /page HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer.contains("forwarded").then_some(())
    };
    eventually("the forward answers", SOON, forwarded);
    let first = cluster.gateway_pid();
    for _ in 0..2 {
        cluster.reload();
        shell.line("echo $MARK-$PWD-$((6 * 7))");
        shell.shows("kept-/tmp-42");
        shell.line("clear");
        eventually("the forward answers", SOON, forwarded);
        assert_eq!(master.run("ada", "echo again").success().stdout, "again\n");
    }
    // Commands on an old connection are the new gateway's to do.
    let status: serde_json::Value =
        serde_json::from_str(&bobs.run("bob", "clusteria status --json").success().stdout).unwrap();
    assert!(status["reservation"].is_null());
    let given = bobs.run("bob", "clusteria reserve --json").success();
    let given: serde_json::Value = serde_json::from_str(&given.stdout).unwrap();
    assert_eq!(given["slot"], "gpu1/2");
    assert!(given["password"].is_string());
    assert_eq!(cluster.status("bob")["reservation"]["id"], given["id"]);
    assert_eq!(bobs.run("bob", "hostname").success().stdout, "gpu1-2\n");
    let again = bobs.run("bob", "clusteria reserve gpu1/1");
    assert!(again.status == 1 && again.stderr.contains("You already hold gpu1/2"), "{}", again.stderr);
    // Given back by a new connection, taken anew by an old one that just connects.
    cluster.ssh("bob").run("clusteria release").success();
    eventually("it is gone", SOON, || (cluster.containers().len() == 1).then_some(()));
    assert_eq!(bobs.run("bob", "hostname").success().stdout, "gpu1-2\n");
    bobs.run("bob", "clusteria release").success();
    eventually("it is gone", SOON, || (cluster.containers().len() == 1).then_some(()));
    assert_eq!(cluster.status("bob")["last"]["reason"], "released");
    assert!(is_gateway(first, &cluster.config()), "it still has connections");
    forward.kill().unwrap();
    forward.wait().unwrap();
    drop((master, bobs));
    shell.line("exit");
    shell.shows("[ssh ended: 0]");
    gone(&cluster, first);
    eventually("one gateway is left", SOON, || (gateways(&cluster) == 1).then_some(()));
}

#[test]
fn a_menu_that_is_open_sees_and_reserves_by_the_new_gateway() {
    let cluster = Cluster::start(Plan::default());
    let menu = Terminal::ssh(&cluster, "ada", 100, 30, "");
    menu.shows("● free");
    cluster.reload();
    cluster.ssh("bob").run("clusteria reserve gpu1/1").success();
    menu.shows("bob");
    menu.keys(&["Down", "Enter"]);
    menu.shows("gpu1/2 is yours");
    menu.shows("Password (");
    menu.keys(&["Enter"]);
    menu.shows("gpu1/2 ·");
    menu.line("echo $((6 * 7))");
    menu.shows("42");
    assert_eq!(cluster.status("ada")["reservation"]["slot"], "gpu1/2");
    cluster.ssh("ada").run("clusteria release").success();
    menu.shows("[ssh ended:");
    gone(&cluster, cluster.gateway_pid());
}

/// Starts and ends that are under way when the gateway is replaced, at any moment of theirs.
#[test]
fn starts_and_ends_under_way_are_neither_lost_nor_done_twice() {
    let cluster =
        Cluster::start(Plan { more: "[audit]\npath = \"audit.jsonl\"\n".into(), ..Plan::default() });
    for round in 0..12 {
        std::thread::scope(|scope| {
            let ask = |user: &'static str| {
                let cluster = &cluster;
                scope.spawn(move || cluster.ssh(user).run("clusteria reserve --json"))
            };
            let asked = [ask("ada"), ask("bob")];
            std::thread::sleep(Duration::from_millis(40 * round));
            cluster.reload();
            for user in asked {
                let ran = user.join().unwrap().success();
                let facts: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
                assert!(facts["password"].is_string(), "round {round}: {facts}");
            }
        });
        assert_eq!(cluster.running().len(), 2, "round {round}");
        for user in ["ada", "bob"] {
            cluster.ssh(user).run("true").success();
            assert_eq!(cluster.status(user)["reservation"]["state"], "active", "round {round}");
            cluster.ssh(user).run("clusteria release").success();
        }
        cluster.reload();
        eventually("both are gone", SOON, || cluster.containers().is_empty().then_some(()));
        eventually("both slots are free", SOON, || {
            let view = cluster.ssh("ada").run("clusteria machines --json").stdout;
            (view.matches("\"state\":\"free\"").count() == 2).then_some(())
        });
    }
    let log = std::fs::read_to_string(cluster.path("audit.jsonl")).unwrap();
    let count = |event: &str| log.lines().filter(|line| line.contains(event)).count();
    for event in ["reservation.claimed", "reservation.ready", "reservation.ended"] {
        eventually("each is told once", SOON, || {
            let log = std::fs::read_to_string(cluster.path("audit.jsonl")).unwrap();
            (log.lines().filter(|line| line.contains(event)).count() == 24).then_some(())
        });
    }
    assert_eq!(count("\"reason\":\"failed\""), 0, "{log}");
    let folders =
        std::fs::read_dir(cluster.path("run")).unwrap().flatten().filter(|entry| entry.path().is_dir());
    assert_eq!(folders.count(), 0);
}

#[test]
fn a_configuration_that_is_wrong_changes_nothing() {
    let cluster = Cluster::start(Plan::default());
    cluster.ssh("ada").run("clusteria reserve").success();
    let good = std::fs::read_to_string(cluster.config()).unwrap();
    std::fs::write(cluster.config(), format!("{good}\n[nonsense]\n")).unwrap();
    let ran = cluster.cli(&["reload"]);
    assert!(ran.status == 1 && ran.stderr.contains("nonsense"), "{}", ran.stderr);
    signal(cluster.gateway_pid(), "HUP");
    eventually("the new one says why", SOON, || {
        let log = cluster.log();
        (log.contains("nonsense") && log.contains("this gateway goes on as before")).then_some(())
    });
    // What only the start finds: an address that is not ours.
    std::fs::write(cluster.config(), good.replace("listen = [", "listen = [\"192.0.2.1:22\", ")).unwrap();
    let ran = cluster.cli(&["reload"]);
    assert!(ran.status == 1 && ran.stderr.contains("goes on as before"), "{}", ran.stderr);
    cluster.ssh("ada").run("true").success();
    // And once it is right, all of it counts.
    let port = common::free_port();
    let more = format!("motd = \"A new word\"\n\n[ssh]\nlisten = [\"127.0.0.1:{port}\", ");
    std::fs::write(cluster.config(), good.replace("\n[ssh]\nlisten = [", &more)).unwrap();
    cluster.reload();
    let shell = Terminal::ssh(&cluster, "ada", 100, 30, "");
    shell.shows("A new word");
    let mut greeting = [0; 8];
    std::net::TcpStream::connect(("127.0.0.1", port)).unwrap().read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"SSH-2.0-");
    gone(&cluster, cluster.gateway_pid());
}

#[test]
fn a_newer_ledger_is_refused_and_the_running_gateway_goes_on() {
    let cluster = Cluster::start(Plan::default());
    let ledger = rusqlite::Connection::open(cluster.path("ledger/clusteria.db")).unwrap();
    let version: u32 = ledger.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    ledger.pragma_update(None, "user_version", 9999).unwrap();
    let ran = cluster.cli(&["serve"]);
    assert!(ran.status == 1 && ran.stderr.contains("9999"), "{}", ran.stderr);
    ledger.pragma_update(None, "user_version", version).unwrap();
    cluster.ssh("ada").run("clusteria reserve").success();
    cluster.reload();
    cluster.ssh("ada").run("true").success();
}

/// A new gateway that dies at each step of a handover: the test plays it.
#[test]
fn an_heir_that_dies_half_way_leaves_everything_as_it_was() {
    let cluster = Cluster::start(Plan::default());
    cluster.ssh("ada").run("clusteria reserve").success();
    for steps in 1..=2 {
        let mut heir = UnixStream::connect(cluster.path("run/gateway.sock")).unwrap();
        heir.write_all(b"{\"inherit\":{\"version\":1,\"pid\":1}}\n").unwrap();
        let mut lines = BufReader::new(heir.try_clone().unwrap()).lines();
        assert!(lines.next().unwrap().unwrap().starts_with("{\"offer\""));
        if steps == 2 {
            heir.write_all(b"\"take\"\n").unwrap();
            assert!(lines.next().unwrap().unwrap().starts_with("{\"estate\""));
            // As a new gateway does before its last word.
            std::fs::remove_file(cluster.path("run/gateway.sock")).unwrap();
        }
        drop((heir, lines));
        cluster.ssh("ada").run("true").success();
    }
    cluster.ssh("bob").run("clusteria reserve").success();
    docker(&["kill", &cluster.running()[0]]);
    eventually("its watchers watch again", SOON, || (cluster.containers().len() == 1).then_some(()));
    let admin = cluster.cli(&["admin", "list"]).success();
    assert!(admin.stdout.contains("bob"), "{}", admin.stdout);
    let first = cluster.gateway_pid();
    cluster.reload();
    cluster.ssh("bob").run("true").success();
    gone(&cluster, first);
}

#[test]
fn the_deadline_ends_what_is_still_connected_and_stopping_ends_all() {
    let cluster = Cluster::start(Plan { ssh: "drain = \"2s\"", ..Plan::default() });
    cluster.ssh("ada").run("clusteria reserve").success();
    let first = cluster.gateway_pid();
    let mut sleeps = cluster.ssh("ada").command("sleep 600").spawn().unwrap();
    eventually("it runs", SOON, || {
        (cluster.ssh("ada").run("pgrep -c sleep").stdout.trim() == "1").then_some(())
    });
    cluster.reload();
    gone(&cluster, first);
    assert!(!sleeps.wait().unwrap().success());
    // The container and what runs in it are nobody's connection.
    assert_eq!(cluster.ssh("ada").run("pgrep -c sleep").stdout.trim(), "1");

    let text = std::fs::read_to_string(cluster.config()).unwrap();
    std::fs::write(cluster.config(), text.replace("drain = \"2s\"", "drain = \"1h\"")).unwrap();
    let second = cluster.reload();
    let mut sleeps = cluster.ssh("ada").command("sleep 601").spawn().unwrap();
    eventually("it runs", SOON, || {
        (cluster.ssh("ada").run("pgrep -c sleep").stdout.trim() == "2").then_some(())
    });
    let third = cluster.reload();
    signal(third, "TERM");
    gone(&cluster, third);
    gone(&cluster, second);
    assert!(!sleeps.wait().unwrap().success());
    assert_eq!(cluster.running().len(), 1, "containers run on");
}

/// The new owner dies: those who are connected to the one before notice nothing, also when there is a new one.
#[test]
fn an_owner_that_dies_leaves_old_connections_alone() {
    let cluster = Cluster::start(Plan::default());
    cluster.ssh("ada").run("clusteria reserve").success();
    let master = Master::start(&cluster, "ada");
    let owner = cluster.reload();
    signal(owner, "KILL");
    gone(&cluster, owner);
    assert_eq!(master.run("ada", "echo still").success().stdout, "still\n");
    let mut third =
        common::Running::start(Command::new(common::GATEWAY).arg("serve").arg("-c").arg(cluster.config()));
    eventually("it serves", SOON, || (cluster.ssh("ada").run("true").status == 0).then_some(()));
    assert_eq!(master.run("ada", "clusteria reserve gpu1/2").status, 1);
    assert_eq!(master.run("ada", "echo still").success().stdout, "still\n");
    drop(master);
    gone(&cluster, cluster.gateway_pid());
    third.0.kill().unwrap();
}

#[test]
fn the_unit_is_what_systemd_understands() {
    let unit =
        include_str!("../deploy/clusteria.service").replace("/usr/local/bin/clusteria", common::GATEWAY);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clusteria.service");
    std::fs::write(&path, unit).unwrap();
    let ran = common::run(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path), b"");
    let about_us: Vec<_> = ran.stderr.lines().filter(|line| line.contains("clusteria")).collect();
    assert!(ran.status == 0 && about_us.is_empty(), "{}", ran.stderr);
}

/// systemd looks after the process that says READY and MAINPID last.
#[test]
fn the_service_manager_is_told_who_serves() {
    let mut cluster = Cluster::prepare(&Plan::default());
    let socket = std::os::unix::net::UnixDatagram::bind(cluster.path("notify")).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let told = || {
        let mut words = [0; 256];
        let read = socket.recv(&mut words).unwrap();
        String::from_utf8_lossy(&words[..read]).into_owned()
    };
    let notify = cluster.path("notify").display().to_string();
    cluster.environment.push(("NOTIFY_SOCKET".into(), notify.into()));
    cluster.start_gateway();
    assert_eq!(told(), format!("READY=1\nMAINPID={}\n", cluster.gateway_pid()));
    let heir = cluster.reload();
    assert_eq!(told(), format!("READY=1\nMAINPID={heir}\n"));
}
