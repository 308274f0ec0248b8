//! Guessing is slow and is told when to try again; nobody else is held up by it.

use super::client::Try;
use super::methods::append;
use crate::common::{Cluster, Plan};

const INTERACTIVE: &str = "keyboard-interactive";

#[test]
fn who_guesses_waits_and_nobody_else_does() {
    let mut cluster = Cluster::prepare(&Plan::default());
    append(&cluster, "[auth.throttle]\nfree = 2\nfirst_delay = \"5m\"\n");
    cluster.start_gateway();
    let (home, office) = ("127.7.0.1", "127.7.0.2");
    let at = |login: &str, from: &str, password: &str| {
        Try::new(&cluster, login, INTERACTIVE).from(from).password(password).talkative()
    };
    // Good once: ada has logged in from home before.
    at("ada", home, "pw-ada").is_in();
    for _ in 0..2 {
        at("ada", office, "guess").is_out();
    }
    let refused = at("ada", office, "pw-ada").is_out();
    assert!(refused.stderr.contains("try again in 5 min"), "{refused:?}");
    assert!(refused.stderr.contains("reessayez dans 5 min"), "{refused:?}");
    assert!(refused.stderr.contains("Keys still work"), "{refused:?}");
    // The method that cannot tell refuses all the same, and an unknown name is told no less and no more.
    Try::new(&cluster, "ada", "password").from(office).password("pw-ada").is_out();
    for _ in 0..2 {
        at("nobody", office, "guess").is_out();
    }
    let unknown = at("nobody", office, "guess").is_out();
    assert!(unknown.stderr.contains("try again in 5 min"), "{unknown:?}");
    // Keys go on, others at the office go on, and so does ada at home.
    Try::new(&cluster, "ada", "publickey").from(office).key("ada.key").is_in();
    at("bob", office, "pw-bob").is_in();
    at("ada", home, "pw-ada").is_in();
    // Also where others have guessed at her name, and after a restart in the middle of it.
    cluster.stop_gateway();
    cluster.start_gateway();
    let crowd: Vec<Try<'_>> =
        (0..40).map(|_| Try::new(&cluster, "ada", "password").password("guess")).collect();
    for some in crowd.chunks(8) {
        std::thread::scope(|scope| some.iter().for_each(|one| drop(scope.spawn(|| one.is_out()))));
    }
    let began = std::time::Instant::now();
    Try::new(&cluster, "ada", INTERACTIVE).from(home).password("pw-ada").is_in();
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
}
