//! Who gets in, who does not, and that the two refusals look alike.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

#[path = "auth/admin.rs"]
mod admin;
#[path = "auth/charter.rs"]
mod charter;
#[path = "auth/client.rs"]
mod client;
#[path = "auth/door.rs"]
mod door;
#[path = "auth/flood.rs"]
mod flood;
#[path = "auth/methods.rs"]
mod methods;
#[path = "auth/slapd.rs"]
mod slapd;
#[path = "auth/tailscaled.rs"]
mod tailscaled;
#[path = "auth/throttle.rs"]
mod throttle;
#[path = "auth/wire.rs"]
mod wire;

use client::Try;
use common::{Cluster, Plan, Ran};

/// ssh with a password typed by a program, as VS Code and Zed do it.
fn with_password(cluster: &Cluster, login: &str, method: &'static str, password: &str) -> Ran {
    Try::new(cluster, login, method).password(password).run("clusteria status --json")
}

#[test]
fn a_stolen_public_key_and_a_key_that_is_only_offered_open_nothing() {
    let cluster = Cluster::start(Plan::default());
    Try::new(&cluster, "ada", "publickey").key("ada.key").is_in();
    // A key of ada's never opens bob's account.
    Try::new(&cluster, "bob", "publickey").key("ada.key").is_out();
    // The public half alone: it is offered, the gateway says that it would do, and nobody can sign.
    std::fs::copy(cluster.path("ada.key.pub"), cluster.path("stolen.key.pub")).unwrap();
    std::fs::copy(cluster.path("bob.key"), cluster.path("stolen.key")).unwrap();
    Try::new(&cluster, "ada", "publickey").key("stolen.key").is_out();
    std::fs::remove_file(cluster.path("stolen.key")).unwrap();
    Try::new(&cluster, "ada", "publickey").key("stolen.key.pub").is_out();
    // Offered first, it lends nothing to what follows.
    Try::new(&cluster, "ada", "publickey,password").key("stolen.key.pub").password("wrong").is_out();
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
