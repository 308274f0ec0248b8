//! What outlives a connection: shells on terminals, and what runs in them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

#[path = "lasting/idle.rs"]
mod idle;
#[path = "lasting/limits.rs"]
mod limits;
#[path = "lasting/link.rs"]
mod link;

use std::process::Command;
use std::time::Duration;

use common::terminal::Terminal;
use common::{Cluster, Plan, Running, SOON, eventually};
use link::Link;

const OFFER: &str = "A shell of yours goes on here";
/// What the shell prints when it has taken a line; never what was typed.
const COUNTS: &str = "bash -c 'while :; do n=$((n+1)); echo $n > ~/count; sleep 0.05; done'";

fn cluster(plan: Plan) -> Cluster {
    let cluster = Cluster::start(plan);
    cluster.ssh("ada").run("clusteria reserve").success();
    cluster
}

fn login(cluster: &Cluster) -> Terminal {
    let terminal = Terminal::ssh(cluster, "ada", 110, 30, "");
    terminal.shows("gpu1/1 ·");
    terminal
}

/// Types a line and waits for a word that it prints.
fn does(terminal: &Terminal, line: &str, shows: &str) {
    assert!(!line.contains(shows), "what is typed is on the screen, too");
    terminal.line(line);
    terminal.shows(shows);
}

fn shells(cluster: &Cluster) -> Vec<serde_json::Value> {
    cluster.status("ada")["reservation"]["shells"].as_array().cloned().unwrap_or_default()
}

/// Waits until so many shells go on without a connection.
#[track_caller]
fn left(cluster: &Cluster, count: usize) -> Vec<serde_json::Value> {
    eventually(&format!("{count} shells are left"), SOON, || {
        let left: Vec<_> = shells(cluster).into_iter().filter(|shell| shell["attached"] == false).collect();
        (left.len() == count).then_some(left)
    })
}

fn count(cluster: &Cluster) -> u64 {
    let ran = cluster.ssh("ada").run("cat ~/count");
    ran.stdout.trim().parse().unwrap_or_default()
}

#[track_caller]
fn goes_on(cluster: &Cluster) {
    let before = count(cluster);
    eventually("the program goes on", SOON, || (count(cluster) > before + 5).then_some(()));
}

/// Makes a shell that can be known again, with something in the foreground.
fn make_known(terminal: &Terminal, program: &str) -> String {
    does(terminal, "export KEPT=vio''let; echo pi''d=$$.", "pid=");
    let screen = terminal.screen();
    let pid = screen.split("pid=").nth(1).unwrap().split('.').next().unwrap();
    does(terminal, "printf 'printed %s\\n' be''fore", "printed before");
    terminal.line(program);
    pid.to_owned()
}

/// Ends what is in the foreground. (At its prompt a shell would drop what is typed right behind.)
fn interrupts(terminal: &Terminal) {
    terminal.keys(&["C-c"]);
    terminal.shows("^C");
}

/// At the prompt of the same shell.
fn is_known(terminal: &Terminal, pid: &str) {
    does(terminal, "echo \"it is $KEPT $$\" again", &format!("it is violet {pid} again"));
}

