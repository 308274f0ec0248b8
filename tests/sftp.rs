//! Files by sftp and scp: through the image's own server, and through the agent's where the image has none.
//! The same commands are given to both and must come to the same.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Cluster, IMAGE, Plan, Ran, big_file, run};

/// Has no SFTP server, and nothing else either.
const EMPTY: &str = "clusteria/empty:1";
const MIB: u64 = 1024 * 1024;

fn cluster(image: &'static str) -> Cluster {
    let cluster = Cluster::start(Plan { image, ..Plan::default() });
    cluster.ssh("ada").run("clusteria reserve gpu1/1").success();
    cluster
}

/// Runs a batch; a line that begins with `-` may fail.
fn sftp(cluster: &Cluster, batch: &str) -> Ran {
    let mut command = Command::new("sftp");
    command.args(["-q", "-b", "-", "-P", &cluster.port.to_string()]);
    command.args(cluster.options("ada")).arg(Cluster::host("ada"));
    run(&mut command, batch.as_bytes())
}

fn folder(cluster: &Cluster, name: &str) -> PathBuf {
    let folder = cluster.path(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[track_caller]
fn assert_same(left: &Path, right: &Path) {
    run(Command::new("diff").arg("-r").args([left, right]), b"").success();
}

/// Without what differs by nature: sizes of directories, times, and the fold of columns.
fn facts(listing: &str) -> Vec<String> {
    let words = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [mode, _links, user, group, size, .., name] if mode.len() == 10 => {
                let size = if mode.starts_with('d') { "-" } else { size };
                format!("{mode} {user} {group} {size} {name}")
            }
            _ => line.to_owned(),
        }
    };
    listing.lines().map(words).collect()
}

const STORY: &str = "\
mkdir d
put small d/small
chmod 600 d/small
symlink small d/link
ln d/small d/hard
ls -la d
-rename -l d/small d/hard
rename d/hard d/other
-mkdir d
-rmdir d
-get d/nothing
-cd nowhere
rm d/link
ls -1 d
ls -ln d
pwd
";

#[test]
fn both_servers_tell_the_same_story() {
    let told = [IMAGE, EMPTY].map(|image| {
        let cluster = cluster(image);
        fs::write(cluster.path("small"), "small\n").unwrap();
        let story = format!("lcd {}\n{STORY}", cluster.folder.path().display());
        let ran = sftp(&cluster, &story).success();
        let errors = ran.stderr.lines().map(str::to_owned).collect::<Vec<_>>();
        let told: Vec<String> =
            facts(&ran.stdout).into_iter().filter(|line| !line.starts_with("sftp> lcd")).collect();
        (told, errors)
    });
    assert_eq!(told[0].0, told[1].0);
    assert_eq!(told[0].1, told[1].1);
    assert!(told[0].0.iter().any(|line| line.starts_with("-rw------- ada ada 6 ")), "{:?}", told[0]);
}

fn bytes_and_attributes_are_kept(image: &'static str) {
    let cluster = cluster(image);
    let here = folder(&cluster, "here");
    let big = big_file(cluster.folder.path(), 64 * MIB);
    fs::copy(&big, here.join("big")).unwrap();
    let tree = folder(&cluster, "here/tree");
    for number in 0..2000 {
        let deep = tree.join(format!("d{}", number % 7));
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join(number.to_string()), vec![number as u8; number % 1500]).unwrap();
    }
    fs::write(here.join("old"), "x").unwrap();
    fs::set_permissions(here.join("old"), fs::Permissions::from_mode(0o741)).unwrap();
    run(Command::new("touch").args(["-d", "2001-02-03T04:05:06Z"]).arg(here.join("old")), b"").success();
    let back = folder(&cluster, "back");
    let batch = format!(
        "lcd {}\nput big\nput -p old\nput -R tree\nlcd {}\nget -p old\nget -R tree\n",
        here.display(),
        back.display()
    );
    sftp(&cluster, &batch).success();
    assert_same(&tree, &back.join("tree"));
    let old = fs::metadata(back.join("old")).unwrap();
    assert_eq!(old.permissions().mode() & 0o7777, 0o741);
    let modified = old.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(modified.as_secs(), 981_173_106, "2001-02-03T04:05:06Z");

    // A transfer that was cut is taken up where it was cut.
    let begun = fs::read(&big).unwrap();
    fs::write(back.join("big"), &begun[..begun.len() / 3]).unwrap();
    sftp(&cluster, &format!("lcd {}\nget -a big\n", back.display())).success();
    assert_same(&big, &back.join("big"));
    fs::write(here.join("part"), &begun[..begun.len() / 2]).unwrap();
    let batch =
        format!("lcd {}\nput part grows\nput -a big grows\nrename grows grown\nget grown\n", here.display());
    sftp(&cluster, &batch).success();
    assert_same(&big, &here.join("grown"));

    let space = sftp(&cluster, "df -h .\n").success().stdout;
    assert!(space.contains("%Capacity"), "statvfs: {space}");
    let scp = |from: &str, to: &str| {
        let mut command = Command::new("scp");
        command.args(["-q", "-r", "-p", "-P", &cluster.port.to_string()]);
        run(command.args(cluster.options("ada")).args([from, to]), b"").success();
    };
    scp(tree.to_str().unwrap(), &format!("{}:by-scp", Cluster::host("ada")));
    scp(&format!("{}:by-scp", Cluster::host("ada")), back.join("by-scp").to_str().unwrap());
    assert_same(&tree, &back.join("by-scp"));
}

#[test]
fn the_images_server_keeps_bytes_and_attributes() {
    bytes_and_attributes_are_kept(IMAGE);
}

#[test]
fn the_agents_server_keeps_bytes_and_attributes() {
    bytes_and_attributes_are_kept(EMPTY);
}

#[test]
fn the_agents_server_has_the_users_rights_only() {
    let cluster = cluster(EMPTY);
    fs::write(cluster.path("x"), "x").unwrap();
    let lcd = format!("lcd {}\n", cluster.folder.path().display());
    for forbidden in
        ["put x /etc/x", "get /etc/shadow", "ls /.clusteria/run", "rm /etc/passwd", "chmod 777 /etc"]
    {
        let ran = sftp(&cluster, &format!("{lcd}{forbidden}\n"));
        assert_ne!(ran.status, 0, "{forbidden}: {ran:?}");
    }
    // scp on macOS with a terminal forced: raw bytes, and an exit status at the end.
    let forced =
        cluster.ssh("ada").option("-tt").option("-s").run_with_input("sftp", &[0, 0, 0, 5, 1, 0, 0, 0, 3]);
    assert_eq!((forced.status, &forced.bytes[4..9]), (0, &[2, 0, 0, 0, 3][..]));
}
