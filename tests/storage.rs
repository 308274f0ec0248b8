//! /storage as it is handed out: the 10 GB that `deploy/storage/volume make` takes by itself, filled from a container to the last byte.
//!
//! It needs 11 GB of disk below `TMPDIR` for as long as it runs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[allow(dead_code, reason = "the page's own tests need more")]
#[path = "page/raw.rs"]
mod raw;
#[allow(dead_code, reason = "the page's own tests need more")]
#[path = "page/site.rs"]
mod site;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use common::echo::{echo_times, middle_and_worst};
use common::terminal::Terminal;
use common::{Plan, Ran, SOON, eventually, run};
use raw::Visitor;
use site::Site;

/// What it is sold as.
const SIZE: u64 = 10_000_000_000;
/// Taken in advance, so that only the last part is written: all of it would be the disk's test.
const REST: u64 = 300_000_000;

/// What the script makes when it is not told a size.
struct Volume(tempfile::TempDir);

impl Volume {
    fn make() -> Self {
        let volume = Self(tempfile::Builder::new().prefix("ct-storage-").tempdir().unwrap());
        fs::set_permissions(volume.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
        volume.script("make", &[]).success();
        volume
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("storage")
    }

    /// Blocks of 512 bytes that the file which holds it takes of this machine's disk.
    fn blocks(&self) -> u64 {
        fs::metadata(self.0.path().join("storage.img")).unwrap().blocks()
    }

    fn script(&self, word: &str, more: &[&str]) -> Ran {
        let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/storage/volume"));
        script.arg(word).arg("--folder").arg(self.folder());
        for (option, file) in [("--image", "storage.img"), ("--fstab", "fstab")] {
            script.arg(option).arg(self.0.path().join(file));
        }
        run(script.args(more), b"")
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let removed = self.script("remove", &["--data"]);
        if removed.status != 0 {
            eprintln!("{removed:?}");
            let _ = Command::new("umount").arg("--lazy").arg(self.folder()).status();
        }
    }
}

/// Everywhere that somebody may look.
struct Told<'a> {
    site: &'a Site,
    visitor: Visitor,
}

impl Told<'_> {
    /// Whoever looks is told that it is full.
    fn is_full(&self) -> bool {
        let cluster = &self.site.cluster;
        let page = self.visitor.get(&self.site.url, "/reservation").body;
        let texts = [
            cluster.ssh("ada").run("clusteria status").success().stdout,
            cluster.ssh("bob").run("clusteria status").success().stdout,
            cluster.ssh("bob").run("clusteria machines").success().stdout,
            cluster.cli(&["admin", "list"]).success().stdout,
            page,
        ];
        texts.iter().all(|text| text.contains(" %): full"))
    }
}

