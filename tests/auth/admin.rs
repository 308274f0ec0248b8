//! Administrators: over SSH and by the local socket; everybody else is refused, and all of it is in the audit log.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::Value;

use crate::common::terminal::Terminal;
use crate::common::{Cluster, Plan, SOON, eventually};

fn audited() -> Cluster {
    let plan =
        Plan { slots: vec![2, 1], more: "[audit]\npath = \"audit.jsonl\"\n".into(), ..Plan::default() };
    let mut cluster = Cluster::prepare(&plan);
    cluster.cli(&["user", "admin", "ada", "on"]).success();
    cluster.start_gateway();
    cluster
}

fn events(cluster: &Cluster, file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(cluster.path(file)).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Waits for an event that has all of these.
#[track_caller]
fn audit_has(cluster: &Cluster, fields: &[(&str, &str)]) -> Value {
    eventually(&format!("an event with {fields:?}"), SOON, || {
        let fits = |event: &Value| fields.iter().all(|(key, value)| event[*key] == *value);
        events(cluster, "audit.jsonl").into_iter().find(fits)
    })
}

#[test]
fn administrators_see_speak_end_and_drain() {
    let mut cluster = audited();
    let admin = |words: &str| cluster.ssh("ada").run(&format!("clusteria admin {words}"));
    cluster.ssh("bob").run("clusteria reserve gpu1/2").success();
    let list = admin("list").success().stdout;
    assert!(list.contains("gpu1/2") && list.contains("bob") && list.contains("active"), "{list}");
    let facts: Value = serde_json::from_str(&admin("list --json").success().stdout).unwrap();
    assert_eq!(
        (&facts["reservations"][0]["user"], &facts["machines"][1]["name"]),
        (&"bob".into(), &"gpu2".into())
    );

    let terminal = Terminal::ssh(&cluster, "bob", 100, 30, "");
    terminal.shows("gpu1/2 ·");
    let said = admin("message bob back in 5 minutes").success().stdout;
    assert!(said.contains('1'), "{said}");
    terminal.shows("administrators: back in 5 minutes");
    assert_eq!(admin("message ada hello").status, 1);
    let ended = admin("end bob").success().stdout;
    assert!(ended.contains("gpu1/2 of bob"), "{ended}");
    eventually("the container is gone", SOON, || cluster.containers().is_empty().then_some(()));
    assert_eq!(admin("end bob").status, 1);
    let status = cluster.status("bob");
    assert_eq!(status["last"]["reason"], "admin");

    admin("drain gpu2").success();
    let refused = cluster.ssh("bob").run("clusteria reserve gpu2");
    assert!(refused.status == 1 && refused.stderr.contains("maintenance"), "{refused:?}");
    assert_eq!(admin("drain gpu9").status, 1);
    assert_eq!(admin("drain GPU").status, 2);
    drop(terminal);
    cluster.stop_gateway();
    cluster.start_gateway();
    let refused = cluster.ssh("bob").run("clusteria reserve gpu2");
    assert!(refused.stderr.contains("maintenance"), "it survives a restart: {refused:?}");
    let admin = |words: &str| cluster.ssh("ada").run(&format!("clusteria admin {words}"));
    admin("undrain gpu2").success();
    cluster.ssh("bob").run("clusteria reserve gpu2").success();
    for (act, target) in
        [("list", ""), ("message", "bob"), ("end", "bob"), ("drain", "gpu2"), ("undrain", "gpu2")]
    {
        audit_has(
            &cluster,
            &[("event", "admin"), ("admin", "ada"), ("act", act), ("target", target), ("outcome", "ok")],
        );
    }
}

#[test]
fn others_are_refused_and_a_demotion_counts_at_once() {
    let cluster = audited();
    for words in
        ["list", "watch", "end ada", "drain gpu1", "user list", "message all hello", "user admin bob on"]
    {
        let refused = cluster.ssh("bob").run(&format!("clusteria admin {words}"));
        assert!(refused.status == 1 && refused.stdout.is_empty(), "{words}: {refused:?}");
        assert!(refused.stderr.contains("Only administrators"), "{words}: {refused:?}");
    }
    audit_has(
        &cluster,
        &[("event", "admin"), ("admin", "bob"), ("act", "user admin on"), ("outcome", "refused")],
    );
    // Inside a container nobody has proved who they are, administrators neither.
    cluster.ssh("ada").run("clusteria reserve").success();
    for words in ["admin list", "key list", "password --account", "accept"] {
        let inside = cluster.ssh("ada").run(&format!("/usr/bin/env clusteria {words} </dev/null"));
        assert!(inside.status == 1 && inside.stdout.is_empty(), "{words}: {inside:?}");
    }
    // On a connection that is older than the decision.
    let control = format!("-oControlPath={}", cluster.path("master").display());
    let mut master =
        cluster.ssh("ada").option("-N").option("-M").option(&control).command("").spawn().unwrap();
    eventually("the master listens", SOON, || cluster.path("master").exists().then_some(()));
    let over = |words: &str| cluster.ssh("ada").option(&control).run(words);
    over("clusteria admin list").success();
    cluster.cli(&["user", "admin", "ada", "off"]).success();
    assert_eq!(over("clusteria admin list").status, 1);
    master.kill().unwrap();
    master.wait().unwrap();
}

#[test]
fn root_asks_by_the_local_socket() {
    let mut cluster = audited();
    let socket = cluster.path("run/admin.sock");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let list = cluster.cli(&["admin", "list", "--json"]).success().stdout;
    assert!(serde_json::from_str::<Value>(&list).unwrap()["machines"].is_array());
    cluster.cli_with_input(&["admin", "user", "add", "eve"], "pw-eve-long\n").success();
    super::client::Try::new(&cluster, "eve", "password").password("pw-eve-long").is_in();
    cluster.cli(&["admin", "user", "disable", "eve"]).success();
    super::client::Try::new(&cluster, "eve", "password").password("pw-eve-long").is_out();
    cluster.cli(&["admin", "user", "enable", "eve"]).success();
    cluster.cli(&["admin", "user", "expire", "eve", "2020-01-01"]).success();
    super::client::Try::new(&cluster, "eve", "password").password("pw-eve-long").is_out();
    let users = cluster.cli(&["admin", "user", "list"]).success().stdout;
    assert!(users.contains("expires 2020-01-01") && users.contains("admin"), "{users}");
    let short = cluster.cli_with_input(&["admin", "user", "password", "eve"], "short\n");
    assert!(short.status == 1 && short.stderr.contains("8 characters"), "{short:?}");
    let odd = cluster.cli(&["admin", "dance"]);
    assert_eq!(odd.status, 2, "{odd:?}");
    audit_has(&cluster, &[("admin", "root (local socket)"), ("act", "user add"), ("target", "eve")]);
    audit_has(&cluster, &[("admin", "root (command line)"), ("act", "user admin on"), ("target", "ada")]);
    cluster.stop_gateway();
    assert!(!socket.exists());
    let gone = cluster.cli(&["admin", "list"]);
    assert!(gone.status == 1 && gone.stderr.contains("no gateway answers"), "{gone:?}");
}

#[test]
fn a_watch_tells_every_change_until_its_reader_leaves() {
    let cluster = audited();
    let mut watching = cluster.ssh("ada").command("clusteria admin watch --json");
    let mut child = watching.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next()["reservations"], serde_json::json!([]));
    cluster.ssh("bob").run("clusteria reserve gpu2/1").success();
    let seen = loop {
        let picture = next();
        if picture["reservations"][0]["state"] == "active" {
            break picture;
        }
    };
    assert_eq!(seen["reservations"][0]["user"], "bob");
    child.kill().unwrap();
    child.wait().unwrap();
    let terminal = Terminal::ssh_words(&cluster, "ada", 100, 30, "", "-t", "clusteria admin watch");
    terminal.shows("bob");
    terminal.keys(&["q"]);
    terminal.shows("[ssh ended: 0]");
}

