//! What a session does, with the real OpenSSH client, the real gateway and real containers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::terminal::Terminal;
use common::{Cluster, Plan, SOON, eventually, free_port, run};

fn reserved() -> Cluster {
    let cluster = Cluster::start(Plan::default());
    cluster.ssh("ada").run("clusteria reserve gpu1/1").success();
    cluster
}

#[test]
fn the_menu_leads_to_a_shell_and_the_next_login_to_the_same_container() {
    let cluster = Cluster::start(Plan::default());
    let terminal = Terminal::ssh(&cluster, "ada", 100, 30, "");
    terminal.shows("● free");
    terminal.keys(&["Enter"]);
    terminal.shows("gpu1/1 is yours");
    terminal.keys(&["Enter"]);
    terminal.shows("gpu1/1 ·");
    terminal.line("id -un; hostname; echo term=$TERM; stty size; echo made-here > ~/note");
    // Not what was typed: what came of it.
    let screen = terminal.shows("30 100");
    for expected in ["ada", "gpu1-1", "term="] {
        assert!(screen.contains(expected), "{expected}: {screen}");
    }
    terminal.resize(80, 20);
    // The client hears of it when it gets to it, perhaps after what was typed then.
    terminal.line("until stty size | grep '^20 8[0]'; do sleep 0.1; done");
    terminal.shows("20 80");
    terminal.line("exit 3");
    terminal.shows("[ssh ended: 3]");
    drop(terminal);
    let again = Terminal::ssh(&cluster, "ada", 90, 25, "");
    again.shows("gpu1/1 ·");
    again.line("cat ~/note; stty size");
    again.shows("made-here");
    again.shows("25 90");
    assert_eq!(cluster.running().len(), 1);
}

#[test]
fn status_output_and_errors_come_through_apart() {
    let cluster = reserved();
    let ran = cluster.ssh("ada").run_with_input("cat; echo err >&2; exit 7", b"in\0\xff\r\n");
    assert_eq!((ran.status, ran.bytes.as_slice(), ran.stderr.as_str()), (7, &b"in\0\xff\r\n"[..], "err\n"));
    assert_eq!(cluster.ssh("ada").run("no-such-command").status, 127);
    // The client reports a death by signal as 255, and says which when it is talkative.
    let killed = cluster.ssh("ada").run("kill -TERM $$");
    assert_eq!(killed.status, 255);
    let late =
        cluster.ssh("ada").option("-T").run_with_input("cat; sleep 0.2; echo after; exit 7", b"a\nb\n");
    assert_eq!((late.status, late.stdout.as_str()), (7, "a\nb\nafter\n"));
    let pty = cluster.ssh("ada").option("-tt").run("echo here; exit 9");
    assert_eq!((pty.status, pty.stdout.as_str()), (9, "here\r\n"));
}

#[test]
fn the_user_is_nobody_special_in_the_container() {
    let cluster = reserved();
    let ran = cluster
        .ssh("ada")
        .run("id; cat /proc/self/status; pwd; ls -ld /.clusteria/run 2>&1; ls /.clusteria/run 2>&1; true");
    let out = ran.success().stdout;
    assert!(out.contains("(ada)") && !out.contains("uid=0"), "{out}");
    assert!(out.contains("NoNewPrivs:\t1"), "{out}");
    assert!(out.contains("CapEff:\t0000000000000000"), "{out}");
    assert!(out.contains("\n/home/ada\n"), "{out}");
    assert!(out.contains("ermission denied"), "the agent's socket is root's: {out}");
    let sudo = cluster.ssh("ada").run("cat /etc/shadow");
    assert_ne!(sudo.status, 0);
}

