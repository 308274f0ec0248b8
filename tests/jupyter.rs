//! JupyterLab in the container: started by the agent, opened by the reservation's password, used by a real browser.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use common::browser::Browser;
use common::{Cluster, Plan, Ran, Running, SOON, docker, eventually, free_port, run};
use serde_json::{Value, json};

const IMAGE: &str = "clusteria/jupyter:1";
/// JupyterLab's start on a busy machine.
const START: Duration = Duration::from_secs(90);

fn reserve(cluster: &Cluster, user: &str) -> Value {
    let ran = cluster.ssh(user).run("clusteria reserve --json").success();
    serde_json::from_str(&ran.stdout).unwrap()
}

fn renew(cluster: &Cluster, user: &str) -> String {
    let ran = cluster.ssh(user).run("clusteria password --json").success();
    let facts: Value = serde_json::from_str(&ran.stdout).unwrap();
    facts["password"].as_str().unwrap().to_owned()
}

fn jupyter(cluster: &Cluster, user: &str) -> Value {
    cluster.status(user)["reservation"]["jupyter"].clone()
}

fn wait_for_jupyter(cluster: &Cluster, user: &str) {
    eventually("JupyterLab runs", START, || (jupyter(cluster, user)["state"] == "running").then_some(()));
}

/// `ssh` with a password and nothing else, as OpenSSH asks for it through a program.
fn log_in(cluster: &Cluster, user: &str, password: &str) -> Ran {
    let ask = cluster.path("askpass");
    std::fs::write(&ask, "#!/bin/sh\nprintf '%s\\n' \"$TEST_PASSWORD\"\n").unwrap();
    std::fs::set_permissions(&ask, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let ssh = cluster
        .ssh(user)
        .option("-oPubkeyAuthentication=no")
        .option("-oNumberOfPasswordPrompts=1")
        .env("SSH_ASKPASS", ask.to_str().unwrap())
        .env("SSH_ASKPASS_REQUIRE", "force")
        .env("TEST_PASSWORD", password);
    run(&mut ssh.command("clusteria status"), b"")
}

/// `ssh -N -L PORT:localhost:8888`, ready.
fn forward(cluster: &Cluster, user: &str) -> (Running, u16) {
    let port = free_port();
    let mut ssh = cluster.ssh(user).option("-N").option(&format!("-L{port}:localhost:8888")).command("");
    let running = Running::start(ssh.stdin(Stdio::null()));
    eventually("ssh forwards", SOON, || TcpStream::connect(("127.0.0.1", port)).ok());
    (running, port)
}

/// The reservation's password opens SSH until it is renewed, and until the reservation ends.
#[test]
fn a_reservation_has_a_password_of_its_own_until_it_ends() {
    let cluster = Cluster::start(Plan::default());
    let first = reserve(&cluster, "ada")["password"].as_str().unwrap().to_owned();
    assert!(reserve(&cluster, "ada").get("password").is_none(), "shown once");
    log_in(&cluster, "ada", &first).success();
    log_in(&cluster, "ada", "pw-ada").success();
    assert_eq!(log_in(&cluster, "bob", &first).status, 255, "it is ada's");

    let inside = cluster.ssh("ada").run("/usr/local/bin/clusteria password");
    assert_eq!(inside.status, 1, "whoever is in the container has not proved who they are: {inside:?}");
    assert!(inside.stdout.is_empty() && inside.stderr.contains("On your own machine"), "{inside:?}");

    let second = renew(&cluster, "ada");
    assert_ne!(first, second);
    assert_eq!(log_in(&cluster, "ada", &first).status, 255, "the old one has ended");
    log_in(&cluster, "ada", &second).success();

    let container = cluster.containers().remove(0);
    let known = docker(&["inspect", &container]) + &docker(&["logs", &container]);
    let processes =
        docker(&["exec", &container, "sh", "-c", "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline"]);
    for secret in [&first, &second] {
        assert!(!known.contains(secret.as_str()) && !processes.contains(secret.as_str()));
        assert!(!cluster.log().contains(secret.as_str()));
    }
    assert!(!processes.contains("$argon2") && !known.contains("$argon2"));

    cluster.ssh("ada").run("clusteria release").success();
    eventually("the password ends at once", SOON, || {
        (log_in(&cluster, "ada", &second).status == 255).then_some(())
    });
    let none = cluster.ssh("ada").run("clusteria password");
    assert_eq!(none.status, 1, "{none:?}");
}

/// An image without JupyterLab says so; a reservation by a client has no password until one is asked for.
#[test]
fn status_says_what_there_is() {
    let cluster = Cluster::start(Plan::default());
    cluster.ssh("ada").run("true").success();
    eventually("it is looked for", SOON, || (jupyter(&cluster, "ada")["state"] == "missing").then_some(()));
    assert_eq!(cluster.status("ada")["reservation"]["has_password"], false);
    let status = cluster.ssh("ada").run("clusteria status").success().stdout;
    assert!(status.contains("not in this image") && status.contains("clusteria password"), "{status}");
    log_in(&cluster, "ada", &renew(&cluster, "ada")).success();
    assert_eq!(cluster.status("ada")["reservation"]["has_password"], true);
}

/// A real browser: wrong and right password, a notebook's cell over the websocket, a terminal; killed and
/// started again; a new password.
#[test]
fn a_browser_works_in_jupyterlab() {
    let cluster = Cluster::start(Plan { image: IMAGE, ..Plan::default() });
    // Reserved by a forward: closed to everybody until there is a password.
    let (_forward, port) = forward(&cluster, "ada");
    let url = format!("http://127.0.0.1:{port}");
    wait_for_jupyter(&cluster, "ada");
    let mut browser = Browser::start();
    for none in ["", "x", "nobody has this password"] {
        let answer = browser.ask(&json!({ "command": "login", "url": &url, "password": none }));
        assert_eq!(answer["in"], false, "{none:?}: {answer}");
    }

    let first = renew(&cluster, "ada");
    let login = |password: &str| json!({ "command": "login", "url": &url, "password": password });
    assert_eq!(browser.ask(&login("wrong"))["in"], false);
    assert_eq!(browser.ask(&login(&first))["in"], true);
    let cell = json!({ "command": "notebook", "url": &url, "code": "print(6*7)" });
    assert_eq!(browser.ask(&cell)["output"], "42");
    let line = "echo $((6*7)) $(id -un) > ~/typed";
    browser.ask(&json!({ "command": "jupyterTerminal", "url": &url, "line": line }));
    eventually("what was typed in Jupyter's terminal has run", SOON, || {
        (cluster.ssh("ada").run("cat typed").stdout == "42 ada\n").then_some(())
    });

    // It is the user's own process, with no secret in sight.
    let pid = cluster.ssh("ada").run("pgrep -o -u ada -f jupyter-lab").success().stdout;
    let seen = cluster
        .ssh("ada")
        .run(&format!("tr '\\0' '\\n' </proc/{0}/environ; cat /proc/{0}/cmdline", pid.trim()));
    assert!(!seen.stdout.contains("argon2") && !seen.stdout.contains(&first), "{}", seen.stdout);

    cluster.ssh("ada").run(&format!("kill -9 {}", pid.trim())).success();
    eventually("it is started again", START, || {
        let ran = cluster.ssh("ada").run("pgrep -o -u ada -f jupyter-lab");
        (ran.status == 0 && ran.stdout != pid && jupyter(&cluster, "ada")["state"] == "running").then_some(())
    });
    assert_eq!(browser.ask(&cell)["output"], "42", "the browser is still logged in");

    // A new password: at once, the kernels run on, who came in by the old one is out.
    let kernels = cluster.ssh("ada").run("pgrep -f ipykernel").success().stdout;
    let second = renew(&cluster, "ada");
    let landed = browser.ask(&json!({ "command": "open", "url": format!("{url}/lab") }));
    assert!(landed["url"].as_str().unwrap().contains("/login"), "{landed}");
    assert_eq!(browser.ask(&login(&first))["in"], false);
    assert_eq!(browser.ask(&login(&second))["in"], true);
    assert_eq!(browser.ask(&cell)["output"], "42");
    let still = cluster.ssh("ada").run("pgrep -f ipykernel").success().stdout;
    assert!(kernels.lines().all(|pid| still.lines().any(|other| other == pid)), "{kernels} {still}");
}

/// Why it cannot run, in its own words, and again when it can.
#[test]
fn what_keeps_jupyterlab_from_running_is_told() {
    let cluster = Cluster::start(Plan { image: IMAGE, ..Plan::default() });
    reserve(&cluster, "ada");
    wait_for_jupyter(&cluster, "ada");
    // The port is taken from it.
    let take = "python3 -c 'import socket,time\ns=socket.socket()\ns.setsockopt(1,2,1)\nprint(1,flush=True)\n\
                while True:\n try: s.bind((\"127.0.0.1\",8888)); break\n except OSError: pass\n\
                s.listen(); print(2,flush=True); time.sleep(600)'";
    let mut thief = cluster.ssh("ada").command(take);
    let mut thief = Running::start(thief.stdin(Stdio::null()).stdout(Stdio::piped()));
    let mut said = std::io::BufReader::new(thief.0.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    cluster.ssh("ada").run("pkill -9 -u ada -f jupyter-lab").success();
    let why = eventually("the reason is told", START, || {
        let state = jupyter(&cluster, "ada");
        state["why"].as_str().filter(|why| why.contains("8888")).map(str::to_owned)
    });
    let status = cluster.ssh("ada").run("clusteria status").success().stdout;
    assert!(status.contains("8888"), "{why}: {status}");
    // Given back.
    cluster.ssh("ada").run("pkill -u ada -f socket,time").success();
    wait_for_jupyter(&cluster, "ada");
}