#[test]
fn a_client_that_dies_leaves_its_shell_and_the_next_login_goes_back_to_it() {
    let cluster = cluster(Plan::default());
    let first = login(&cluster);
    let pid = make_known(&first, COUNTS);
    eventually("it counts", SOON, || (count(&cluster) > 2).then_some(()));
    first.kill_client();
    let shell = left(&cluster, 1).remove(0);
    assert!(shell["command"].as_str().unwrap().starts_with("bash -c while"), "{shell}");
    assert_eq!(shell["folder"], "/home/ada");
    goes_on(&cluster);
    let said = cluster.ssh("ada").run("clusteria status").success().stdout;
    assert!(said.contains(OFFER) && said.contains("bash -c while") && said.contains("(left "), "{said}");
    let second = Terminal::ssh(&cluster, "ada", 90, 20, "");
    let offer = second.shows("Enter: back to it");
    assert!(offer.contains(OFFER) && offer.contains("bash -c while"), "{offer}");
    second.keys(&["Enter"]);
    second.shows("printed before");
    second.hides(OFFER);
    goes_on(&cluster);
    interrupts(&second);
    is_known(&second, &pid);
    does(&second, "stty size | tr ' ' x", "20x90");
    second.resize(100, 25);
    eventually("it is resized", SOON, || {
        second.line("clear; stty size | tr ' ' x");
        second.screen().contains("25x100").then_some(())
    });
    // An explicit end is the end.
    second.line("exit 7");
    second.shows("[ssh ended: 7]");
    left(&cluster, 0);
    let third = login(&cluster);
    third.shows("ada@");
    assert!(!third.screen().contains(OFFER));
}

#[test]
fn a_gateway_that_is_killed_takes_no_shell_along_and_no_screen() {
    let mut cluster = cluster(Plan::default());
    let plain = login(&cluster);
    // Nothing that would draw it anew.
    let pid = make_known(&plain, "sleep 600");
    plain.shows("sleep 600");
    let full = login(&cluster);
    full.shows("ada@");
    let pager = "seq -f 'entry %g' 1 500 > list; PS1=; less list";
    full.line(pager);
    full.shows("entry 29");
    full.keys(&["G"]);
    full.shows("entry 500");
    let silent = login(&cluster);
    // A full-screen program that never draws again.
    silent.line("printf '\\033[?1049h\\033[2J\\033[5;9H\\033[7m%s\\033[0m' STA''NDS; sleep 600");
    silent.shows("STANDS");
    // What was shown just now is on its way to the agent for some milliseconds.
    std::thread::sleep(Duration::from_millis(600));
    cluster.kill_gateway();
    for terminal in [&plain, &full, &silent] {
        terminal.shows("[ssh ended:");
    }
    cluster.start_gateway();
    let kept = left(&cluster, 3);
    let number = |command: &str| {
        let at = kept.iter().position(|shell| shell["command"].as_str().unwrap().contains(command));
        (at.unwrap() + 1).to_string()
    };
    let numbers = [("less", number("less")), ("sleep", String::new())];
    let back = Terminal::ssh(&cluster, "ada", 110, 30, "");
    let offer = back.shows("Shells of yours go on here");
    assert!(offer.contains("less list") && offer.matches("sleep 600").count() == 2, "{offer}");
    back.line(&numbers[0].1);
    back.shows("entry 500");
    back.keys(&["g"]);
    back.shows("entry 1\n");
    // The others: one has its text, the other its full screen.
    let mut seen = Vec::new();
    for _ in 0..2 {
        let back = Terminal::ssh(&cluster, "ada", 110, 30, "");
        back.shows("Enter: back to");
        back.keys(&["Enter"]);
        let what = eventually("its screen", SOON, || {
            let screen = back.screen();
            ["printed before", "STANDS"].into_iter().find(|word| screen.contains(*word))
        });
        if what == "STANDS" {
            let line = back.screen().lines().position(|line| line.contains("STANDS"));
            assert_eq!(line, Some(4), "{}", back.screen());
        } else {
            interrupts(&back);
            is_known(&back, &pid);
        }
        seen.push((what, back));
    }
    assert_ne!(seen[0].0, seen[1].0);
}