#[test]
fn ten_gigabytes_are_a_wall_that_everybody_is_told_of() {
    let began = Instant::now();
    // Dropped last: whoever has it mounted must be gone.
    let volume = Volume::make();
    let made = began.elapsed();
    let more = format!(
        "[[mount]]\ntarget = \"/storage\"\nsource = \"{}\"\n[audit]\npath = \"audit.jsonl\"\n",
        volume.folder().display()
    );
    let site = Site::start(Plan { more, ..Plan::default() });
    let cluster = &site.cluster;
    for user in ["ada", "bob"] {
        cluster.ssh(user).run("clusteria reserve").success();
    }
    let ada = |words: &str| cluster.ssh("ada").run(words);
    let bob = |words: &str| cluster.ssh("bob").run(words);
    let sum = "sha256sum /storage/bob";
    bob("head -c 5000000 /dev/urandom > /storage/bob").success();
    let bobs = bob(sum).success().stdout;
    let terminals = [
        (Terminal::ssh(cluster, "ada", 150, 30, ""), "/storage is full ("),
        (Terminal::ssh(cluster, "bob", 150, 30, "LC_ALL=fr_FR.UTF-8"), "/storage est plein ("),
    ];
    for (terminal, _) in &terminals {
        terminal.shows("gpu1/");
    }
    let told = Told { site: &site, visitor: Visitor::sign_in(&site.url, "ada") };
    let blocks = volume.blocks();
    assert!(blocks * 512 >= SIZE, "its space is taken in advance: {blocks}");
    let quiet = middle_and_worst(&echo_times(cluster, "bob", 200));

    // A user's own file, to the last byte; her neighbour types meanwhile.
    let fill = format!(
        "id -u; room=$(df -B 1 --output=avail /storage | tail -n 1); fallocate -l $((room - {REST})) /storage/big && \
         dd if=/dev/zero of=/storage/big bs=1M oflag=append conv=notrunc; echo $?; stat -c %s /storage/big; \
         echo fine > ~/own && cat ~/own"
    );
    let over = AtomicBool::new(false);
    let (filled, took, busy) = std::thread::scope(|scope| {
        let filling = scope.spawn(|| {
            let began = Instant::now();
            let filled = ada(&fill);
            over.store(true, Ordering::Relaxed);
            (filled, began.elapsed())
        });
        let mut times = Vec::new();
        while !over.load(Ordering::Relaxed) || times.len() < 200 {
            times.extend(echo_times(cluster, "bob", 50));
        }
        times.sort_unstable();
        let (filled, took) = filling.join().unwrap();
        (filled, took, middle_and_worst(&times))
    });
    let lines: Vec<&str> = filled.stdout.lines().collect();
    assert_ne!(lines[0], "0", "no root");
    assert_eq!((lines[1], lines[3]), ("1", "fine"), "her container has room: {filled:?}");
    assert!(filled.stderr.contains("No space left on device"), "{filled:?}");
    let size: u64 = lines[2].parse().unwrap();
    // The rest is the file system's own: its tables and its journal.
    assert!(size > SIZE * 96 / 100 && size < SIZE, "{size}");
    eprintln!(
        "made in {made:.1?}; {size} bytes fit, the last {REST} written in {took:.1?}; \
         the neighbour's echo, middle and 99th of 100, µs: quiet {quiet:?}, meanwhile {busy:?}"
    );

    // Everybody is told, where they are and where they look.
    for (terminal, words) in &terminals {
        terminal.shows(words);
    }
    eventually("everybody is told", SOON, || told.is_full().then_some(()));
    let menu = Terminal::ssh_words(cluster, "bob", 100, 30, "", "-t", "clusteria menu");
    menu.shows("GiB · full");
    let doctor = cluster.cli(&["doctor"]).stdout;
    let found = doctor.lines().find(|line| line.contains("mount /storage")).unwrap_or(&doctor);
    assert!(found.starts_with("ERROR   gpu1: mount /storage: full: "), "{doctor}");
    let audit = fs::read_to_string(cluster.path("audit.jsonl")).unwrap();
    assert!(audit.contains("\"kind\":\"store full\""), "{audit}");
    assert!(volume.script("status", &[]).success().stdout.contains("100%"));

    // Nothing else is harmed: what others have there, this machine's disk, the ledger, a new container.
    let refused = bob("head -c 1000000 /dev/zero > /storage/more");
    assert!(refused.stderr.contains("No space left on device"), "{refused:?}");
    assert_eq!(bob(sum).success().stdout, bobs);
    assert!(volume.blocks() < blocks + 4000, "{} and {blocks}", volume.blocks());
    fs::write(cluster.path("of-this-machine"), vec![1; 50 << 20]).unwrap();
    let copy = cluster.path("copy.db").display().to_string();
    cluster.cli(&["backup", &copy]).success();
    cluster.add_user("eve");
    bob("clusteria release").success();
    eventually("it is free", SOON, || (cluster.running().len() == 1).then_some(()));
    assert_eq!(cluster.ssh("eve").run("cat /storage/bob | wc -c").success().stdout, "5000000\n");
    assert!(busy.0 < quiet.0 * 10 + 5000, "{quiet:?} {busy:?}");

    ada("rm /storage/big").success();
    eventually("there is room again", SOON, || {
        let text = cluster.ssh("eve").run("clusteria status").success().stdout;
        (!text.contains(": full")).then_some(())
    });
    cluster.ssh("eve").run("head -c 100000000 /dev/zero > /storage/more && rm /storage/more").success();
    eprintln!("all of it in {:.1?}", began.elapsed());
}
