//! What people change of their own account: keys, password, second factor.

use clusteria::auth::totp;

use super::client::Try;
use super::methods::append;
use super::slapd::{Slapd, searching};
use crate::common::terminal::Terminal;
use crate::common::{Cluster, Plan, run};

fn key_file(cluster: &Cluster, name: &str) -> String {
    let path = cluster.path(name);
    let mut command = std::process::Command::new("ssh-keygen");
    run(command.args(["-q", "-t", "ed25519", "-N", "", "-C", "my laptop", "-f"]).arg(&path), b"").success();
    std::fs::read_to_string(path.with_extension("key.pub")).unwrap()
}

#[test]
fn keys_are_enrolled_listed_and_removed_over_ssh() {
    let cluster = Cluster::start(Plan::default());
    let public = key_file(&cluster, "new.key");
    let new = || Try::new(&cluster, "ada", "publickey").key("new.key");
    new().is_out();
    // cat key.pub | ssh clusteria clusteria key add
    let added = cluster.ssh("ada").run_with_input("clusteria key add", public.as_bytes()).success();
    assert!(added.stdout.starts_with("added SHA256:") && added.stdout.contains("my laptop"), "{added:?}");
    new().is_in();
    let listed = cluster.ssh("ada").run("clusteria key list").success().stdout;
    assert!(listed.lines().count() == 2 && listed.contains("my laptop  last used 20"), "{listed}");
    let json = cluster.ssh("ada").run("clusteria key list --json").success().stdout;
    let keys: serde_json::Value = serde_json::from_str(&json).unwrap();
    let mine = keys.as_array().unwrap().iter().find(|key| key["comment"] == "my laptop").unwrap();
    assert!(mine["last_used"].is_string() && mine["key"].as_str().unwrap().starts_with("ssh-ed25519 AAAA"));
    for (input, words) in [
        (&b"-----BEGIN OPENSSH PRIVATE KEY-----"[..], "PRIVATE"),
        (b"", "not a public key"),
        (b"hello\n", "not a public key"),
        (&[b'x'; 100_000], ""),
    ] {
        let refused = cluster.ssh("ada").run_with_input("clusteria key add", input);
        assert!(refused.status == 1 && refused.stderr.contains(words), "{refused:?}");
    }
    let french = cluster.ssh("ada").option("-oSendEnv=LANG").env("LANG", "fr_FR.UTF-8");
    assert!(french.run("clusteria key remove x").stderr.contains("Vous n'avez pas cette clé"));
    let print = mine["fingerprint"].as_str().unwrap();
    cluster.ssh("ada").run(&format!("clusteria key remove {print}")).success();
    new().is_out();
    // What bob enrols opens bob's account only.
    cluster.ssh("bob").run_with_input("clusteria key add", public.as_bytes()).success();
    new().is_out();
    Try::new(&cluster, "bob", "publickey").key("new.key").is_in();
}

#[test]
fn a_key_can_be_pasted_on_a_terminal() {
    let cluster = Cluster::start(Plan::default());
    let public = key_file(&cluster, "new.key");
    let terminal = Terminal::ssh_words(&cluster, "ada", 100, 20, "", "-t", "clusteria key add");
    terminal.shows("Paste your public key");
    terminal.line(public.trim());
    terminal.shows("added SHA256:");
    terminal.shows("[ssh ended: 0]");
    Try::new(&cluster, "ada", "publickey").key("new.key").is_in();
}