#[test]
fn a_cut_line_and_a_closed_window_keep_it_too() {
    let mut cluster = cluster(Plan::default());
    let port = cluster.port;
    let link = Link::to(port);
    cluster.port = link.port;
    let cut = login(&cluster);
    cluster.port = port;
    let pid = make_known(&cut, COUNTS);
    eventually("it counts", SOON, || (count(&cluster) > 2).then_some(()));
    link.cut();
    left(&cluster, 1);
    goes_on(&cluster);
    let back = Terminal::ssh(&cluster, "ada", 110, 30, "");
    back.shows(OFFER);
    back.keys(&["Enter"]);
    back.shows("printed before");
    // The window is closed.
    drop(back);
    left(&cluster, 1);
    let back = Terminal::ssh(&cluster, "ada", 110, 30, "");
    back.shows(OFFER);
    back.keys(&["Enter"]);
    interrupts(&back);
    is_known(&back, &pid);
    // The client's own way out.
    back.keys(&["Enter"]);
    back.line("~.");
    left(&cluster, 1);
}

#[test]
fn a_connection_that_is_dead_and_does_not_know_it_loses_its_shell_to_the_next_login() {
    let mut cluster = cluster(Plan::default());
    let port = cluster.port;
    let link = Link::to(port);
    cluster.port = link.port;
    let stuck = login(&cluster);
    cluster.port = port;
    let pid = make_known(&stuck, "sleep 600");
    stuck.shows("sleep 600");
    link.freeze();
    assert_eq!(shells(&cluster)[0]["attached"], true);
    let back = Terminal::ssh(&cluster, "ada", 110, 30, "");
    let offer = back.shows("Enter: back to it");
    assert!(offer.contains("(its connection does not answer)"), "{offer}");
    back.keys(&["Enter"]);
    back.shows("printed before");
    interrupts(&back);
    is_known(&back, &pid);
    assert_eq!(shells(&cluster).len(), 1);
}

#[test]
fn who_opens_a_second_window_gets_a_second_shell_and_may_take_the_first_one_over() {
    let cluster = cluster(Plan::default());
    let first = login(&cluster);
    let pid = make_known(&first, "true");
    let second = login(&cluster);
    does(&second, "echo \"second $KEPT.\" $((6*7))", "second . 42");
    assert!(!second.screen().contains(OFFER));
    second.kill_client();
    left(&cluster, 1);
    let third = Terminal::ssh(&cluster, "ada", 110, 30, "");
    let offer = third.shows("Enter: back to 1");
    assert!(offer.contains("(open in another connection)"), "{offer}");
    third.line("2");
    third.shows("printed before");
    first.shows("goes on in another connection");
    first.shows("[ssh ended: 0]");
    is_known(&third, &pid);
    left(&cluster, 1);
}

#[test]
fn a_gateway_that_stops_leaves_them_too() {
    let mut cluster = cluster(Plan::default());
    let first = login(&cluster);
    let pid = make_known(&first, "sleep 600");
    first.shows("sleep 600");
    assert!(cluster.stop_gateway().success());
    first.shows("[ssh ended:");
    cluster.start_gateway();
    let back = Terminal::ssh(&cluster, "ada", 110, 30, "");
    back.shows(OFFER);
    back.keys(&["Enter"]);
    back.shows("printed before");
    interrupts(&back);
    is_known(&back, &pid);
}

#[test]
fn what_is_typed_ahead_is_for_the_shell_and_other_requests_are_not_asked() {
    let cluster = cluster(Plan::default());
    let first = login(&cluster);
    make_known(&first, "true");
    first.kill_client();
    left(&cluster, 1);
    let script = cluster.ssh("ada").option("-tt").run_with_input("", b"echo got-$((6*7)).$KEPT.\nexit 3\n");
    assert!(script.status == 3 && script.stdout.contains("got-42..\r\n"), "{script:?}");
    assert!(!script.stdout.contains(OFFER), "{script:?}");
    let plain = cluster.ssh("ada").run_with_input("", b"echo plain-$KEPT; exit 4\n");
    assert_eq!((plain.status, plain.stdout.as_str()), (4, "plain-\n"));
    let command = cluster.ssh("ada").option("-tt").run("echo on a $(tty | cut -d/ -f3)");
    assert_eq!((command.status, command.stdout.as_str()), (0, "on a pts\r\n"));
    // A line that is no answer is a command.
    let typed = Terminal::ssh(&cluster, "ada", 110, 30, "");
    typed.shows("Enter: back to it");
    does(&typed, "echo new-$((6*7)).$KEPT.", "new-42..");
    typed.line("exit");
    typed.shows("[ssh ended: 0]");
    left(&cluster, 1);
}

