//! A menu on which nothing changes sends nothing, also where figures tremble.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::common::lab::Lab;
use crate::common::{Cluster, Plan, SOON, eventually};
use crate::crowd::Seat;

/// How long nothing must come: agents are asked every three seconds.
const WATCHED: Duration = Duration::from_secs(7);
/// So long that it leaves no room for the machine's load, which is not ours to keep still.
const GPU: &str = "Fake H100 of a long name";

/// Waits until bob's agent has been asked once more.
fn another_round(cluster: &Cluster) {
    let asked = || {
        let machines = cluster.ssh("ada").run("clusteria machines --json").success().stdout;
        let machines: serde_json::Value = serde_json::from_str(&machines).unwrap();
        machines["machines"][0]["slots"][0]["usage"]["at"].clone()
    };
    let before = asked();
    eventually("agents are asked once more", SOON, || {
        let at = asked();
        (at.is_string() && at != before).then_some(())
    });
}

#[test]
fn nothing_is_sent_when_nothing_changes() {
    let lab = Lab::new();
    let gpu = |used: u32, busy: u32, celsius: u32| {
        lab.write("gpus", &format!("0, GPU-fake-0, {GPU}, {used}, 81920, {busy}, {celsius}\n"));
    };
    gpu(3000, 45, 61);
    let cluster = Cluster::start(Plan { more: lab.mounts(), ..Plan::default() });
    // The minute on the clock is a change: look at seconds that have none.
    let second = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() % 60;
    eventually("a minute has room", Duration::from_secs(70), || (5..25).contains(&second()).then_some(()));
    cluster.ssh("bob").run("clusteria reserve").success();
    let mut seats = [Seat::take(&cluster, "ada", ""), Seat::take(&cluster, "bob", "clusteria menu")];
    // What bob's container says of itself comes a moment later, and once.
    for (seat, facts) in seats.iter_mut().zip([&["%"][..], &["%", "JupyterLab:"]]) {
        let mut seen = Vec::new();
        eventually("the menu is drawn", SOON, || {
            seen.extend(seat.read());
            let seen = String::from_utf8_lossy(&seen);
            facts.iter().all(|fact| seen.contains(fact)).then_some(())
        });
    }
    // One round may be under way; the next one is whole, and drawn once another has begun.
    for _ in 0..3 {
        another_round(&cluster);
    }
    seats.iter_mut().for_each(|seat| drop(seat.read()));
    let until = Instant::now() + WATCHED;
    let mut bytes = [0; 2];
    for turn in 0.. {
        if Instant::now() > until {
            break;
        }
        gpu(2950 + turn % 7 * 20, 43 + turn % 5, 60 + turn % 3);
        for (seat, bytes) in seats.iter_mut().zip(&mut bytes) {
            *bytes += seat.read().len();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(bytes, [0, 0], "bytes in {WATCHED:?}");
}
