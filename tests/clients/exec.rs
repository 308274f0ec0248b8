//! `ssh HOST COMMAND`: output, errors and the status of its end.

use super::ask::Ask;
use super::behaviour::Behaviour;
use super::place::Case;

pub const BEHAVIOUR: Behaviour =
    Behaviour { title: "command: stdout, stderr, exit status, 127, death by a signal", lacks: &[], check };

fn check(case: &Case) {
    let ran = case.run(&Ask::exec("echo out; echo err >&2; exit 7"));
    assert!(ran.stdout == "out\n" && ran.status == 7 && ran.stderr.contains("err\n"), "{ran:?}");
    assert!(!ran.stderr.contains("out"), "{ran:?}");
    let quiet = case.run(&Ask::exec("true"));
    assert!(quiet.status == 0 && quiet.bytes.is_empty(), "{quiet:?}");
    let missing = case.run(&Ask::exec("no-such-command-here"));
    assert!(missing.status == 127 && missing.stderr.contains("no-such-command-here"), "{missing:?}");
    let killed = case.run(&Ask::exec("echo last; kill -TERM $$"));
    assert!(killed.stdout == "last\n" && killed.status == after_signal(case), "{killed:?}");
    let kept = case.remote("kept");
    let bytes = case.run(&Ask::exec(&format!("head -c 700000 /dev/urandom | tee {kept}")));
    assert_eq!(bytes.bytes.len(), 700_000);
    std::fs::write(case.local("got"), &bytes.bytes).unwrap();
    assert_eq!(
        sum_here(&case.local("got")),
        case.place.look(&format!("sha256sum < {kept}")),
        "bytes were changed on the way"
    );
}

/// What a client makes of exit-signal. dbclient and the binding of libssh2 do not know it.
pub fn after_signal(case: &Case) -> i32 {
    match case.client.name() {
        "dbclient" | "libssh2" => 0,
        "PuTTY" => 128,
        _ => 255,
    }
}

/// In the words of sha256sum.
pub fn sum_here(path: &str) -> String {
    let file = std::fs::File::open(path).unwrap();
    let output = std::process::Command::new("sha256sum").stdin(file).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_client() {
    BEHAVIOUR.run();
}
