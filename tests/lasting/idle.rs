//! A container in which nothing happens is given back, and no other.

use std::process::Command;
use std::time::Duration;

use super::{cluster, left, login};
use crate::common::terminal::Terminal;
use crate::common::{Cluster, Plan, Running, SOON, docker, eventually, free_port};

fn idle_plan() -> Plan {
    Plan { reservation: "idle = \"6s\"", warnings: "[\"3s\"]", ..Plan::default() }
}

/// Starts something that nobody is connected to; looking at it by the engine is no use of the container.
fn leaves_behind(cluster: &Cluster, script: &str) {
    let script = format!("nohup bash -c '{script}' >/dev/null 2>&1 </dev/null &");
    cluster.ssh("ada").run(&script).success();
}

#[track_caller]
fn until_done(cluster: &Cluster) {
    eventually("it is done, and the container is there still", SOON, || {
        let running = cluster.running();
        assert_eq!(running.len(), 1, "ended while something happened:\n{}", cluster.log());
        let there =
            Command::new("docker").args(["exec", &running[0], "rm", "/home/ada/done"]).output().unwrap();
        there.status.success().then_some(())
    });
}

#[track_caller]
fn ends_idle(cluster: &Cluster) {
    eventually("it is said", SOON, || {
        let said = cluster.ssh("ada").run("clusteria status").stdout;
        said.contains("Nothing has happened in it for").then_some(())
    });
    eventually("it ends", SOON, || cluster.containers().is_empty().then_some(()));
    assert_eq!(cluster.status("ada")["last"]["reason"], "idle");
    let menu = Terminal::ssh(cluster, "ada", 110, 30, "LC_ALL=fr_FR.UTF-8");
    menu.shows("il ne s'y passait rien");
}

#[test]
fn a_container_in_which_nothing_happens_is_given_back_and_not_while_somebody_is_connected() {
    let cluster = cluster(idle_plan());
    let ran = cluster.ssh("ada").run("sleep 9; echo still there");
    assert_eq!(ran.stdout, "still there\n");
    // So is a forwarded connection that says nothing.
    leaves_behind(&cluster, "python3 -m http.server 8888 --bind 127.0.0.1");
    let port = free_port();
    let forward = cluster.ssh("ada").option("-N").option(&format!("-L{port}:localhost:8888")).command("");
    let forward = Running::start(&mut { forward });
    let connect = || std::net::TcpStream::connect(("127.0.0.1", port));
    eventually("the server answers", SOON, || {
        use std::io::{Read, Write};
        let mut stream = connect().ok()?;
        stream.write_all(b"HEAD / HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.contains(" 200 ").then_some(())
    });
    let stream = connect().unwrap();
    let began = std::time::Instant::now();
    eventually("longer than the limit", SOON, || {
        assert_eq!(cluster.running().len(), 1, "{}", cluster.log());
        (began.elapsed() > Duration::from_secs(9)).then_some(())
    });
    drop((stream, forward));
    ends_idle(&cluster);
}

#[test]
fn what_computes_is_never_idle() {
    let cluster = cluster(idle_plan());
    // It sleeps most of the time, as a training run that waits for its data does.
    leaves_behind(
        &cluster,
        "for i in 1 2 3 4 5 6; do end=$((${EPOCHREALTIME/[^0-9]/}+400000)); while ((${EPOCHREALTIME/[^0-9]/}<end)); do :; done; sleep 1.5; done; touch ~/done",
    );
    until_done(&cluster);
    ends_idle(&cluster);
}

#[test]
fn a_gpu_in_use_or_unreadable_is_never_idle() {
    let cluster = cluster(idle_plan());
    let container = cluster.running().remove(0);
    let as_root = |script: &str| docker(&["exec", &container, "sh", "-c", script]);
    // A stand-in for the driver: it says what a file says.
    as_root(
        "echo 50 > /gpu; printf '#!/bin/sh\\ncat /gpu\\n' > /usr/bin/nvidia-smi; chmod 755 /usr/bin/nvidia-smi; touch /dev/nvidia0",
    );
    let holds = "exec 3</dev/nvidia0; sleep 9; touch ~/done; sleep 600";
    leaves_behind(&cluster, holds);
    until_done(&cluster);
    as_root("echo '[N/A]' > /gpu");
    leaves_behind(&cluster, holds);
    until_done(&cluster);
    as_root("echo 0 > /gpu");
    ends_idle(&cluster);
}

#[test]
fn a_kept_shell_at_its_prompt_is_no_reason_to_go_on() {
    let cluster = cluster(idle_plan());
    let first = login(&cluster);
    first.shows("ada@");
    first.kill_client();
    left(&cluster, 1);
    ends_idle(&cluster);
}
