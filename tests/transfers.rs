//! Bytes: intact both ways, never stalled, and a sleeping reader is nobody else's problem.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Cluster, Plan, SOON, big_file, eventually, run};

const MIB: u64 = 1024 * 1024;

fn reserved() -> Cluster {
    let cluster = Cluster::start(Plan::default());
    cluster.ssh("ada").run("clusteria reserve gpu1/1").success();
    cluster
}

#[track_caller]
fn assert_same(left: &Path, right: &Path) {
    let same = Command::new("cmp").args([left, right]).status().unwrap();
    assert!(same.success(), "{} and {} differ", left.display(), right.display());
}

/// Reads to the end, comparing as it goes.
#[track_caller]
fn assert_reads(mut from: impl Read, expected: &Path) {
    let mut file = BufReader::with_capacity(1 << 20, File::open(expected).unwrap());
    let (mut got, mut want) = (vec![0; 1 << 18], vec![0; 1 << 18]);
    let mut offset = 0_u64;
    loop {
        let read = from.read(&mut got).unwrap();
        if read == 0 {
            break;
        }
        file.read_exact(&mut want[..read]).unwrap_or_else(|_| panic!("more than was sent, at {offset}"));
        assert!(got[..read] == want[..read], "bytes differ near {offset}");
        offset += read as u64;
    }
    assert_eq!(offset, fs::metadata(expected).unwrap().len(), "the tail is lost");
}

#[test]
fn a_hundred_megabytes_with_errors_apart_and_a_status() {
    let cluster = reserved();
    let file = big_file(cluster.folder.path(), 100 * MIB);
    let mut child = cluster
        .ssh("ada")
        .command("cat; echo err >&2; exit 7")
        .stdin(File::open(&file).unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert_reads(child.stdout.take().unwrap(), &file);
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!(errors, "err\n");
    assert_eq!(child.wait().unwrap().code(), Some(7));
}

/// What two known products fail: both directions at once, again and again, with rekeying in between.
#[test]
fn both_directions_at_once_never_stall() {
    let cluster = Cluster::start(Plan { ssh: "ciphers = \"all\"", ..Plan::default() });
    cluster.ssh("ada").run("clusteria reserve gpu1/1").success();
    let file = big_file(cluster.folder.path(), 1024 * MIB);
    for round in 0..20 {
        let rekey = if round % 5 == 4 { "-oRekeyLimit=64M" } else { "-oRekeyLimit=default" };
        let cipher =
            ["-caes128-gcm@openssh.com", "-cchacha20-poly1305@openssh.com", "-caes128-ctr"][round % 3];
        let mut child = cluster
            .ssh("ada")
            .option(rekey)
            .option(cipher)
            .command("cat")
            .stdin(File::open(&file).unwrap())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        assert_reads(child.stdout.take().unwrap(), &file);
        assert!(child.wait().unwrap().success(), "round {round}");
    }
}

#[test]
fn scp_sftp_rsync_and_git_keep_every_byte() {
    let cluster = reserved();
    let folder = cluster.folder.path();
    let file = big_file(folder, 20 * MIB);
    let port = cluster.port.to_string();
    let target = |path: &str| format!("{}:{path}", Cluster::host("ada"));
    for legacy in [&["-O"][..], &[]] {
        let back = folder.join("back");
        let scp = |from: &str, to: &str| {
            let mut command = Command::new("scp");
            command.args(["-q", "-P", &port]).args(legacy).args(cluster.options("ada")).args([from, to]);
            run(&mut command, b"").success();
        };
        scp(file.to_str().unwrap(), &target("up"));
        scp(&target("up"), back.to_str().unwrap());
        assert_same(&file, &back);
        fs::remove_file(back).unwrap();
    }
    let batch = format!("put {} s\nget s {}\nls -l s\n", file.display(), folder.join("by-sftp").display());
    let mut sftp = Command::new("sftp");
    sftp.args(["-q", "-b", "-", "-P", &port]).args(cluster.options("ada")).arg(Cluster::host("ada"));
    run(&mut sftp, batch.as_bytes()).success();
    assert_same(&file, &folder.join("by-sftp"));

    let tree = folder.join("tree");
    for number in 0..200 {
        let deep = tree.join(format!("d{}", number % 7));
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join(number.to_string()), vec![number as u8; number * 37]).unwrap();
    }
    let rsync = |from: &str, to: &str| {
        run(Command::new("rsync").args(["-a", "-e", &cluster.ssh_line("ada"), from, to]), b"").success();
    };
    rsync(&format!("{}/", tree.display()), &target("tree/"));
    rsync(&target("tree/"), &format!("{}/", folder.join("tree-back").display()));
    run(Command::new("diff").arg("-r").args([&tree, &folder.join("tree-back")]), b"").success();

    cluster.ssh("ada").run("git init -q repo && cd repo && git config user.email a@b && git config user.name a && cp ../up . && git add up && git commit -qm one").success();
    let mut clone = Command::new("git");
    clone
        .args(["clone", "-q", &target("repo"), "clone"])
        .current_dir(folder)
        .env("GIT_SSH_COMMAND", cluster.ssh_line("ada"));
    run(&mut clone, b"").success();
    assert_same(&file, &folder.join("clone/up"));
}