#[test]
fn the_audit_log_has_everything_but_secrets_and_is_rotated() {
    let cluster = audited();
    super::client::Try::new(&cluster, "ada", "password").password("pw-ada").is_in();
    super::client::Try::new(&cluster, "ada", "password").password("pw-terrible").is_out();
    super::wire::is_refused(cluster.port, "nobody\x1b[2J", "x");
    cluster.ssh("ada").run("echo the-command; true").success();
    cluster.ssh("ada").option("-W").option("localhost:9").run("");
    cluster.ssh("ada").run("clusteria release").success();
    let login = audit_has(&cluster, &[("event", "login"), ("method", "password"), ("outcome", "ok")]);
    assert!(login["v"] == 1 && login["source"].as_str().unwrap().starts_with("127.3."), "{login}");
    audit_has(
        &cluster,
        &[("event", "login"), ("user", "ada"), ("outcome", "refused"), ("reason", "wrong password")],
    );
    audit_has(&cluster, &[("event", "login"), ("user", "nobody\u{fffd}[2J"), ("reason", "no such user")]);
    let key = audit_has(&cluster, &[("event", "login"), ("method", "publickey"), ("outcome", "ok")]);
    assert!(key["key"].as_str().unwrap().starts_with("SHA256:"));
    audit_has(&cluster, &[("event", "channel"), ("user", "ada"), ("kind", "exec")]);
    audit_has(&cluster, &[("event", "channel"), ("user", "ada"), ("kind", "front door")]);
    audit_has(&cluster, &[("event", "forward"), ("user", "ada"), ("target", "localhost:9")]);
    for event in ["reservation.claimed", "reservation.ready"] {
        audit_has(&cluster, &[("event", event), ("user", "ada"), ("slot", "gpu1/1")]);
    }
    audit_has(&cluster, &[("event", "reservation.ended"), ("user", "ada"), ("reason", "released")]);
    audit_has(&cluster, &[("event", "gateway"), ("act", "started")]);
    let text = std::fs::read_to_string(cluster.path("audit.jsonl")).unwrap();
    for secret in ["pw-ada", "pw-terrible", "the-command"] {
        assert!(!text.contains(secret), "{secret} is in the log:\n{text}");
    }
    assert_eq!(std::fs::metadata(cluster.path("audit.jsonl")).unwrap().permissions().mode() & 0o777, 0o600);

    std::fs::rename(cluster.path("audit.jsonl"), cluster.path("audit.old")).unwrap();
    let pid = nix::unistd::Pid::from_raw(cluster.gateway_pid() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGHUP).unwrap();
    audit_has(&cluster, &[("event", "gateway"), ("act", "log reopened")]);
    cluster.ssh("bob").run("clusteria status").success();
    audit_has(&cluster, &[("event", "login"), ("user", "bob")]);
    assert!(!events(&cluster, "audit.old").iter().any(|event| event["user"] == "bob"));
}
