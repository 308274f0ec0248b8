//! Input: sent before anything is ready, and ended long before the output is.

use super::ask::Ask;
use super::behaviour::Behaviour;
use super::place::Case;

pub const BEHAVIOUR: Behaviour =
    Behaviour { title: "input: early, in bulk, and ended while output goes on", lacks: &[], check };

fn check(case: &Case) {
    let half = case.run_with_input(&Ask::exec("cat; sleep 0.2; echo after; exit 7"), b"a\nb\n");
    assert!(half.stdout == "a\nb\nafter\n" && half.status == 7, "{half:?}");
    let bulk: Vec<u8> = (0..3_000_000_u32).flat_map(|n| n.to_le_bytes()).take(3_000_000).collect();
    let echoed = case.run_with_input(&Ask::exec("cat"), &bulk);
    assert!(echoed.status == 0 && echoed.bytes == bulk, "{} of {} bytes", echoed.bytes.len(), bulk.len());
    let unread = case.run_with_input(&Ask::exec("exec <&-; sleep 0.2; echo done"), b"nobody reads this\n");
    assert!(unread.stdout == "done\n" && unread.status == 0, "{unread:?}");
}

#[test]
fn every_client() {
    BEHAVIOUR.run();
}
