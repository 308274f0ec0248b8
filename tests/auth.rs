//! Who gets in, who does not, and that the two refusals look alike.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use common::{Cluster, Plan, Ran, run};

/// ssh with a password typed by a program, as VS Code and Zed do it.
fn with_password(cluster: &Cluster, login: &str, method: &str, password: &str) -> Ran {
    let askpass = cluster.path(&format!("askpass-{}", std::thread::current().name().unwrap_or("x").len()));
    std::fs::write(&askpass, "#!/bin/sh\nprintf '%s\\n' \"$ANSWER\"\n").unwrap();
    std::fs::set_permissions(&askpass, std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut command = std::process::Command::new("ssh");
    command
        .args(["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "PubkeyAuthentication=no"])
        .args(["-o", "NumberOfPasswordPrompts=1", "-o", "LogLevel=ERROR"])
        .args(["-o", &format!("PreferredAuthentications={method}")])
        .args(["-o", &format!("UserKnownHostsFile={}", cluster.path("known_hosts").display())])
        .args(["-p", &cluster.port.to_string(), &Cluster::host(login), "clusteria status --json"])
        .env("SSH_ASKPASS", &askpass)
        .env("SSH_ASKPASS_REQUIRE", "force")
        .env("ANSWER", password);
    run(&mut command, b"")
}

#[test]
fn every_method_lets_in_the_right_person_only() {
    let cluster = Cluster::start(Plan::default());
    for method in ["password", "keyboard-interactive"] {
        let right = with_password(&cluster, "ada", method, "pw-ada").success();
        assert!(right.stdout.contains("\"user\":\"ada\""), "{right:?}");
        for (login, password) in [
            ("ada", "pw-bob"),
            ("ada", ""),
            ("bob", "pw-ada"),
            ("eve", "pw-ada"),
            ("ada/x", "pw-ada"),
            ("Ada", "pw-ada"),
        ] {
            let wrong = with_password(&cluster, login, method, password);
            assert_eq!(wrong.status, 255, "{method} {login} {password}");
            assert!(wrong.stdout.is_empty() && wrong.stderr.contains("Permission denied"), "{wrong:?}");
        }
    }
    let own = cluster.ssh("ada").run("clusteria status --json").success();
    assert!(own.stdout.contains("\"user\":\"ada\""));
    // A key of ada's never opens bob's account.
    let mut options = cluster.options("ada");
    options.extend([
        "-o".into(),
        "PreferredAuthentications=publickey".into(),
        "-p".into(),
        cluster.port.to_string(),
    ]);
    let stolen =
        run(std::process::Command::new("ssh").args(&options).arg(Cluster::host("bob")).arg("true"), b"");
    assert!(stolen.status == 255 && stolen.stderr.contains("Permission denied"), "{stolen:?}");
}

#[test]
fn users_and_keys_change_while_the_gateway_runs() {
    let cluster = Cluster::start(Plan::default());
    cluster.add_user("eve");
    cluster.ssh("eve").run("clusteria status").success();
    cluster.cli_with_input(&["user", "password", "eve", "--password-stdin"], "another\n").success();
    assert_eq!(with_password(&cluster, "eve", "password", "pw-eve").status, 255);
    with_password(&cluster, "eve", "password", "another").success();
    let keys = cluster.cli(&["user", "key", "eve", "list"]).success().stdout;
    assert!(keys.contains("SHA256:") && keys.contains("last used"), "{keys}");
    let fingerprint = keys.split_whitespace().next().unwrap().to_owned();
    cluster.cli(&["user", "key", "eve", "remove", &fingerprint]).success();
    assert_eq!(
        cluster
            .ssh("eve")
            .option("-oPasswordAuthentication=no")
            .option("-oKbdInteractiveAuthentication=no")
            .run("true")
            .status,
        255
    );
    assert!(cluster.cli(&["user", "list"]).success().stdout.contains("eve"));
    cluster.cli(&["user", "remove", "eve"]).success();
    assert_eq!(with_password(&cluster, "eve", "password", "another").status, 255);
    let twice = cluster.cli(&["user", "add", "ada", "--no-password"]);
    assert!(twice.status == 1 && twice.stderr.contains("exists already"), "{twice:?}");
    let private = cluster.cli(&["user", "key", "ada", "add", cluster.path("ada.key").to_str().unwrap()]);
    assert!(private.status == 1 && private.stderr.contains("PRIVATE"), "{private:?}");
}

/// Unknown user and wrong password: medians of many tries, and the spread of each beside them.
#[test]
fn unknown_user_and_wrong_password_take_the_same_time() {
    let cluster = Cluster::start(Plan::default());
    let time = |login: &str| {
        let began = Instant::now();
        assert_eq!(with_password(&cluster, login, "password", "wrong").status, 255);
        began.elapsed()
    };
    let (mut known, mut unknown): (Vec<Duration>, Vec<Duration>) =
        (0..12).map(|_| (time("ada"), time("nobody"))).unzip();
    known.sort();
    unknown.sort();
    let spread = known[9].saturating_sub(known[2]) + unknown[9].saturating_sub(unknown[2]);
    let difference = known[6].abs_diff(unknown[6]);
    assert!(
        difference <= spread + Duration::from_millis(10),
        "known {:?}, unknown {:?}, apart by {difference:?} with a spread of {spread:?}",
        known[6],
        unknown[6]
    );
}

#[test]
fn no_secret_is_in_any_log_label_environment_or_command_line() {
    let cluster = Cluster::start(Plan::default());
    with_password(&cluster, "ada", "password", "pw-ada").success();
    with_password(&cluster, "ada", "password", "pw-wrong-secret");
    cluster.ssh("ada").run("clusteria reserve").success();
    let inspected = common::docker(&["inspect", &cluster.running()[0]]);
    let ledger = std::fs::read(cluster.path("ledger/clusteria.db")).unwrap();
    for (place, text) in
        [("log", cluster.log().as_bytes()), ("container", inspected.as_bytes()), ("ledger", &ledger)]
    {
        let text = String::from_utf8_lossy(text);
        assert!(
            !text.contains("pw-ada") && !text.contains("pw-wrong-secret"),
            "a password is in the {place}"
        );
    }
    let inside = cluster.ssh("ada").run("env; cat /proc/1/cmdline | tr '\\0' ' '").success();
    assert!(!inside.stdout.contains("pw-"));
}
