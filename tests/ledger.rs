//! The ledger full, damaged, lost, or put back from an old copy: who works goes on working.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::path::Path;
use std::process::Command;

use common::{Cluster, Plan, SOON, eventually};

const THREE: &[&str] = &["ada", "bob", "eve"];

fn slots_are_free(cluster: &Cluster) -> bool {
    let view = cluster.ssh("bob").run("clusteria machines --json").success().stdout;
    !view.contains("\"state\":\"starting\"") && !view.contains("\"state\":\"ending\"")
}

fn facts(cluster: &Cluster, user: &str) -> [serde_json::Value; 3] {
    let mine = &cluster.status(user)["reservation"];
    ["id", "slot", "deadline"].map(|fact| mine[fact].clone())
}

fn uid(cluster: &Cluster, user: &str) -> String {
    cluster.ssh(user).run("id -u").success().stdout
}

/// Only the files: the folder may be a mount.
/// All but the key of agents on other machines, which is no part of it.
fn remove_ledger(cluster: &Cluster) {
    for file in std::fs::read_dir(cluster.path("ledger")).unwrap().flatten() {
        if file.file_name() != "agents.key" {
            std::fs::remove_file(file.path()).unwrap();
        }
    }
}

fn add_again(cluster: &Cluster, users: &[&str]) {
    for user in users {
        let _ = std::fs::remove_file(cluster.path(&format!("{user}.key")));
        let _ = std::fs::remove_file(cluster.path(&format!("{user}.key.pub")));
        cluster.add_user(user);
    }
}

/// The ledger's folder on a full file system of its own.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Self {
        std::fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(at).status();
        assert!(mounted.unwrap().success(), "mounting a tmpfs needs root");
        Self(at.to_owned())
    }

    fn fill(&self) {
        use std::io::Write as _;
        let filler = std::fs::File::options().append(true).create(true).open(self.0.join("filler"));
        // To the last byte; the error is what is wanted.
        let _ = filler.unwrap().write_all(&vec![0; 1 << 20]);
    }

    fn empty(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l"]).arg(&self.0).status();
    }
}

/// How the ledger says that somebody's last reservation ended.
fn written_reason(cluster: &Cluster, user: &str) -> String {
    let ledger = rusqlite::Connection::open(cluster.path("ledger/clusteria.db")).unwrap();
    let last = "SELECT coalesce(reason, '') FROM reservations WHERE user = ?1 ORDER BY id DESC LIMIT 1";
    ledger.query_row(last, [user], |row| row.get(0)).unwrap()
}

fn refused_for_want_of_room(cluster: &Cluster) -> String {
    let ran = eventually("the ledger is full", SOON, || {
        let ran = cluster.ssh("bob").run("clusteria reserve");
        if ran.status == 0 {
            cluster.ssh("bob").run("clusteria release").success();
        }
        (ran.status == 1 && ran.stderr.contains("No new reservations")).then_some(ran)
    });
    ran.stderr
}

#[test]
fn a_full_disk_under_the_ledger_refuses_new_reservations_and_nothing_else() {
    let mut cluster = Cluster::prepare(&Plan { users: &[], slots: vec![2], ..Plan::default() });
    let disk = SmallDisk::mount(&cluster.path("ledger"));
    for user in ["ada", "bob"] {
        cluster.add_user(user);
    }
    cluster.start_gateway();
    cluster.ssh("ada").run("clusteria reserve").success();
    let before = facts(&cluster, "ada");
    disk.fill();
    let refused = refused_for_want_of_room(&cluster);
    assert!(refused.contains("the ledger cannot be written: disk full"), "{refused}");
    eventually("the log has it", SOON, || cluster.log().contains("start failed").then_some(()));
    cluster.ssh("ada").run("true").success();
    assert_eq!(cluster.running(), [format!("clusteria-{}-gpu1-1", cluster.name)]);
    eventually("no slot is left taken", SOON, || slots_are_free(&cluster).then_some(()));
    // A gateway that is started on a full disk finds who works, and lets them in.
    cluster.kill_gateway();
    cluster.start_gateway();
    assert_eq!(facts(&cluster, "ada"), before);
    cluster.ssh("ada").run("true").success();
    let refused = refused_for_want_of_room(&cluster);
    assert!(refused.contains("disk full"), "{refused}");
    // Who gives back gives back; it is written down when there is room, and everything goes on without a restart.
    cluster.ssh("ada").run("clusteria release").success();
    eventually("the container is gone", SOON, || cluster.containers().is_empty().then_some(()));
    disk.empty();
    cluster.ssh("bob").run("clusteria reserve").success();
    eventually("the end is written", SOON, || (written_reason(&cluster, "ada") == "released").then_some(()));
    cluster.kill_gateway();
    cluster.start_gateway();
    assert_eq!(cluster.status("ada")["last"]["reason"], "released");
    // The same after a clean stop, which leaves no room for anything: the ledger is used all the same.
    let before = facts(&cluster, "bob");
    disk.fill();
    cluster.stop_gateway();
    disk.fill();
    cluster.start_gateway();
    assert_eq!(facts(&cluster, "bob"), before);
    cluster.ssh("bob").run("true").success();
    let refused = cluster.ssh("ada").run("clusteria reserve");
    assert!(refused.status == 1 && refused.stderr.contains("disk full"), "{}", refused.stderr);
    disk.empty();
    cluster.ssh("ada").run("clusteria reserve").success();
    drop(cluster);
    drop(disk);
}

