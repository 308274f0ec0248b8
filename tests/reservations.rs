//! Reservations on real engines: races, deadlines, and gateways that die.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::process::Stdio;
use std::time::{Duration, Instant};

use common::terminal::Terminal;
use common::{Cluster, Plan, SOON, docker, eventually};

/// Two users ask for the last slot at the same moment, a hundred times.
#[test]
fn a_race_for_the_last_slot_has_exactly_one_winner() {
    let cluster = Cluster::start(Plan { slots: vec![1], ..Plan::default() });
    for round in 0..100 {
        let (ada, bob) = std::thread::scope(|scope| {
            let ask = |user: &'static str| {
                let cluster = &cluster;
                scope.spawn(move || cluster.ssh(user).run("clusteria reserve --json"))
            };
            let (ada, bob) = (ask("ada"), ask("bob"));
            (ada.join().unwrap(), bob.join().unwrap())
        });
        let (winner, loser, name) = match (ada.status, bob.status) {
            (0, 1) => ("ada", bob, "ada"),
            (1, 0) => ("bob", ada, "bob"),
            other => panic!("round {round}: {other:?}\n{ada:?}\n{bob:?}"),
        };
        assert!(loser.stdout.is_empty());
        assert!(
            loser.stderr.contains("full") && loser.stderr.contains("frees in"),
            "round {round}: the loser is told why and when: {}",
            loser.stderr
        );
        assert_eq!(cluster.running(), [format!("clusteria-{}-gpu1-1", cluster.name)]);
        let owner =
            docker(&["inspect", "-f", "{{index .Config.Labels \"clusteria.user\"}}", &cluster.running()[0]]);
        assert_eq!(owner.trim(), name);
        cluster.ssh(winner).run("clusteria release").success();
        eventually("the slot is free", SOON, || {
            let view = cluster.ssh("ada").run("clusteria machines --json").stdout;
            view.contains("\"state\":\"free\"").then_some(())
        });
    }
    assert!(cluster.containers().is_empty());
}

/// A program that saves when it is told to end, as a training run should. (Its output goes nowhere:
/// with the gateway dead its pipes are closed, and a shell that reports a job's end there would die of it.)
const SAVES: &str = "trap 'sleep 0.5; echo saved > /storage/result; exit 0' TERM; echo started; exec >/dev/null 2>&1; while :; do sleep 0.1; done";

/// The same without any process beside it.
const SLOW_TO_SAVE: &str = "
import signal, sys, time
def save(*_):
    time.sleep(3)
    open('/storage/program', 'w').write('saved\\n')
    sys.exit()
signal.signal(signal.SIGTERM, save)
print('it runs', flush=True)
while True:
    time.sleep(1)
";

fn short_lived(storage: &std::path::Path) -> Plan {
    Plan {
        lifetime: "8s",
        warnings: "[\"5s\", \"3s\"]",
        grace: "4s",
        more: format!("[[mount]]\ntarget = \"/storage\"\nsource = \"{}\"\n", storage.display()),
        ..Plan::default()
    }
}

fn shared_folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::Builder::new().prefix("ct-storage-").tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    folder
}

#[test]
fn the_deadline_warns_lets_programs_save_and_takes_the_container() {
    let storage = shared_folder();
    let cluster = Cluster::start(short_lived(storage.path()));
    cluster.ssh("ada").run("clusteria reserve").success();
    let terminal = Terminal::ssh(&cluster, "ada", 110, 30, "LC_ALL=fr_FR.UTF-8");
    terminal.shows("gpu1/1 ·");
    let mut run = cluster.ssh("ada").command(SAVES).stdout(Stdio::piped()).spawn().unwrap();
    terminal.shows("prend fin dans 5 s");
    terminal.shows("prend fin dans 3 s");
    terminal.shows("temps est écoulé");
    let began = Instant::now();
    eventually("the container is gone", SOON, || cluster.containers().is_empty().then_some(()));
    assert!(began.elapsed() < Duration::from_secs(9), "grace and a little");
    assert_eq!(std::fs::read_to_string(storage.path().join("result")).unwrap(), "saved\n");
    terminal.shows("[ssh ended:");
    run.wait().unwrap();
    let last = eventually("the end is known", SOON, || {
        let status = cluster.status("ada");
        status["reservation"].is_null().then(|| status["last"].clone())
    });
    assert_eq!(last["reason"], "expired");
    // A forgotten editor gets nothing; a person is told why it ended and may go on.
    let editor = cluster.ssh("ada").run("true");
    assert_eq!(editor.status, 255);
    assert!(editor.stderr.contains("reconnects by itself"), "{}", editor.stderr);
    let again = Terminal::ssh(&cluster, "ada", 110, 30, "");
    again.shows("its time was over");
    again.keys(&["Enter"]);
    again.shows("gpu1/1 is yours");
    again.keys(&["Enter"]);
    again.shows("gpu1/1 ·");
    cluster.ssh("ada").run("true").success();
}

