//! What containers use is seen, and who must know of it is told: GPUs, memory, processes, storage.
//!
//! nvidia-smi is a stand-in here, mounted into the image: it prints what the test has written.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::terminal::Terminal;
use common::{Cluster, Plan, Running, SOON, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const GIB: u64 = 1 << 30;

/// Prints `/lab/gpus` and `/lab/apps`; hangs for as long as there is `/lab/hang`.
const SMI: &str = "#!/bin/sh\nwhile [ -e /lab/hang ]; do sleep 0.2; done\ncase \"$*\" in\n\
                   *query-gpu*) cat /lab/gpus ;;\n*compute-apps*) cat /lab/apps ;;\nesac\n";

struct Lab(tempfile::TempDir);

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let lab = Self(folder);
        lab.write("nvidia-smi", SMI);
        fs::set_permissions(lab.path("nvidia-smi"), fs::Permissions::from_mode(0o755)).unwrap();
        lab.gpu(1024, "");
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        // Aside first: it is read at any moment.
        fs::write(self.path("aside"), text).unwrap();
        fs::rename(self.path("aside"), self.path(name)).unwrap();
    }

    /// One GPU with so many MiB in use, and the processes on it.
    fn gpu(&self, used: u64, processes: &str) {
        self.write("gpus", &format!("0, GPU-fake-0, Fake H100, {used}, 81920, 45, 61\n"));
        self.write("apps", processes);
    }

    fn mounts(&self) -> String {
        format!(
            "[[mount]]\ntarget = \"/lab\"\nsource = \"{0}\"\nread_only = true\n\
             [[mount]]\ntarget = \"/usr/bin/nvidia-smi\"\nsource = \"{0}/nvidia-smi\"\nread_only = true\n",
            self.0.path().display()
        )
    }
}

fn usage(cluster: &Cluster, user: &str) -> serde_json::Value {
    cluster.status(user)["reservation"]["usage"].clone()
}

#[test]
fn use_is_in_status_machines_and_the_administrators_list() {
    let lab = Lab::new();
    let cluster = Cluster::start(Plan {
        container: "memory = \"256MiB\"\npids = 200\ncpus = 1.5",
        more: lab.mounts(),
        ..Plan::default()
    });
    cluster.ssh("ada").run("clusteria reserve").success();
    let pid = cluster.ssh("ada").run("nohup sleep 1000 >/dev/null 2>&1 & echo $!").success().stdout;
    lab.gpu(
        3072,
        &format!("GPU-fake-0, {}, 2048, /usr/bin/python3\nGPU-fake-0, 999999, 1024, other\n", pid.trim()),
    );
    let seen = eventually("the process is listed", SOON, || {
        let usage = usage(&cluster, "ada");
        let all = usage["processors_percent"].is_u64();
        (all && usage["gpus"]["listed"]["processes"][0]["command"] == "python3").then_some(usage)
    });
    let gpu = &seen["gpus"]["listed"]["gpus"][0];
    assert_eq!((&gpu["uuid"], &gpu["name"]), (&"GPU-fake-0".into(), &"Fake H100".into()));
    assert_eq!(gpu["memory_used"], 3 * GIB);
    assert_eq!((&gpu["busy_percent"], &gpu["celsius"]), (&45.into(), &61.into()));
    assert_eq!(seen["gpus"]["listed"]["processes"].as_array().unwrap().len(), 1, "not the neighbours'");
    assert_eq!(seen["memory"]["limit"], 256 << 20);
    assert!(seen["memory"]["used"].as_u64().unwrap() > 0);
    assert_eq!(seen["processes"]["limit"], 200);
    assert!(seen["processors_percent"].is_u64() && seen["load_hundredths"].is_u64(), "{seen}");

    let text = cluster.ssh("ada").run("clusteria status").success().stdout;
    assert!(
        text.contains("limits: memory 256 MiB · 1.5 processors · /dev/shm 1 GiB · 200 processes"),
        "{text}"
    );
    assert!(text.contains("GPU 0 Fake H100 · memory 3 GiB of 80 GiB · busy 45 % · 61 °C"), "{text}");
    assert!(text.contains("python3 · 2 GiB"), "{text}");
    let french =
        cluster.ssh("ada").option("-oSetEnv=LANG=fr_FR.UTF-8").run("clusteria status").success().stdout;
    assert!(french.contains("mémoire 3 Gio sur 80 Gio"), "{french}");

    let others = eventually("bob sees how much, not what", SOON, || {
        let text = cluster.ssh("bob").run("clusteria machines --json").success().stdout;
        let view: serde_json::Value = serde_json::from_str(&text).unwrap();
        let usage = view["machines"][0]["slots"][0]["usage"].clone();
        (usage["gpus"]["listed"]["gpus"][0]["memory_used"] == 3 * GIB).then_some(usage)
    });
    assert!(others["gpus"]["listed"]["processes"].is_null());
    let lines = cluster.ssh("bob").run("clusteria machines").success().stdout;
    assert!(lines.contains("GPU 3 GiB of 80 GiB · 45 %"), "{lines}");
    let admin = cluster.cli(&["admin", "list", "--json"]).success().stdout;
    let list: serde_json::Value = serde_json::from_str(&admin).unwrap();
    let listed = &list["machines"][0]["slots"][0]["usage"]["gpus"]["listed"];
    assert_eq!(listed["processes"][0]["command"], "python3");
    assert!(cluster.cli(&["admin", "list"]).success().stdout.contains("GPU 3 GiB of 80 GiB"));

    let terminal = Terminal::ssh(&cluster, "ada", 120, 30, "");
    terminal.shows("limits: memory 256 MiB");
}

