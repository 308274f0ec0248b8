//! A menu on which nothing changes sends nothing.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::common::{Cluster, Plan, SOON, eventually};
use crate::crowd::Seat;

/// How long nothing must come.
const WATCHED: Duration = Duration::from_secs(4);

#[test]
fn nothing_is_sent_when_nothing_changes() {
    let cluster = Cluster::start(Plan::default());
    // The minute on the clock is a change: look at seconds that have none.
    let second = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() % 60;
    eventually("a minute has room", Duration::from_secs(70), || (5..30).contains(&second()).then_some(()));
    cluster.ssh("bob").run("clusteria reserve").success();
    let mut seats = [Seat::take(&cluster, "ada", ""), Seat::take(&cluster, "bob", "clusteria menu")];
    for seat in &mut seats {
        let mut seen = Vec::new();
        eventually("the menu is drawn", SOON, || {
            seen.extend(seat.read());
            String::from_utf8_lossy(&seen).contains("UTC").then_some(())
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
    while Instant::now() < until {
        for (seat, bytes) in seats.iter_mut().zip(&mut bytes) {
            *bytes += seat.read().len();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(bytes, [0, 0], "bytes in {WATCHED:?}");
}