#[test]
fn the_environment_is_what_sshd_would_set() {
    let cluster = reserved();
    let ssh = cluster
        .ssh("ada")
        .option("-oSendEnv=LC_* SECRET_* LANG")
        .env("LC_TIME", "fr_FR")
        .env("SECRET_X", "no");
    let out = ssh.run("env").success().stdout;
    for expected in [
        "HOME=/home/ada",
        "USER=ada",
        "LOGNAME=ada",
        "SHELL=/bin/bash",
        "LC_TIME=fr_FR",
        "TF_FORCE_GPU_ALLOW_GROWTH=true",
    ] {
        assert!(out.lines().any(|line| line == expected), "{expected} is missing:\n{out}");
    }
    assert!(!out.contains("SECRET_X"));
    let connection = out.lines().find(|l| l.starts_with("SSH_CONNECTION=")).unwrap();
    assert!(
        connection.starts_with("SSH_CONNECTION=127.0.0.1 ")
            && connection.ends_with(&format!("127.0.0.1 {}", cluster.port))
    );
    assert!(out.contains("SSH_CLIENT=127.0.0.1 "));
    let tty = cluster.ssh("ada").option("-tt").env("TERM", "xterm-256color").run("echo $TERM $SSH_TTY; tty");
    let lines: Vec<_> = tty.stdout.lines().collect();
    assert_eq!(lines[0], format!("xterm-256color {}", lines[1]));
}

#[test]
fn the_channel_closes_when_the_last_holder_of_its_output_is_gone() {
    let cluster = reserved();
    let began = Instant::now();
    cluster.ssh("ada").run("sleep 2 & echo x").success();
    assert!(began.elapsed() >= Duration::from_secs(2), "a background job still holds the output");
    let ran = cluster.ssh("ada").run("sleep 600 >/dev/null 2>&1 </dev/null & echo $!").success();
    let alive = cluster.ssh("ada").run(&format!("kill -0 {} && echo alive", ran.stdout.trim()));
    assert_eq!(alive.stdout, "alive\n", "nothing is killed because a connection ended");
    cluster.ssh("ada").option("-tt").run("sleep 600 & exit 0").success();
}

#[test]
fn a_lost_client_closes_the_pipes_and_kills_nothing() {
    let cluster = reserved();
    let mut child = cluster
        .ssh("ada")
        .command("echo $$; while sleep 0.1; do echo tick; done; true")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 64];
    let read = child.stdout.as_mut().unwrap().read(&mut first).unwrap();
    let pid = String::from_utf8_lossy(&first[..read]).lines().next().unwrap().to_owned();
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("the writer meets its closed pipe", SOON, || {
        (cluster.ssh("ada").run(&format!("kill -0 {pid}")).status != 0).then_some(())
    });
}

#[test]
fn end_of_file_closes_only_the_input() {
    let cluster = reserved();
    let ran = cluster.ssh("ada").run_with_input("wc -c; echo still here", b"12345");
    assert_eq!(ran.success().stdout, "5\nstill here\n");
}

#[test]
fn a_shell_without_a_terminal_takes_its_script_from_the_input() {
    let cluster = reserved();
    let ran = cluster.ssh("ada").option("-T").run_with_input("", b"echo ready; uname -s; exit 4\n");
    assert_eq!((ran.status, ran.stdout.as_str()), (4, "ready\nLinux\n"), "{}", ran.stderr);
}

#[test]
fn a_client_that_just_connects_gets_a_container_and_its_early_input_is_not_lost() {
    let cluster = Cluster::start(Plan::default());
    let began = Instant::now();
    let ran = cluster.ssh("ada").option("-T").run_with_input("sh", b"echo cold; exit 0\n");
    assert_eq!(ran.success().stdout, "cold\n");
    assert!(began.elapsed() < Duration::from_secs(15), "VS Code's own limit");
    assert_eq!(cluster.running().len(), 1);
    let second = cluster.ssh("bob").run_with_input("cat", &vec![b'x'; 300_000]);
    assert_eq!(second.success().bytes.len(), 300_000);
}

