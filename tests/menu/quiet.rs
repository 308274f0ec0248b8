//! A menu on which nothing changes sends nothing, also where figures tremble.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::common::lab::Lab;
use crate::common::{Cluster, Plan, SOON, eventually};
use crate::crowd::Seat;

/// How long nothing must come: agents are asked every three seconds.
const WATCHED: Duration = Duration::from_secs(7);
/// So long that it leaves no room for the machine's load, which is not ours to keep still.
const GPU: &str = "Fake H100 of a long name";

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
    eventually("a minute has room", Duration::from_secs(70), || (5..30).contains(&second()).then_some(()));
    cluster.ssh("bob").run("clusteria reserve").success();
    let mut seats = [Seat::take(&cluster, "ada", ""), Seat::take(&cluster, "bob", "clusteria menu")];
    for seat in &mut seats {
        let mut seen = Vec::new();
        eventually("the menu is drawn", SOON, || {
            seen.extend(seat.read());
            String::from_utf8_lossy(&seen).contains('%').then_some(())
        });
    }
    // What bob's container says of itself comes a moment later, and once.
    let settled = Instant::now() + Duration::from_secs(3);
    eventually("the first words are said", SOON, || {
        seats.iter_mut().for_each(|seat| drop(seat.read()));
        (Instant::now() > settled).then_some(())
    });
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
