//! New keys every megabyte while bytes go both ways.

use super::ask::Ask;
use super::behaviour::Behaviour;
use super::place::Case;

const NO_REKEY: &str = "When it makes new keys cannot be set from here.";

pub const BEHAVIOUR: Behaviour = Behaviour {
    title: "new keys every megabyte, under load both ways",
    lacks: &[
        ("dbclient", NO_REKEY),
        ("PuTTY", NO_REKEY),
        ("libssh2", NO_REKEY),
        ("libssh", NO_REKEY),
        ("ssh2 1.14", NO_REKEY),
        ("ssh2 1.17", NO_REKEY),
    ],
    check,
};

fn check(case: &Case) {
    let bulk: Vec<u8> =
        (0..3_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let ran = case.run_with_input(&Ask::exec("cat").with("rekey", 1_000_000), &bulk);
    assert!(
        ran.status == 0 && ran.bytes == bulk,
        "{} of {} bytes: {}",
        ran.bytes.len(),
        bulk.len(),
        ran.stderr
    );
}

#[test]
fn every_client() {
    BEHAVIOUR.run();
}