#[test]
fn forwards_reach_the_container_and_never_the_gateway() {
    let cluster = reserved();
    let server = "import http.server as h; h.HTTPServer(('127.0.0.1', 8888), h.SimpleHTTPRequestHandler).serve_forever()";
    cluster.ssh("ada").run("echo from-the-container > index.html").success();
    let mut jupyter = cluster
        .ssh("ada")
        .command(&format!("exec python3 -c \"{server}\""))
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let local = free_port();
    // Something on the gateway's own loopback that must stay out of reach.
    let secret = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let secret_port = secret.local_addr().unwrap().port();
    let to_secret = free_port();
    let mut forward = cluster
        .ssh("ada")
        .option("-N")
        .option(&format!("-L{local}:localhost:8888"))
        .option(&format!("-L{to_secret}:127.0.0.1:{secret_port}"))
        .command("")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let answer = eventually("the server in the container answers", SOON, || {
        let ran = run(
            std::process::Command::new("curl").args([
                "-sf",
                "--max-time",
                "5",
                &format!("http://127.0.0.1:{local}/"),
            ]),
            b"",
        );
        (ran.status == 0).then_some(ran.stdout)
    });
    assert_eq!(answer, "from-the-container\n");
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", to_secret)).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(b"hello").unwrap();
    let closed = matches!(stream.read(&mut [0; 8]), Ok(0) | Err(_));
    assert!(closed, "nothing listens on that port in the container");
    secret.set_nonblocking(true).unwrap();
    assert!(secret.accept().is_err(), "the gateway's own loopback was reached");
    for mut child in
        [forward.kill().map(|()| forward), jupyter.kill().map(|()| jupyter)].into_iter().flatten()
    {
        child.wait().unwrap();
    }
}

#[test]
fn one_connection_carries_many_sessions() {
    let cluster = reserved();
    let control = cluster.path("control");
    let control = format!("-oControlPath={}", control.display());
    let mut master =
        cluster.ssh("ada").option("-N").option("-M").option(&control).command("").spawn().unwrap();
    eventually("the master listens", SOON, || cluster.path("control").exists().then_some(()));
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (cluster, control) = (&cluster, &control);
            scope.spawn(move || {
                let ran = cluster.ssh("ada").option(control).run(&format!("echo {number}; exit {number}"));
                assert_eq!((ran.status, ran.stdout), (number, format!("{number}\n")));
            });
        }
    });
    master.kill().unwrap();
    master.wait().unwrap();
}

#[test]
fn the_front_door_commands_work_outside_and_inside() {
    let cluster = Cluster::start(Plan::default());
    let ada = || cluster.ssh("ada");
    assert!(ada().run("clusteria help").success().stdout.contains("clusteria reserve"));
    assert!(ada().run("clusteria status").success().stdout.contains("no reservation"));
    assert_eq!(ada().run("clusteria release").status, 1);
    assert_eq!(ada().run("clusteria dance").status, 2);
    let reserved: serde_json::Value =
        serde_json::from_str(&ada().run("clusteria reserve gpu1/2 --json").success().stdout).unwrap();
    assert_eq!(reserved["slot"], "gpu1/2");
    let again: serde_json::Value =
        serde_json::from_str(&ada().run("clusteria reserve --json").success().stdout).unwrap();
    assert_eq!(again["id"], reserved["id"], "reserving twice is reserving once");
    assert_eq!(cluster.status("ada")["reservation"]["state"], "active");
    let view: serde_json::Value =
        serde_json::from_str(&cluster.ssh("bob").run("clusteria machines --json").success().stdout).unwrap();
    assert_eq!(view["machines"][0]["slots"][1]["user"], "ada");
    assert_eq!(view["machines"][0]["slots"][0]["state"], "free");
    let french = cluster
        .ssh("bob")
        .option("-oSendEnv=LANG")
        .env("LANG", "fr_FR.UTF-8")
        .run("clusteria reserve gpu1/2");
    assert!(french.stderr.contains("occupée par ada"), "{}", french.stderr);
    // Inside, once the gateway has its standing connection.
    let inside = eventually("the gateway answers inside", SOON, || {
        let ran = ada().run("bash -lc 'clusteria status --json'");
        (ran.status == 0).then_some(ran.stdout)
    });
    assert!(inside.contains("gpu1/2"), "{inside}");
    ada().run("clusteria release").success();
    eventually("the container is gone", SOON, || cluster.containers().is_empty().then_some(()));
    assert_eq!(cluster.status("ada")["last"]["reason"], "released");
}