#[test]
fn passwords_are_changed_by_who_knows_the_old_one() {
    let cluster = Cluster::start(Plan::default());
    let change =
        |input: &str| cluster.ssh("ada").run_with_input("clusteria password --account", input.as_bytes());
    for (input, words) in [
        ("wrong\nnew password\n", "old password is not right"),
        ("pw-ada\nshort\n", "8 characters"),
        ("pw-ada\n", "8 characters"),
        ("", "8 characters"),
    ] {
        let refused = change(input);
        assert!(refused.status == 1 && refused.stderr.contains(words), "{input:?}: {refused:?}");
    }
    let password = |word: &str| Try::new(&cluster, "ada", "password").password(word);
    password("pw-ada").is_in();
    change("pw-ada\na new password\n").success();
    password("pw-ada").is_out();
    password("a new password").is_in();

    let terminal = Terminal::ssh_words(&cluster, "ada", 100, 20, "", "-t", "clusteria password --account");
    for (prompt, typed) in
        [("Old password:", "a new password"), ("New password:", "yet another"), ("Again:", "yet another")]
    {
        terminal.shows(prompt);
        terminal.line(typed);
    }
    let screen = terminal.shows("[ssh ended: 0]");
    assert!(screen.contains("is changed") && !screen.contains("another"), "{screen}");
    password("yet another").is_in();
    let elsewhere =
        cluster.ssh("bob").run_with_input("clusteria password --account", b"pw-ada\nlong enough\n");
    assert_eq!(elsewhere.status, 1);
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// The code of the step after the one that was used last, so that the test does not wait for the clock.
fn code(secret: &str, step: &mut u64) -> String {
    *step = (*step + 1).max(now() / 30);
    totp::code(secret, *step * 30).unwrap()
}

#[test]
fn a_second_factor_is_enrolled_asked_for_and_removed() {
    let cluster = Cluster::start(Plan::default());
    let begun = cluster.ssh("ada").run("clusteria totp").success().stdout;
    assert!(begun.contains("otpauth://totp/") && begun.contains("██"), "{begun}");
    let secret = begun.split("secret=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let wrong = cluster.ssh("ada").run("clusteria totp 000000");
    assert!(wrong.status == 1 && wrong.stderr.contains("not the code"), "{wrong:?}");
    let mut step = now() / 30 - 2;
    let first = code(&secret, &mut step);
    cluster.ssh("ada").run(&format!("clusteria totp {first}")).success();

    let by = |method, code: &str| Try::new(&cluster, "ada", method).password("pw-ada").code(code);
    by("password", "").is_out();
    by("keyboard-interactive", "000000").is_out();
    by("keyboard-interactive", &first).is_out();
    by("password,keyboard-interactive", &first).is_out();
    let second = code(&secret, &mut step);
    by("keyboard-interactive", &second).is_in();
    // Nobody gets in by the code alone, nor by another's password with it.
    Try::new(&cluster, "ada", "keyboard-interactive").password("wrong").code(&second).is_out();
    Try::new(&cluster, "bob", "password").password("pw-bob").is_in();
    // Keys are strong enough by themselves, by default.
    cluster.ssh("ada").run("clusteria status").success();
    let off = cluster.ssh("ada").run(&format!("clusteria totp off {second}"));
    assert_eq!(off.status, 1, "taken already: {off:?}");
    cluster.cli(&["user", "totp-off", "ada"]).success();
    by("password", "").is_in();
}

/// What a reservation's password opens is work: no second factor is asked with it, and the account stays shut.
#[test]
fn a_reservations_password_opens_the_work_and_not_the_account() {
    let mut cluster = Cluster::prepare(&Plan::default());
    append(&cluster, "[auth.totp]\nrequired = \"everybody\"\n");
    cluster.cli(&["user", "admin", "ada", "on"]).success();
    cluster.start_gateway();
    let reserved = cluster.ssh("ada").run("clusteria reserve --json").success().stdout;
    let facts: serde_json::Value = serde_json::from_str(&reserved).unwrap();
    let lent = facts["password"].as_str().unwrap().to_owned();
    let by = |method| Try::new(&cluster, "ada", method).password(&lent);
    for method in ["password", "keyboard-interactive"] {
        by(method).is_in();
        assert_eq!(by(method).run("id -un").success().stdout.trim(), "ada");
    }
    for account in
        ["clusteria key add x", "clusteria password --account", "clusteria totp", "clusteria key remove x"]
    {
        let refused = by("password").run(account);
        assert!(refused.status == 1 && refused.stderr.contains("reservation's own password"), "{refused:?}");
    }
    assert_eq!(by("password").run("clusteria admin list").status, 1);
    cluster.ssh("ada").run("clusteria admin list").success();
    // The account's own password is half of what it takes.
    Try::new(&cluster, "ada", "password").password("pw-ada").is_out();
    cluster.ssh("ada").run("clusteria release").success();
    by("password").is_out();
}

#[test]
fn the_directorys_group_says_who_must_have_a_second_factor() {
    let mut cluster = Cluster::prepare(&Plan { users: &["ada"], ..Plan::default() });
    let slapd = Slapd::start("");
    std::fs::write(cluster.path("ldap-password"), "readerpw\n").unwrap();
    let urls = [format!("ldaps://127.0.0.1:{}", slapd.ldaps)];
    let ldap = searching(&urls, &slapd.path("ca.pem"), &cluster.path("ldap-password"));
    let group = "totp_group = \"cn=admins,ou=groups,dc=lab,dc=test\"\n";
    append(&cluster, &(ldap.trim_end().to_owned() + "\n" + group));
    cluster.start_gateway();
    for (name, is_in) in [("ada", true), ("lia", true), ("max", false)] {
        let one = Try::new(&cluster, name, "password").password(&format!("pw-{name}"));
        if is_in { one.is_in() } else { drop(one.is_out()) }
    }
    let max = "keyboard-interactive";
    let terminal_said = Try::new(&cluster, "max", max).password("pw-max").code("000000").talkative().is_out();
    assert!(terminal_said.stderr.contains("Permission denied"), "{terminal_said:?}");
    assert!(cluster.log().contains("wrong code"), "{}", cluster.log());
}

#[test]
fn who_must_have_a_second_factor_makes_it_at_the_login() {
    let mut cluster = Cluster::prepare(&Plan::default());
    append(&cluster, "[auth.totp]\nrequired = \"admins\"\nafter = [\"password\", \"publickey\"]\n");
    cluster.cli(&["user", "admin", "ada", "on"]).success();
    cluster.start_gateway();
    Try::new(&cluster, "bob", "password").password("pw-bob").is_in();
    Try::new(&cluster, "bob", "publickey").key("bob.key").is_in();
    Try::new(&cluster, "ada", "publickey").key("ada.key").is_out();
    // The secret is shown with the prompt for its first code: read there, it is typed at once.
    let terminal = Terminal::ssh_words(&cluster, "ada", 120, 50, "", "-t", "clusteria status");
    let screen = terminal.shows("Code:");
    let secret = screen.split("secret=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let mut step = now() / 30 - 2;
    terminal.line(&code(&secret, &mut step));
    terminal.shows("[ssh ended: 0]");
    let both =
        |code: &str| Try::new(&cluster, "ada", "publickey,keyboard-interactive").key("ada.key").code(code);
    both("000000").is_out();
    both(&code(&secret, &mut step)).is_in();
}