#[test]
fn a_ledger_that_was_lost_comes_back_with_everybodys_work_and_user_ids() {
    let mut cluster = Cluster::start(Plan { slots: vec![3], users: THREE, ..Plan::default() });
    let before: Vec<_> = THREE
        .iter()
        .map(|user| {
            cluster.ssh(user).run("clusteria reserve").success();
            (facts(&cluster, user), uid(&cluster, user))
        })
        .collect();
    cluster.kill_gateway();
    remove_ledger(&cluster);
    cluster.start_gateway();
    assert_eq!(cluster.running().len(), 3);
    // In another order than at first: the ids are those that their files carry.
    add_again(&cluster, &["eve", "bob", "ada"]);
    for (user, (facts_before, uid_before)) in THREE.iter().zip(&before) {
        assert_eq!(&facts(&cluster, user), facts_before, "{user}");
        assert_eq!(&uid(&cluster, user), uid_before, "{user}");
        cluster.ssh(user).run("clusteria release").success();
    }
    eventually("all is free", SOON, || cluster.containers().is_empty().then_some(()));
    for (user, (_, uid_before)) in THREE.iter().zip(&before) {
        assert_eq!(&uid(&cluster, user), uid_before, "{user} in a new container");
    }
}

#[test]
fn an_old_copy_that_is_put_back_takes_nothing_from_who_works_now() {
    let mut cluster = Cluster::start(Plan { slots: vec![2, 1], users: &["ada", "bob"], ..Plan::default() });
    cluster.ssh("ada").run("clusteria reserve gpu1/1").success();
    let copy = cluster.path("copy.db");
    let said = cluster.cli(&["backup", copy.to_str().unwrap()]).success().stdout;
    assert!(said.contains("the ledger as it is now"), "{said}");
    // What the copy does not know: ada is elsewhere, bob is where she was, eve is new.
    cluster.ssh("ada").run("clusteria release").success();
    eventually("the slot is free", SOON, || cluster.containers().is_empty().then_some(()));
    cluster.ssh("ada").run("clusteria reserve gpu2").success();
    cluster.ssh("bob").run("clusteria reserve gpu1/1").success();
    cluster.add_user("eve");
    cluster.ssh("eve").run("clusteria reserve gpu1/2").success();
    let before: Vec<_> = THREE.iter().map(|user| (facts(&cluster, user), uid(&cluster, user))).collect();
    cluster.kill_gateway();
    remove_ledger(&cluster);
    std::fs::copy(&copy, cluster.path("ledger/clusteria.db")).unwrap();
    cluster.start_gateway();
    add_again(&cluster, &["eve"]);
    for (user, (facts_before, uid_before)) in THREE.iter().zip(&before) {
        assert_eq!(&facts(&cluster, user), facts_before, "{user}");
        assert_eq!(&uid(&cluster, user), uid_before, "{user}");
    }
    assert_eq!(cluster.running().len(), 3);
}

#[test]
fn a_damaged_ledger_is_refused_with_what_to_do_and_what_runs_goes_on() {
    let mut cluster = Cluster::start(Plan::default());
    cluster.ssh("ada").run("clusteria reserve").success();
    let before = facts(&cluster, "ada");
    cluster.stop_gateway();
    let ledger = cluster.path("ledger/clusteria.db");
    std::fs::write(&ledger, vec![b'?'; 40_000]).unwrap();
    let ran = cluster.cli(&["serve"]);
    assert_eq!(ran.status, 1);
    assert!(ran.stderr.contains("is damaged") && ran.stderr.contains("clusteria backup"), "{}", ran.stderr);
    assert_eq!(cluster.running().len(), 1);
    std::fs::rename(&ledger, cluster.path("damaged.db")).unwrap();
    cluster.start_gateway();
    add_again(&cluster, &["ada"]);
    assert_eq!(facts(&cluster, "ada"), before);
    cluster.ssh("ada").run("true").success();
}