#[test]
fn targets_in_the_user_name_decide_where_one_lands() {
    let cluster = Cluster::start(Plan { slots: vec![1, 2], ..Plan::default() });
    assert_eq!(cluster.ssh("ada+gpu2/2").run("hostname").success().stdout, "gpu2-2\n");
    assert_eq!(cluster.ssh("ada").run("hostname").success().stdout, "gpu2-2\n");
    let elsewhere = cluster.ssh("ada+gpu1").run("hostname");
    assert_eq!(elsewhere.status, 255);
    assert!(elsewhere.stderr.contains("already hold gpu2/2"), "{}", elsewhere.stderr);
    assert!(elsewhere.stdout.is_empty());
    let nowhere = cluster.ssh("bob+gpu9").run("hostname");
    assert!(nowhere.status == 255 && nowhere.stderr.contains("no machine gpu9"), "{}", nowhere.stderr);
    let taken = cluster.ssh("bob+gpu2/2").run("true");
    assert!(taken.stderr.contains("taken by ada"), "{}", taken.stderr);
}

#[test]
fn a_listener_bound_to_a_machine_means_that_machine() {
    let cluster = Cluster::start(Plan { slots: vec![1, 3], bound_to: Some("gpu1"), ..Plan::default() });
    let on = |address: &str, login: &str| {
        let mut command = std::process::Command::new("ssh");
        let user = login.split('+').next().unwrap();
        command.args(cluster.options(user)).args([
            "-p",
            &cluster.port.to_string(),
            &format!("{login}@{address}"),
            "hostname",
        ]);
        run(&mut command, b"")
    };
    assert_eq!(on("127.0.0.2", "ada").success().stdout, "gpu1-1\n");
    assert_eq!(on("127.0.0.1", "ada").success().stdout, "gpu1-1\n", "the same reservation by the other door");
    let full = on("127.0.0.2", "bob");
    assert!(full.status == 255 && full.stderr.contains("gpu1 is full"), "{}", full.stderr);
    assert_eq!(on("127.0.0.2", "bob+gpu2/3").success().stdout, "gpu2-3\n", "a named target wins");
}

#[test]
fn a_forward_alone_reserves_at_its_first_use() {
    let cluster = Cluster::start(Plan::default());
    let local = free_port();
    let mut forward = cluster
        .ssh("ada")
        .option("-N")
        .option(&format!("-L{local}:localhost:1"))
        .command("")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stream =
        eventually("the forward listens", SOON, || std::net::TcpStream::connect(("127.0.0.1", local)).ok());
    stream.set_read_timeout(Some(SOON)).unwrap();
    assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)), "nothing listens in a fresh container");
    assert_eq!(cluster.status("ada")["reservation"]["state"], "active");
    forward.kill().unwrap();
    forward.wait().unwrap();
    let off = Cluster::start(Plan { reservation: "auto_reserve = false", ..Plan::default() });
    let refused = off.ssh("ada").run("true");
    assert!(refused.status == 255 && refused.stderr.contains("must be chosen"), "{}", refused.stderr);
}

#[test]
fn a_silent_client_is_cut_off_after_the_grace_time() {
    let cluster = Cluster::start(Plan { ssh: "login_grace = \"1s\"", ..Plan::default() });
    let mut silent = std::net::TcpStream::connect(("127.0.0.1", cluster.port)).unwrap();
    silent.set_read_timeout(Some(SOON)).unwrap();
    let mut all = Vec::new();
    silent.read_to_end(&mut all).unwrap();
    assert!(all.starts_with(b"SSH-2.0-OpenSSH_"));
    let mut half = std::net::TcpStream::connect(("127.0.0.1", cluster.port)).unwrap();
    half.set_read_timeout(Some(SOON)).unwrap();
    half.write_all(b"SSH-2.0-nothing_more\r\n").unwrap();
    all.clear();
    let _ = half.read_to_end(&mut all);
    cluster.ssh("ada").run("true").success();
}