/// What leads a terminal is no idle shell where it catches SIGTERM.
#[test]
fn who_saves_on_a_terminal_has_the_grace_too() {
    let storage = shared_folder();
    let plan = Plan { lifetime: "1h", grace: "20s", ..short_lived(storage.path()) };
    let cluster = Cluster::start(plan);
    cluster.ssh("ada").run("clusteria reserve").success();
    let shell = Terminal::ssh(&cluster, "ada", 110, 30, "");
    shell.shows("gpu1/1 ·");
    shell.line("trap 'sleep 1; echo saved > /storage/shell; exit' TERM; echo read''y; sleep 600");
    shell.shows("ready");
    std::fs::write(storage.path().join("save.py"), SLOW_TO_SAVE).unwrap();
    let program = Terminal::ssh_words(&cluster, "ada", 110, 30, "", "-t", "python3 /storage/save.py");
    program.shows("it runs");
    let began = Instant::now();
    cluster.ssh("ada").run("clusteria release").success();
    eventually("the container is gone", SOON, || cluster.containers().is_empty().then_some(()));
    assert!(began.elapsed() < Duration::from_secs(15), "who is done does not wait for the rest of the grace");
    for name in ["shell", "program"] {
        let saved = std::fs::read_to_string(storage.path().join(name));
        assert_eq!(saved.unwrap_or_default(), "saved\n", "{name}");
    }
}

#[test]
fn every_terminal_is_warned_and_who_does_not_end_is_killed_after_the_grace() {
    let storage = shared_folder();
    let cluster = Cluster::start(short_lived(storage.path()));
    cluster.ssh("ada").run("clusteria reserve").success();
    let terminals = [0, 1].map(|_| Terminal::ssh(&cluster, "ada", 110, 30, ""));
    terminals.iter().for_each(|terminal| drop(terminal.shows("gpu1/1 ·")));
    let stubborn =
        "trap '' TERM HUP; exec >/dev/null 2>&1; while :; do date +%s%N > /storage/alive; sleep 0.05; done";
    let mut run = cluster.ssh("ada").command(stubborn).spawn().unwrap();
    terminals.iter().for_each(|terminal| drop(terminal.shows("ends in 5 s")));
    let status = cluster.ssh("ada").run("clusteria status").success().stdout;
    assert!(status.contains("gpu1/1 ends in"), "{status}");
    terminals.iter().for_each(|terminal| drop(terminal.shows("ends in 3 s")));
    terminals.iter().for_each(|terminal| drop(terminal.shows("time is over")));
    let began = Instant::now();
    eventually("the container is gone", SOON, || cluster.containers().is_empty().then_some(()));
    let took = began.elapsed();
    assert!(took > Duration::from_secs(3), "it had its grace: {took:?}");
    assert!(took < Duration::from_secs(12), "and no more: {took:?}");
    run.wait().unwrap();
    terminals.iter().for_each(|terminal| drop(terminal.shows("[ssh ended:")));
}

#[test]
fn the_deadline_holds_with_the_gateway_dead() {
    let storage = shared_folder();
    let mut cluster = Cluster::start(short_lived(storage.path()));
    cluster.ssh("ada").run("clusteria reserve").success();
    let mut run = cluster.ssh("ada").command(SAVES).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 8];
    std::io::Read::read_exact(run.stdout.as_mut().unwrap(), &mut first).unwrap();
    cluster.kill_gateway();
    run.wait().unwrap();
    eventually("the agent ends it alone", SOON, || cluster.running().is_empty().then_some(()));
    assert_eq!(std::fs::read_to_string(storage.path().join("result")).unwrap(), "saved\n");
    cluster.start_gateway();
    let status = cluster.status("ada");
    assert!(status["reservation"].is_null());
    assert_eq!(status["last"]["reason"], "expired");
    assert!(cluster.containers().is_empty(), "what the agent has left is removed");
}

