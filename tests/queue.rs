//! The queue with real clients and a real engine: places, turns, and who does not come.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use common::terminal::Terminal;
use common::{Cluster, Plan, Running, SOON, eventually};
use serde_json::Value;

/// One slot, which ada has.
fn taken(reservation: &'static str) -> Cluster {
    let users = &["ada", "bob", "eve"];
    let cluster = Cluster::start(Plan { slots: vec![1], users, reservation, ..Plan::default() });
    cluster.ssh("ada").run("clusteria reserve").success();
    cluster
}

fn place(cluster: &Cluster, user: &str) -> Value {
    cluster.status(user)["queue"].clone()
}

fn comes_to(cluster: &Cluster, user: &str) {
    eventually(&format!("it is {user}'s turn"), SOON, || {
        (place(cluster, user)["held"]["slot"] == "gpu1/1").then_some(())
    });
}

#[test]
fn places_are_kept_over_a_crash_and_a_turn_is_its_holders_alone() {
    let mut cluster = taken("hold = \"1m\"");
    let refused = cluster.ssh("bob").run("clusteria reserve");
    assert_eq!(refused.status, 1);
    assert!(
        refused.stderr.contains("frees in") && refused.stderr.contains("clusteria queue join"),
        "{}",
        refused.stderr
    );
    let joined = cluster.ssh("bob").run("clusteria queue join gpu1").success().stdout;
    assert!(
        joined.contains("You are number 1 in the queue for gpu1") && joined.contains("at the latest"),
        "{joined}"
    );
    let joined: Value =
        serde_json::from_str(&cluster.ssh("eve").run("clusteria queue join --json").success().stdout)
            .unwrap();
    assert_eq!(joined["waiting"]["place"], 2);
    cluster.kill_gateway();
    cluster.start_gateway();
    for (user, number) in [("bob", 1), ("eve", 2)] {
        assert_eq!(place(&cluster, user)["place"], number, "{user}");
    }
    let shown = cluster.ssh("ada").run("clusteria queue").success().stdout;
    assert!(shown.contains("bob for gpu1, waiting for") && !shown.contains("queue join"), "{shown}");
    let has_one = cluster.ssh("ada").run("clusteria queue join");
    assert!(has_one.status == 1 && has_one.stderr.contains("already hold gpu1/1"), "{}", has_one.stderr);
    cluster.ssh("ada").run("clusteria release").success();
    comes_to(&cluster, "bob");
    assert_eq!(place(&cluster, "eve")["place"], 1);
    let status = cluster.ssh("bob").run("clusteria status").success().stdout;
    assert!(status.contains("It is your turn: gpu1/1 is held for you until"), "{status}");
    // Neither by asking nor by connecting.
    for words in ["clusteria reserve", "clusteria reserve gpu1/1", "true"] {
        let refused = cluster.ssh("eve").run(words);
        assert!(
            refused.status != 0 && refused.stderr.contains("gpu1/1 is held for bob"),
            "{words}: {refused:?}"
        );
    }
    assert!(cluster.ssh("eve").run("clusteria machines").stdout.contains("held for bob"));
    // An editor of the one whose turn it is just connects.
    cluster.ssh("bob").run("true").success();
    assert_eq!(cluster.status("bob")["reservation"]["slot"], "gpu1/1");
    assert!(place(&cluster, "bob").is_null());
    cluster.ssh("eve").run("clusteria queue leave").success();
    let left = cluster.ssh("eve").run("clusteria queue leave");
    assert!(left.status == 1 && left.stderr.contains("not in the queue"), "{}", left.stderr);
}

