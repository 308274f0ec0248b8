//! What breaks, says so, leaves nothing behind, and the rest goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Cluster, IMAGE, Plan, SOON, docker, eventually};

/// Two machines; the second has its own idea of something.
fn with_second_machine(second: &str) -> Plan {
    Plan { slots: vec![1], more: format!("[[machine]]\nname = \"gpu9\"\n{second}\n"), ..Plan::default() }
}

fn slots_are_free(cluster: &Cluster) -> bool {
    let view = cluster.ssh("bob").run("clusteria machines --json").success().stdout;
    !view.contains("\"state\":\"starting\"") && !view.contains("\"state\":\"ending\"")
}

#[test]
fn an_engine_that_is_down_is_said_and_the_others_go_on() {
    let cluster =
        Cluster::start(with_second_machine("engine = \"unix:///nowhere/docker.sock\"\n[[machine.slot]]"));
    let machines = cluster.ssh("ada").run("clusteria machines").success().stdout;
    assert!(machines.contains("gpu9") && machines.contains("offline"), "{machines}");
    let refused = cluster.ssh("ada").run("clusteria reserve gpu9");
    assert_eq!(refused.status, 1);
    assert!(
        refused.stderr.contains("gpu9 is offline") && refused.stderr.contains("/nowhere/docker.sock"),
        "{}",
        refused.stderr
    );
    assert!(cluster.log().contains("/nowhere/docker.sock"), "{}", cluster.log());
    cluster.ssh("ada").run("clusteria reserve").success();
    assert_eq!(cluster.status("ada")["reservation"]["slot"], "gpu1/1");
}

#[test]
fn a_missing_image_is_said_and_leaves_nothing() {
    let cluster = Cluster::start(Plan { image: "clusteria/not-there:1", ..Plan::default() });
    let refused = cluster.ssh("ada").run("clusteria reserve");
    assert_eq!(refused.status, 1);
    assert!(
        refused.stderr.contains("clusteria/not-there:1") && refused.stderr.contains("administrator"),
        "{}",
        refused.stderr
    );
    assert!(cluster.log().contains("clusteria/not-there:1"));
    let shell = cluster.ssh("ada").run("true");
    assert_eq!((shell.status, shell.stdout.as_str()), (255, ""));
    assert!(cluster.containers().is_empty());
    assert!(slots_are_free(&cluster));
    assert_eq!(cluster.status("ada")["last"]["reason"], "failed");
}

#[test]
fn a_misconfigured_slot_is_said_and_the_others_go_on() {
    let cluster = Cluster::start(with_second_machine("[[machine.slot]]\ngpus = [\"no-such-gpu\"]"));
    let refused = cluster.ssh("ada").run("clusteria reserve gpu9/1");
    assert_eq!(refused.status, 1);
    assert!(
        refused.stderr.contains("gpu9/1") && refused.stderr.contains("could not be started"),
        "{}",
        refused.stderr
    );
    assert!(cluster.log().contains("start failed"), "{}", cluster.log());
    eventually("nothing is left of it", SOON, || cluster.containers().is_empty().then_some(()));
    assert!(slots_are_free(&cluster));
    cluster.ssh("ada").run("clusteria reserve gpu1/1").success();
    cluster.ssh("ada").run("true").success();
}

#[test]
fn a_missing_mount_is_said_and_leaves_nothing() {
    let more =
        "[[mount]]\ntarget = \"/dataset\"\nsource = \"/no/such/folder\"\nread_only = true\n".to_owned();
    let cluster = Cluster::start(Plan { more, ..Plan::default() });
    let refused = cluster.ssh("ada").run("clusteria reserve");
    assert!(refused.status == 1 && refused.stderr.contains("/no/such/folder"), "{}", refused.stderr);
    assert!(cluster.containers().is_empty());
}

#[test]
fn a_read_only_image_of_nothing_gives_a_clear_answer() {
    // An image without even a shell: the agent runs, and says what is missing.
    let cluster = Cluster::start(Plan { image: "clusteria/empty:1", ..Plan::default() });
    cluster.ssh("ada").run("clusteria reserve").success();
    let ran = cluster.ssh("ada").run("true");
    assert_eq!(ran.status, 255);
    assert!(ran.stderr.contains("gpu1/1: ") && ran.stderr.contains("/bin/"), "{}", ran.stderr);
}

#[test]
fn all_problems_of_a_configuration_are_reported_at_once_with_their_lines() {
    let cluster = Cluster::prepare(&Plan { users: &[], ..Plan::default() });
    let text = format!(
        "[cluster]\nname = \"Not A Name\"\n[ssh]\nlisten = [\"nowhere\"]\nlogin_grace = 30\n[reservation]\n\
         lifetime = \"8 parsecs\"\n[container]\nimage = \"{IMAGE}\"\nmemroy = \"1GiB\"\n[[machine]]\nname = \"gpu1\"\n\
         [[machine.slot]]\n[[machine]]\nname = \"gpu1\"\n[[machine.slot]]\n"
    );
    std::fs::write(cluster.config(), text).unwrap();
    for command in ["check", "serve"] {
        let ran = cluster.cli(&[command]);
        assert_eq!(ran.status, 1);
        for line in [2, 4, 5, 7, 10, 15] {
            assert!(
                ran.stderr.contains(&format!("clusteria.toml:{line}:")),
                "{command}: line {line}:\n{}",
                ran.stderr
            );
        }
    }
    assert!(
        docker(&["ps", "-q", "--filter", &format!("label=clusteria.cluster={}", cluster.name)]).is_empty()
    );
}

#[test]
fn host_keys_that_others_may_read_are_refused() {
    use std::os::unix::fs::PermissionsExt;
    let cluster = Cluster::prepare(&Plan { users: &[], ..Plan::default() });
    let key = cluster.path("hostkeys/ssh_host_ed25519_key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ran = cluster.cli(&["serve"]);
    assert!(ran.status == 1 && ran.stderr.contains("chmod 600"), "{}", ran.stderr);
}