/// A driver that hangs: nobody waits for it, and it is said.
#[test]
fn a_driver_that_hangs_holds_nobody_up() {
    let lab = Lab::new();
    let cluster = Cluster::start(Plan { slots: vec![1], more: lab.mounts(), ..Plan::default() });
    cluster.ssh("ada").run("clusteria reserve").success();
    eventually("it answers", SOON, || usage(&cluster, "ada")["gpus"]["listed"].is_object().then_some(()));
    lab.write("hang", "");
    let slowest = eventually("it is said", Duration::from_secs(60), || {
        let began = Instant::now();
        let gpus = usage(&cluster, "ada")["gpus"].clone();
        let took = began.elapsed();
        let why = gpus["failed"]["why"].as_str().unwrap_or_default().to_owned();
        (why.contains("did not answer") || gpus["silent"].is_object()).then_some(took)
    });
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
    let text = cluster.ssh("ada").run("clusteria status").success().stdout;
    assert!(text.contains("GPU: nvidia-smi"), "{text}");
    fs::remove_file(lab.path("hang")).unwrap();
    eventually("it answers again", Duration::from_secs(60), || {
        usage(&cluster, "ada")["gpus"]["listed"].is_object().then_some(())
    });
}

#[test]
fn who_uses_more_than_the_slots_share_is_told_once_and_so_are_the_administrators() {
    let lab = Lab::new();
    let cluster = Cluster::start(Plan {
        slots: vec![1],
        slot: "gpu_memory = \"8GiB\"",
        more: format!("{}[audit]\npath = \"audit.jsonl\"\n", lab.mounts()),
        ..Plan::default()
    });
    cluster.ssh("ada").run("clusteria reserve").success();
    let variable = cluster.ssh("ada").run("echo $CLUSTERIA_GPU_MEMORY $TF_FORCE_GPU_ALLOW_GROWTH").success();
    assert_eq!(variable.stdout.trim(), format!("{} true", 8 * GIB));
    let (english, french) = (
        Terminal::ssh(&cluster, "ada", 150, 30, ""),
        Terminal::ssh(&cluster, "ada", 150, 30, "LANG=fr_FR.UTF-8"),
    );
    english.shows("gpu1/1 ·");
    french.shows("gpu1/1 ·");
    lab.gpu(9 * 1024, "");
    // Nobody looks: the agent asks every 20 s.
    english.shows_within("your programs use 9 GiB of GPU memory; the share of this slot is 8 GiB", SOON * 2);
    french.shows("vos programmes utilisent 9 Gio de mémoire GPU");
    lab.gpu(10 * 1024, "");
    eventually("the administrators see it", SOON, || {
        cluster.cli(&["admin", "list"]).success().stdout.contains("over its GPU share").then_some(())
    });
    let audit = || fs::read_to_string(cluster.path("audit.jsonl")).unwrap_or_default();
    eventually("it is in the audit log", SOON, || {
        audit().contains("\"kind\":\"over the GPU share\"").then_some(())
    });
    assert!(cluster.log().contains("over the GPU share"));
    assert!(cluster.ssh("ada").run("clusteria status").success().stdout.contains("over it"));
    assert_eq!(english.screen().matches("of GPU memory; the share").count(), 1, "once: {}", english.screen());
    // Less, then more again: told again.
    lab.gpu(1024, "");
    eventually("less is seen", SOON, || {
        (!cluster.ssh("ada").run("clusteria status").success().stdout.contains("over it")).then_some(())
    });
    lab.gpu(11 * 1024, "");
    english.shows_within("your programs use 11 GiB", SOON * 2);
}

/// A file system of its own, so small that it is soon full. In memory: there is no file server here.
struct Small(PathBuf);