#[test]
fn who_does_not_come_is_out_and_told_so_and_the_next_one_has_the_turn() {
    let cluster = taken("hold = \"2s\"");
    for user in ["bob", "eve"] {
        cluster.ssh(user).run("clusteria queue join").success();
    }
    let mut waits = cluster.ssh("eve").command("clusteria queue wait");
    let mut waits = Running(waits.stdout(Stdio::piped()).spawn().unwrap());
    let mut said = BufReader::new(waits.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(said.next().unwrap().contains("You are number 2 in the queue"));
    cluster.ssh("ada").run("clusteria release").success();
    let missed = eventually("bob's turn passes", SOON, || {
        let missed = cluster.status("bob")["missed"].clone();
        (!missed.is_null()).then_some(missed)
    });
    assert_eq!(missed["slot"], "gpu1/1");
    // Eve stayed on the line, and has it at once.
    let rest: Vec<String> = said.collect();
    assert!(rest.iter().any(|line| line.contains("gpu1/1 is yours for")), "{rest:?}");
    assert!(waits.0.wait().unwrap().success());
    assert_eq!(cluster.status("eve")["reservation"]["slot"], "gpu1/1");
    let bob = Terminal::ssh(&cluster, "bob", 110, 30, "");
    bob.shows("It was your turn in the queue: gpu1/1 was held for you until");
    let status = cluster.ssh("bob").run("clusteria status").success().stdout;
    assert!(status.contains("It was your turn"), "{status}");
}

#[test]
fn the_menu_of_a_full_cluster_offers_the_queue_and_shows_the_turn_as_it_comes() {
    let cluster = taken("hold = \"1m\"");
    let bob = Terminal::ssh(&cluster, "bob", 110, 30, "");
    bob.shows("w wait in line");
    bob.keys(&["w"]);
    bob.shows("You are number 1 in the queue for");
    cluster.ssh("eve").run("clusteria queue join").success();
    bob.shows("eve for any slot");
    // Leaving the menu is not leaving the queue.
    bob.keys(&["q"]);
    bob.shows("[ssh ended: 0]");
    assert_eq!(place(&cluster, "bob")["place"], 1);
    let bob = Terminal::ssh(&cluster, "bob", 110, 30, "LC_ALL=fr_FR.UTF-8");
    bob.shows("Vous êtes numéro 1 dans la file");
    cluster.ssh("ada").run("clusteria release").success();
    bob.shows("C'est votre tour : gpu1/1 vous est gardée jusqu'à");
    bob.keys(&["Enter"]);
    bob.shows("gpu1/1 est à vous");
    bob.keys(&["Enter"]);
    bob.shows("gpu1/1 ·");
    // And whoever logs in when it is their turn already sees it first.
    cluster.ssh("bob").run("clusteria release").success();
    comes_to(&cluster, "eve");
    let eve = Terminal::ssh(&cluster, "eve", 110, 30, "");
    eve.shows("It is your turn: gpu1/1 is held for you until");
    eve.keys(&["x"]);
    eve.shows("● free");
}

#[test]
fn administrators_see_the_queue_and_take_people_out() {
    let cluster = taken("");
    cluster.ssh("bob").run("clusteria queue join").success();
    let list = cluster.cli(&["admin", "list"]).success().stdout;
    assert!(list.contains("bob for any slot, waiting for"), "{list}");
    let list: Value =
        serde_json::from_str(&cluster.cli(&["admin", "list", "--json"]).success().stdout).unwrap();
    assert_eq!(list["queue"][0]["user"], "bob");
    let out = cluster.cli(&["admin", "end", "bob"]).success().stdout;
    assert!(out.contains("bob is out of the queue"), "{out}");
    assert!(place(&cluster, "bob").is_null());
    assert_eq!(cluster.cli(&["admin", "end", "bob"]).status, 1);
}

#[test]
fn a_place_that_is_not_there_is_said_also_to_who_has_one() {
    let cluster = taken("");
    for login in ["ada+gpu9", "bob+gpu9", "ada+gpu1/9"] {
        let refused = cluster.ssh(login).run("true");
        let place = login.split('+').nth(1).unwrap();
        assert!(refused.status == 255 && refused.stderr.contains("There is no "), "{login}: {refused:?}");
        assert!(refused.stderr.contains(place), "{login}: {refused:?}");
    }
    let other = cluster.ssh("bob").run("clusteria queue join gpu9");
    assert!(other.status == 1 && other.stderr.contains("no machine gpu9"), "{}", other.stderr);
}