#[test]
fn a_killed_gateway_finds_every_reservation_again() {
    let mut cluster =
        Cluster::start(Plan { slots: vec![2, 1], users: &["ada", "bob", "eve"], ..Plan::default() });
    let users = ["ada", "bob", "eve"];
    let before: Vec<_> = users
        .iter()
        .map(|user| {
            cluster.ssh(user).run("clusteria reserve").success();
            cluster.ssh(user).run("echo mine > ~/mark; nohup sleep 1000 >/dev/null 2>&1 &").success();
            cluster.status(user)["reservation"].clone()
        })
        .collect();
    cluster.kill_gateway();
    cluster.start_gateway();
    for (user, before) in users.iter().zip(&before) {
        let after = &cluster.status(user)["reservation"];
        for fact in ["id", "slot", "deadline"] {
            assert_eq!(after[fact], before[fact], "{user}");
        }
        let ran = cluster.ssh(user).run("cat ~/mark; pgrep -c sleep").success();
        assert_eq!(ran.stdout, "mine\n1\n");
    }
    // The ledger lost altogether: what runs lives on, by its labels. (The key of agents elsewhere is no part of it.)
    cluster.stop_gateway();
    for file in std::fs::read_dir(cluster.path("ledger")).unwrap().map(|entry| entry.unwrap().path()) {
        if !file.ends_with("agents.key") {
            std::fs::remove_file(file).unwrap();
        }
    }
    for user in users {
        let _ = std::fs::remove_file(cluster.path(&format!("{user}.key")));
        let _ = std::fs::remove_file(cluster.path(&format!("{user}.key.pub")));
        cluster.add_user(user);
    }
    cluster.start_gateway();
    for (user, before) in users.iter().zip(&before) {
        assert_eq!(cluster.status(user)["reservation"]["deadline"], before["deadline"], "{user}");
    }
    assert_eq!(cluster.ssh("ada").run("cat ~/mark").success().stdout, "mine\n");
}

#[test]
fn what_is_not_ours_is_never_touched() {
    let mut cluster = Cluster::start(Plan { slots: vec![1], ..Plan::default() });
    let name = format!("clusteria-{}-gpu1-1", cluster.name);
    let other = docker(&[
        "run",
        "-d",
        "--name",
        &name,
        "--network",
        "none",
        "--entrypoint",
        "sleep",
        common::IMAGE,
        "600",
    ]);
    let refused = cluster.ssh("ada").run("clusteria reserve");
    assert_eq!(refused.status, 1);
    assert!(refused.stderr.contains("exists already"), "{}", refused.stderr);
    cluster.kill_gateway();
    cluster.start_gateway();
    let running = docker(&["inspect", "-f", "{{.State.Running}}", other.trim()]);
    docker(&["rm", "-f", other.trim()]);
    assert_eq!(running.trim(), "true");
    cluster.ssh("ada").run("clusteria reserve").success();
}

#[test]
fn release_ends_everything_and_an_idle_shell_does_not_hold_it_up() {
    let cluster = Cluster::start(Plan { slots: vec![1], grace: "20s", ..Plan::default() });
    cluster.ssh("ada").run("clusteria reserve").success();
    let terminal = Terminal::ssh(&cluster, "ada", 100, 30, "");
    terminal.shows("gpu1/1 ·");
    terminal.line("echo ready");
    terminal.shows("ready");
    let began = Instant::now();
    cluster.ssh("ada").run("clusteria release").success();
    terminal.shows("is being ended");
    eventually("the container is gone", SOON, || cluster.containers().is_empty().then_some(()));
    assert!(began.elapsed() < Duration::from_secs(10), "nobody needed the grace");
    terminal.shows("[ssh ended: ");
    assert_eq!(cluster.status("ada")["last"]["reason"], "released");
    // The administrators' socket lies there too.
    let left = std::fs::read_dir(cluster.path("run")).unwrap().flatten();
    assert_eq!(left.filter(|entry| entry.path().is_dir()).count(), 0, "run directories are removed");
}

#[test]
fn a_container_that_dies_frees_its_slot_and_says_so() {
    let cluster = Cluster::start(Plan { slots: vec![1], ..Plan::default() });
    cluster.ssh("ada").run("clusteria reserve").success();
    docker(&["kill", &cluster.running()[0]]);
    let last = eventually("the loss is noticed", SOON, || {
        let status = cluster.status("ada");
        status["reservation"].is_null().then(|| status["last"].clone())
    });
    assert_eq!(
        (last["reason"].as_str(), last["detail"].as_str()),
        (Some("failed"), Some("the container stopped"))
    );
    cluster.ssh("bob").run("clusteria reserve").success();
}