/// A command on a terminal hangs up with its client, as with sshd.
#[test]
fn a_command_on_a_terminal_is_not_kept() {
    let cluster = cluster(Plan::default());
    let terminal = Terminal::ssh_words(&cluster, "ada", 80, 24, "", "-tt", "'echo $$ > pid; exec sleep 600'");
    let pid = eventually("it runs", SOON, || {
        let ran = cluster.ssh("ada").run("cat pid");
        (ran.status == 0 && !ran.stdout.is_empty()).then_some(ran.stdout.trim().to_owned())
    });
    terminal.kill_client();
    eventually("it is gone", SOON, || {
        (cluster.ssh("ada").run(&format!("kill -0 {pid}")).status != 0).then_some(())
    });
    assert!(shells(&cluster).is_empty());
}

#[test]
fn a_site_can_have_it_off() {
    let cluster = cluster(Plan { reservation: "keep_shells = 0", ..Plan::default() });
    let first = login(&cluster);
    first.shows("ada@");
    first.line("echo $$ > pid; exec sleep 600");
    let pid = eventually("it runs", SOON, || {
        let ran = cluster.ssh("ada").run("cat pid");
        (ran.status == 0 && !ran.stdout.is_empty()).then_some(ran.stdout.trim().to_owned())
    });
    first.kill_client();
    eventually("it is gone", SOON, || {
        (cluster.ssh("ada").run(&format!("kill -0 {pid}")).status != 0).then_some(())
    });
    let second = login(&cluster);
    second.shows("ada@");
    assert!(!second.screen().contains(OFFER));
}

#[test]
fn it_is_offered_in_french_and_warned_like_others() {
    let plan = Plan { lifetime: "40s", warnings: "[\"20s\"]", ..Plan::default() };
    let cluster = cluster(plan);
    let first = login(&cluster);
    make_known(&first, "sleep 600");
    first.shows("sleep 600");
    first.kill_client();
    left(&cluster, 1);
    let back = Terminal::ssh(&cluster, "ada", 110, 30, "LC_ALL=fr_FR.UTF-8");
    let offer = back.shows("Entrée : y revenir");
    assert!(
        offer.contains("Un de vos shells continue ici") && offer.contains("sleep 600, depuis"),
        "{offer}"
    );
    back.keys(&["Enter"]);
    back.shows("printed before");
    back.shows_within("ends in 20 s", Duration::from_secs(40));
}

#[test]
fn the_client_s_agent_is_reached_from_a_shell_that_it_came_back_to() {
    let cluster = cluster(Plan::default());
    let socket = cluster.path("agent").display().to_string();
    let _agent = Running::start(Command::new("ssh-agent").args(["-D", "-a", &socket]));
    eventually("the agent listens", SOON, || std::path::Path::new(&socket).exists().then_some(()));
    let with_agent =
        || Terminal::ssh_words(&cluster, "ada", 110, 30, &format!("SSH_AUTH_SOCK={socket}"), "-A", "");
    let asks = "python3 -c \"import os,socket; s=socket.socket(socket.AF_UNIX); s.connect(os.environ['SSH_AUTH_SOCK']); s.sendall(bytes([0,0,0,1,11])); print('answer', s.recv(5)[4])\"";
    let first = with_agent();
    first.shows("ada@");
    does(&first, asks, "answer 12");
    first.kill_client();
    left(&cluster, 1);
    let second = with_agent();
    second.shows(OFFER);
    second.keys(&["Enter"]);
    second.shows("answer 12");
    second.line("clear");
    second.hides("answer 12");
    does(&second, asks, "answer 12");
}
