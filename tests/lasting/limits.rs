//! What shells that are left may take: memory, number, time.

use super::{COUNTS, OFFER, cluster, count, does, goes_on, left, login};
use crate::common::terminal::Terminal;
use crate::common::{Plan, SOON, docker, eventually};

#[test]
fn a_flood_with_nobody_there_neither_stops_nor_fills_memory() {
    let cluster = cluster(Plan::default());
    let first = login(&cluster);
    first.shows("ada@");
    first.line("bash -c 'while :; do n=$((n+1)); echo \"flood $n\"; ((n%1000)) || echo $n > ~/count; done'");
    first.shows("flood ");
    first.kill_client();
    left(&cluster, 1);
    let before = count(&cluster);
    eventually("the flood goes on", SOON, || (count(&cluster) > before + 200_000).then_some(()));
    let agent = docker(&["inspect", "-f", "{{.State.Pid}}", &cluster.running()[0]]);
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.trim())).unwrap();
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap().trim();
    let kilobytes: u64 = rss.split(' ').next().unwrap().parse().unwrap();
    assert!(kilobytes < 24 * 1024, "the agent holds {rss}");
    let back = Terminal::ssh(&cluster, "ada", 110, 30, "");
    back.shows(OFFER);
    back.keys(&["Enter"]);
    back.shows("flood ");
    back.hides(OFFER);
    back.keys(&["C-c"]);
    does(&back, "echo still $((6*7))", "still 42");
}

#[test]
fn the_oldest_at_their_prompt_end_beyond_the_limit_and_never_what_runs() {
    let cluster = cluster(Plan { reservation: "keep_shells = 2", ..Plan::default() });
    let busy = login(&cluster);
    busy.shows("ada@");
    busy.line(COUNTS);
    eventually("it counts", SOON, || (count(&cluster) > 2).then_some(()));
    busy.kill_client();
    left(&cluster, 1);
    for round in 1..=4 {
        let terminal = Terminal::ssh(&cluster, "ada", 110, 30, "");
        terminal.shows("Enter: back to");
        terminal.line("n");
        does(
            &terminal,
            &format!("cd /; mkdir -p /tmp/r{round}; cd /tmp/r{round}; echo $((6*7))-round"),
            "42-round",
        );
        terminal.kill_client();
        left(&cluster, (round + 1).min(2));
    }
    let kept = left(&cluster, 2);
    assert_eq!(kept[0]["folder"], "/tmp/r4", "{kept:?}");
    assert!(kept[1]["command"].as_str().unwrap().starts_with("bash -c while"), "{kept:?}");
    goes_on(&cluster);
    let leaders = cluster.ssh("ada").run("ps -C bash -o args= | grep -c ^-bash").stdout;
    assert_eq!(leaders.trim(), "2", "the others have ended");
}

#[test]
fn after_its_time_a_shell_at_its_prompt_ends_and_one_that_works_does_not() {
    let cluster = cluster(Plan { reservation: "keep_shells_for = \"2s\"", ..Plan::default() });
    let (busy, idle) = (login(&cluster), login(&cluster));
    idle.shows("ada@");
    busy.shows("ada@");
    busy.line(COUNTS);
    eventually("it counts", SOON, || (count(&cluster) > 2).then_some(()));
    busy.kill_client();
    left(&cluster, 1);
    idle.kill_client();
    left(&cluster, 2);
    let shell = left(&cluster, 1).remove(0);
    assert!(shell["command"].as_str().unwrap().starts_with("bash -c while"), "{shell}");
    assert!(shell["left_seconds"].as_u64() >= Some(2), "{shell}");
    goes_on(&cluster);
}