impl Small {
    fn mount(path: PathBuf) -> Self {
        fs::create_dir_all(&path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=10m,mode=1777", "clusteria-test"]).arg(&path);
        assert!(mount.status().unwrap().success());
        Self(path)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l"]).arg(&self.0).status();
    }
}

#[test]
fn a_full_storage_is_told_everywhere_and_harms_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Small::mount(folder.path().join("storage"));
    let mount = format!("[[mount]]\ntarget = \"/storage\"\nsource = \"{}\"\n", storage.0.display());
    let cluster = Cluster::start(Plan { more: mount, ..Plan::default() });
    for user in ["ada", "bob"] {
        cluster.ssh(user).run("clusteria reserve").success();
    }
    let (ada, bob) = (
        Terminal::ssh(&cluster, "ada", 150, 30, ""),
        Terminal::ssh(&cluster, "bob", 150, 30, "LC_ALL=fr_FR.UTF-8"),
    );
    ada.shows("gpu1/1 ·");
    bob.shows("gpu1/2 ·");
    let state = eventually("its room is known", SOON, || {
        let state = usage(&cluster, "ada")["stores"][0].clone();
        state["state"]["space"].is_object().then_some(state)
    });
    assert_eq!(
        (&state["target"], &state["state"]["space"]["total"]),
        (&"/storage".into(), &(10 << 20).into())
    );
    let filled = cluster
        .ssh("ada")
        .run("head -c 20M /dev/zero > /storage/big; echo $?; echo fine > ~/own && cat ~/own");
    assert_eq!(filled.stdout, "1\nfine\n");
    assert!(filled.stderr.contains("No space left on device"), "{}", filled.stderr);
    ada.shows("/storage is full (100 %)");
    bob.shows("/storage est plein (100 %)");
    let status = cluster.ssh("bob").run("clusteria status").success().stdout;
    assert!(status.contains("/storage: 10 MiB of 10 MiB (100 %): full"), "{status}");
    eventually("lists have it", SOON, || {
        cluster.ssh("bob").run("clusteria machines").success().stdout.contains("(100 %): full").then_some(())
    });
    let doctor = cluster.cli(&["doctor"]).stdout;
    assert!(doctor.contains("ERROR   gpu1: mount /storage: full: 0 B free of 10 MiB"), "{doctor}");
    cluster.ssh("bob").run("rm -f /storage/big 2>/dev/null; true").success();
    assert!(Path::new(&storage.0).join("big").exists(), "others' files stay (sticky bit)");
    cluster.ssh("ada").run("rm /storage/big").success();
    eventually("there is room again", SOON, || {
        (!cluster.ssh("bob").run("clusteria status").success().stdout.contains(": full")).then_some(())
    });
}

/// A file server that stops answering: sshfs over a server that is stopped.
#[test]
fn a_dead_file_server_hangs_neither_the_agent_nor_a_login() {
    let folder = tempfile::tempdir().unwrap();
    let (exported, mounted) = (folder.path().join("exported"), folder.path().join("mounted"));
    fs::create_dir_all(&exported).unwrap();
    fs::create_dir_all(&mounted).unwrap();
    fs::set_permissions(&exported, fs::Permissions::from_mode(0o1777)).unwrap();
    let (theirs, ours) = UnixStream::pair().unwrap();
    let end = |stream: &UnixStream| Stdio::from(std::os::fd::OwnedFd::from(stream.try_clone().unwrap()));
    let mut server = Command::new("/usr/lib/openssh/sftp-server");
    let server = Running::start(server.stdin(end(&theirs)).stdout(end(&theirs)));
    let mut client = Command::new("sshfs");
    client.args(["-f", "-o", "passive,allow_other,dir_cache=no"]);
    client.arg(format!("host:{}", exported.display())).arg(&mounted).stdin(end(&ours)).stdout(end(&ours));
    let client = Running::start(&mut client);
    drop((theirs, ours));
    struct Unmount(PathBuf);
    impl Drop for Unmount {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        }
    }
    let unmount = Unmount(mounted.clone());
    fs::write(exported.join("there"), "").unwrap();
    eventually("it is mounted", SOON, || mounted.join("there").exists().then_some(()));

    let mount = format!("[[mount]]\ntarget = \"/storage\"\nsource = \"{}\"\n", mounted.display());
    let cluster = Cluster::start(Plan { slots: vec![1], more: mount, ..Plan::default() });
    cluster.ssh("ada").run("clusteria reserve").success();
    eventually("its room is known", SOON, || {
        usage(&cluster, "ada")["stores"][0]["state"]["space"].is_object().then_some(())
    });
    let terminal = Terminal::ssh(&cluster, "ada", 150, 30, "");
    terminal.shows("gpu1/1 ·");
    let pid = Pid::from_raw(i32::try_from(server.0.id()).unwrap());
    kill(pid, Signal::SIGSTOP).unwrap();
    terminal.shows_within("/storage does not answer", SOON);
    let began = Instant::now();
    let status = cluster.ssh("ada").run("clusteria status").success().stdout;
    assert!(status.contains("/storage: has not answered for"), "{status}");
    assert_eq!(cluster.ssh("ada").run("echo in").success().stdout, "in\n");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    kill(pid, Signal::SIGCONT).unwrap();
    eventually("it answers again", SOON, || {
        usage(&cluster, "ada")["stores"][0]["state"]["space"].is_object().then_some(())
    });
    cluster.ssh("ada").run("clusteria release").success();
    eventually("the container is gone", SOON, || cluster.containers().is_empty().then_some(()));
    drop((unmount, client, server));
}