#[test]
fn a_gigabyte_by_sftp_arrives() {
    let cluster = reserved();
    cluster.ssh("ada").run("head -c 1G /dev/urandom > big && sha256sum big > sum").success();
    let folder = cluster.folder.path();
    let mut sftp = Command::new("sftp");
    sftp.args(["-q", "-b", "-", "-P", &cluster.port.to_string()])
        .args(cluster.options("ada"))
        .arg(Cluster::host("ada"));
    let batch = format!("lcd {}\nget big\nget sum\n", folder.display());
    run(&mut sftp, batch.as_bytes()).success();
    run(Command::new("sha256sum").args(["-c", "--status", "sum"]).current_dir(folder), b"").success();
}

/// One channel's reader sleeps; on the same connection others go on, and the gateway's memory stays put.
#[test]
fn a_stalled_channel_leaves_its_neighbours_alone() {
    let cluster = reserved();
    let control = format!("-oControlPath={}", cluster.path("control").display());
    let mut master =
        cluster.ssh("ada").option("-N").option("-M").option(&control).command("").spawn().unwrap();
    eventually("the master listens", SOON, || cluster.path("control").exists().then_some(()));
    let session = |words: &str| cluster.ssh("ada").option(&control).command(words);
    // Nobody reads this output: `yes` fills every buffer on the way and stops.
    let mut downward = session("yes").stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 4096];
    downward.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    // And this reader never reads what the client sends.
    let mut upward = session("sleep 600").stdin(Stdio::piped()).spawn().unwrap();
    let mut stuck = upward.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        let chunk = vec![b'z'; 1 << 20];
        while stuck.write_all(&chunk).is_ok() {}
    });
    let before = memory_kib(cluster.gateway_pid());
    let began = Instant::now();
    for _ in 0..20 {
        assert_eq!(run(&mut session("echo neighbour"), b"").success().stdout, "neighbour\n");
    }
    let file = big_file(cluster.folder.path(), 50 * MIB);
    let mut child = session("cat").stdin(File::open(&file).unwrap()).stdout(Stdio::piped()).spawn().unwrap();
    assert_reads(child.stdout.take().unwrap(), &file);
    child.wait().unwrap();
    assert!(began.elapsed() < Duration::from_secs(60), "neighbours were held up");
    let grown = memory_kib(cluster.gateway_pid()).saturating_sub(before);
    assert!(grown < 32 * 1024, "a stalled channel holds its window, not {grown} KiB");
    for mut child in [downward, upward, {
        master.kill().unwrap();
        master
    }] {
        let _ = child.kill();
        child.wait().unwrap();
    }
    writer.join().unwrap();
}

#[test]
fn ten_thousand_channels_on_one_connection_leave_nothing_behind() {
    let cluster = reserved();
    cluster.ssh("ada").run("echo hello > index.html").success();
    let server = "import http.server as h; h.ThreadingHTTPServer(('127.0.0.1', 8000), h.SimpleHTTPRequestHandler).serve_forever()";
    let mut http = cluster
        .ssh("ada")
        .command(&format!("exec python3 -c \"{server}\""))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let local = common::free_port();
    let mut forward = cluster
        .ssh("ada")
        .option("-N")
        .option(&format!("-L{local}:127.0.0.1:8000"))
        .command("")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let get = || -> Option<Vec<u8>> {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", local)).ok()?;
        stream.set_read_timeout(Some(SOON)).ok()?;
        stream.write_all(b"GET /index.html HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        answer.ends_with(b"hello\n").then_some(answer)
    };
    eventually("the server answers", SOON, get);
    for _ in 0..300 {
        get().expect("an answer");
    }
    let pid = cluster.gateway_pid();
    let (memory, descriptors) = (memory_kib(pid), open_files(pid));
    for number in 0..10_000 {
        get().unwrap_or_else(|| panic!("no answer to request {number}"));
    }
    let grown = memory_kib(pid).saturating_sub(memory);
    assert!(grown < 4 * 1024, "10,000 channels left {grown} KiB");
    eventually("descriptors are closed", SOON, || (open_files(pid) <= descriptors + 4).then_some(()));
    for child in [&mut forward, &mut http] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

fn memory_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}
