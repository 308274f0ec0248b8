//! Every method against everything that can be said about somebody.

use std::time::Instant;

use super::client::Try;
use super::slapd::{Slapd, binding, searching};
use super::tailscaled::Tailscaled;
use crate::common::{Cluster, Plan, SOON, eventually};

/// What is expected of one try, and how long it may take.
struct Row<'a> {
    what: &'static str,
    one: Try<'a>,
    is_in: bool,
}

/// Several at once, as in life.
fn check(rows: &[Row<'_>], state: &str) {
    for some in rows.chunks(6) {
        std::thread::scope(|scope| some.iter().for_each(|row| drop(scope.spawn(|| check_one(row, state)))));
    }
}

fn check_one(row: &Row<'_>, state: &str) {
    let began = Instant::now();
    if row.is_in {
        row.one.is_in();
    } else {
        let ran = row.one.is_out();
        assert!(ran.stderr.contains("Permission denied"), "{}: {ran:?}", row.what);
    }
    let took = began.elapsed();
    assert!(took.as_secs() < 10, "{}, {state}: {took:?}", row.what);
    eprintln!("{state:<12} {:<44} {} in {took:?}", row.what, if row.is_in { "in " } else { "out" });
}

/// A key of lia's that only the directory knows.
fn make_key(cluster: &Cluster, name: &str) -> String {
    let path = cluster.path(name);
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    std::fs::read_to_string(path.with_extension("key.pub")).unwrap().trim().to_owned()
}

const INTERACTIVE: &str = "keyboard-interactive";

#[test]
fn every_method_and_everything_that_can_be_said_about_somebody() {
    let plan = Plan { users: &["ada", "bob", "off", "old"], ..Plan::default() };
    let mut cluster = Cluster::prepare(&plan);
    let key = make_key(&cluster, "lia.key");
    make_key(&cluster, "nobody.key");
    let mut slapd = Slapd::start(&key);
    let tailscaled = Tailscaled::start(&cluster.path("tailscaled.sock"));
    std::fs::write(cluster.path("ldap-password"), "readerpw\n").unwrap();
    let urls = [
        format!("ldap://127.0.0.1:{}", crate::common::free_port()),
        format!("ldaps://127.0.0.1:{}", slapd.ldaps),
    ];
    let ldap = searching(&urls, &slapd.path("ca.pem"), &cluster.path("ldap-password"));
    append(
        &cluster,
        &format!(
            "[auth]\nmethods = [\"publickey\", \"password\", \"tailnet\"]\n\n{ldap}\
             [auth.tailnet]\nsocket = \"tailscaled.sock\"\ndomains = [\"lab.test\"]\n"
        ),
    );
    cluster.cli(&["user", "disable", "off"]).success();
    cluster.cli(&["user", "expire", "old", "2020-01-01"]).success();
    cluster.start_gateway();

    let tries = |directory: bool, tailnet: bool| {
        let by = |login: &str, methods| Try::new(&cluster, login, methods);
        let row = |what, is_in, one| Row { what, one, is_in };
        let mut rows = vec![
            row("key, right", true, by("ada", "publickey").key("ada.key")),
            row("key, another's", false, by("bob", "publickey").key("ada.key")),
            row("key, of nobody", false, by("ada", "publickey").key("nobody.key")),
            row("key, unknown user", false, by("eve", "publickey").key("ada.key")),
            row("key, expired", false, by("old", "publickey").key("old.key")),
            row("key, disabled", false, by("off", "publickey").key("off.key")),
            row("key of the directory, right", directory, by("lia", "publickey").key("lia.key")),
            row("key of the directory, another's", false, by("max", "publickey").key("lia.key")),
            row("tailnet, right", tailnet, by("ada", "none").from("127.9.0.1")),
            row("tailnet, another's", false, by("bob", "none").from("127.9.0.1")),
            row("tailnet, another domain", false, by("bob", "none").from("127.9.0.2")),
            row("tailnet, tagged", false, by("ada", "none").from("127.9.0.3")),
            row("tailnet, shared in", false, by("ada", "none").from("127.9.0.4")),
            row("tailnet, disabled", false, by("off", "none").from("127.9.0.5")),
            row("tailnet, unknown user", false, by("new", "none").from("127.9.0.6")),
            row("tailnet, unknown peer", false, by("ada", "none")),
        ];
        for method in ["password", INTERACTIVE] {
            let password = |login: &str, password: &str| by(login, method).password(password);
            rows.extend([
                row("password, right", true, password("ada", "pw-ada")),
                row("password, wrong", false, password("ada", "pw-bob")),
                row("password, empty", false, password("ada", "")),
                row("password, unknown user", false, password("eve", "pw-ada")),
                row("password, expired", false, password("old", "pw-old")),
                row("password, disabled", false, password("off", "pw-off")),
                row("directory, right", directory, password("lia", "pw-lia")),
                row("directory, wrong", false, password("lia", "pw-max")),
                row("directory, empty", false, password("lia", "")),
                row("directory, not in the group", false, password("out", "pw-out")),
            ]);
        }
        rows
    };
    check(&tries(true, true), "all is well");
    for odd in ["l*", "*", "lia)(uid=*", "lia,ou=people", "lia\\2a", "li\\61", "lia\0", "LIA", "lia ", ""] {
        super::wire::is_refused(cluster.port, odd, "pw-lia");
    }
    let users = cluster.cli(&["user", "list"]).success().stdout;
    let line = |name: &str| users.lines().find(|line| line.starts_with(name)).map(str::to_owned);
    assert!(line("lia").is_some_and(|line| line.contains("5001") && line.contains("directory")), "{users}");
    assert!(line("out").is_none() && line("eve").is_none(), "{users}");

    // Frozen: the directory is asked, does not answer, and rests; tailscaled likewise.
    slapd.freeze();
    tailscaled.be_silent();
    check(&tries(false, false), "slow");
    slapd.thaw();
    slapd.stop();
    tailscaled.vanish();
    check(&tries(false, false), "down");
    let polite = Try::new(&cluster, "lia", INTERACTIVE).password("pw-lia").prompts(2).talkative().is_out();
    assert!(polite.stderr.contains("directory does not answer"), "{polite:?}");
    assert!(polite.stderr.contains("annuaire de l'universite ne repond pas"), "{polite:?}");
    slapd.serve();
    eventually("the directory is asked again", SOON, || {
        (Try::new(&cluster, "lia", "password").password("pw-lia").user()? == "lia").then_some(())
    });
}

/// More configuration, for a gateway that has not started yet.
pub fn append(cluster: &Cluster, text: &str) {
    let config = std::fs::read_to_string(cluster.config()).unwrap();
    std::fs::write(cluster.config(), format!("{config}\n{text}")).unwrap();
}

#[test]
fn binding_as_the_user_starttls_and_certificates_that_are_wrong() {
    let mut cluster = Cluster::prepare(&Plan { users: &["ada"], ..Plan::default() });
    let slapd = Slapd::start(&make_key(&cluster, "lia.key"));
    let starttls = [format!("ldap://127.0.0.1:{}", slapd.ldap)];
    append(&cluster, &binding(&starttls, &slapd.path("ca.pem")));
    cluster.start_gateway();
    let password = |login: &str| Try::new(&cluster, login, "password").password(&format!("pw-{login}"));
    password("lia").is_in();
    password("out").is_out();
    Try::new(&cluster, "lia", "password").password("wrong").is_out();
    password("ada").is_in();
    drop(cluster);

    let mut cluster = Cluster::prepare(&Plan { users: &["ada"], ..Plan::default() });
    append(&cluster, &binding(&starttls, &slapd.path("other-ca.pem")));
    cluster.start_gateway();
    let password = |login: &str| Try::new(&cluster, login, "password").password(&format!("pw-{login}"));
    password("lia").is_out();
    password("ada").is_in();
    assert!(cluster.log().to_lowercase().contains("certificate"), "{}", cluster.log());
}

#[test]
fn who_leaves_the_group_is_out_with_every_method() {
    let mut cluster = Cluster::prepare(&Plan { users: &["ada"], ..Plan::default() });
    let slapd = Slapd::start(&make_key(&cluster, "lia.key"));
    std::fs::write(cluster.path("ldap-password"), "readerpw\n").unwrap();
    let urls = [format!("ldaps://127.0.0.1:{}", slapd.ldaps)];
    append(&cluster, &searching(&urls, &slapd.path("ca.pem"), &cluster.path("ldap-password")));
    cluster.start_gateway();
    Try::new(&cluster, "lia", "publickey").key("lia.key").is_in();
    // A second key, enrolled here: it counts only as long as the directory has its owner.
    make_key(&cluster, "second.key");
    let second = std::fs::read_to_string(cluster.path("second.key.pub")).unwrap();
    let words = format!("clusteria key add {}", second.trim());
    let added = Try::new(&cluster, "lia", "publickey").key("lia.key").run(&words).success();
    assert!(added.stdout.contains("SHA256:"), "{added:?}");
    Try::new(&cluster, "lia", "publickey").key("second.key").is_in();
    // Ids of the system itself are not taken from the directory; the one that is given stays.
    let uid = || {
        let users = cluster.cli(&["user", "list"]).success().stdout;
        users
            .lines()
            .find(|line| line.starts_with("low"))
            .map(|line| line.split_whitespace().nth(1).unwrap().to_owned())
    };
    Try::new(&cluster, "low", "password").password("pw-low").is_in();
    let given = uid().unwrap();
    assert!(given.parse::<u32>().unwrap() >= 1000, "{given}");
    Try::new(&cluster, "low", "password").password("pw-low").is_in();
    assert_eq!(uid(), Some(given));
    // An administrator by the directory's group.
    let max = Try::new(&cluster, "max", "password").password("pw-max").run("clusteria admin list --json");
    assert!(max.success().stdout.contains("\"machines\""));
    slapd.modify(
        "dn: cn=students,ou=groups,dc=lab,dc=test\nchangetype: modify\ndelete: member\nmember: uid=lia,ou=people,dc=lab,dc=test\n",
    );
    Try::new(&cluster, "lia", "publickey").key("lia.key").is_out();
    Try::new(&cluster, "lia", "publickey").key("second.key").is_out();
    Try::new(&cluster, "lia", "password").password("pw-lia").is_out();
}
