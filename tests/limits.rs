//! What a container may not: memory, processes, root, others' files. Each rule with its denial.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::atomic::{AtomicBool, Ordering};

use common::echo::{echo_times, middle_and_worst};
use common::terminal::Terminal;
use common::{Cluster, Plan, SOON, eventually};

/// Out of memory again and again, then a fork bomb, while somebody else types in the next container.
#[test]
fn out_of_memory_and_a_fork_bomb_are_told_and_leave_the_neighbour_alone() {
    let cluster = Cluster::start(Plan {
        container: "memory = \"128MiB\"\npids = 64\nshm = \"16MiB\"\ncpus = 0.5",
        ..Plan::default()
    });
    for user in ["ada", "bob"] {
        cluster.ssh(user).run("clusteria reserve").success();
    }
    // The kernel ends theirs, never the agent.
    assert_eq!(cluster.ssh("ada").run("cat /proc/self/oom_score_adj").success().stdout, "500\n");
    let terminal = Terminal::ssh(&cluster, "ada", 150, 40, "");
    terminal.shows("gpu1/1 ·");
    let quiet = middle_and_worst(&echo_times(&cluster, "bob", 200));

    let over = AtomicBool::new(false);
    let eats = "python3 -c 'b = b\"x\" * (400 << 20)'; echo status $?";
    let (first, oom) = std::thread::scope(|scope| {
        let eating = scope.spawn(|| {
            let first = cluster.ssh("ada").run(eats);
            while !over.load(Ordering::Relaxed) {
                cluster.ssh("ada").run(eats);
            }
            first
        });
        let oom = middle_and_worst(&echo_times(&cluster, "bob", 400));
        over.store(true, Ordering::Relaxed);
        (eating.join().unwrap(), oom)
    });
    assert_eq!(first.stdout, "status 137\n");
    terminal.shows("killed: over the memory limit of 128 MiB");
    let usage = &cluster.status("ada")["reservation"]["usage"];
    assert!(usage["oom_kills"].as_u64().unwrap() >= 1, "{usage}");

    terminal.line("bomb() { bomb | bomb & }; bomb 2>/dev/null");
    terminal.shows("the limit of processes is reached (64)");
    let bomb = middle_and_worst(&echo_times(&cluster, "bob", 400));
    eprintln!("echo, middle and 99th of 100, µs: quiet {quiet:?}, out of memory {oom:?}, fork bomb {bomb:?}");
    assert!(oom.0 < quiet.0 * 10 + 5000, "{quiet:?} {oom:?}");
    assert!(bomb.0 < quiet.0 * 10 + 5000, "{quiet:?} {bomb:?}");
    // Whoever has done this to themselves can give the place back.
    cluster.ssh("ada").run("clusteria release").success();
    eventually("the bomb is gone", SOON * 2, || (cluster.running().len() == 1).then_some(()));
    assert_eq!(cluster.ssh("bob").run("echo here").success().stdout, "here\n");
}

#[test]
fn the_limits_hold_and_so_do_the_mounts() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, storage) = (folder.path().join("dataset"), folder.path().join("storage"));
    for path in [&dataset, &storage] {
        fs::create_dir(path).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o1777)).unwrap();
    }
    fs::write(dataset.join("sign"), "stop\n").unwrap();
    let mounts = format!(
        "[[mount]]\ntarget = \"/dataset\"\nsource = \"{}\"\nread_only = true\n\
         [[mount]]\ntarget = \"/storage\"\nsource = \"{}\"\n",
        dataset.display(),
        storage.display()
    );
    let cluster = Cluster::start(Plan {
        slots: vec![1, 1],
        container: "memory = \"256MiB\"\npids = 100\nshm = \"32MiB\"\ncpus = 0.5",
        more: mounts,
        ..Plan::default()
    });
    cluster.ssh("ada").run("clusteria reserve gpu1").success();
    let run = |words: &str| cluster.ssh("ada").run(words);
    assert_eq!(run("cat /dataset/sign").success().stdout, "stop\n");
    let refused = run("echo x > /dataset/x");
    assert!(refused.status != 0 && refused.stderr.contains("Read-only file system"), "{refused:?}");
    assert!(run("rm /dataset/sign").stderr.contains("Read-only file system"));
    assert_eq!(
        run("df -B1 --output=size /dev/shm | tail -1").success().stdout.trim(),
        (32 << 20).to_string()
    );
    assert!(run("head -c 64M /dev/zero > /dev/shm/x").stderr.contains("No space left"));
    run("rm /dev/shm/x").success();
    // Half a processor: a second of wall time gives half a second of work, with generous room.
    let busy = run(
        "python3 -c 'import time; e = time.time() + 2\nwhile time.time() < e: pass\nprint(time.process_time())'",
    );
    let worked: f64 = busy.success().stdout.trim().parse().unwrap();
    assert!(worked < 1.5, "{worked}");

    // The same user id on every machine, and files belong to who made them.
    run("echo mine > /storage/ada; mkdir -m 1777 /storage/open").success();
    let uid: u32 = run("id -u").success().stdout.trim().parse().unwrap();
    assert_eq!(fs::metadata(storage.join("ada")).unwrap().uid(), uid);
    cluster.ssh("bob").run("clusteria reserve gpu2").success();
    let bobs =
        cluster.ssh("bob").run("cat /storage/ada && id -u; echo x >> /storage/ada; rm -f /storage/ada");
    assert_eq!(bobs.stdout.lines().next(), Some("mine"), "everybody reads");
    assert_ne!(bobs.stdout.lines().nth(1), Some(uid.to_string().as_str()));
    assert!(
        bobs.stderr.contains("Permission denied") && bobs.stderr.contains("Operation not permitted"),
        "{bobs:?}"
    );
    cluster.ssh("bob").run("clusteria release").success();
    run("clusteria release").success();
    eventually("both are gone", SOON, || cluster.containers().is_empty().then_some(()));
    cluster.ssh("ada").run("clusteria reserve gpu2").success();
    assert_eq!(
        cluster.ssh("ada").run("id -u; hostname; rm /storage/ada").success().stdout,
        format!("{uid}\ngpu2-1\n")
    );
}

#[test]
fn nobody_becomes_root_and_nobody_reaches_pid_1() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // A program that would be root's anywhere else.
    fs::copy("/usr/bin/id", folder.path().join("id")).unwrap();
    fs::set_permissions(folder.path().join("id"), fs::Permissions::from_mode(0o4755)).unwrap();
    let more = format!("[[mount]]\ntarget = \"/suid\"\nsource = \"{}\"\n", folder.path().display());
    let cluster = Cluster::start(Plan { slots: vec![1], more, ..Plan::default() });
    cluster.ssh("ada").run("clusteria reserve").success();
    let run = |words: &str| cluster.ssh("ada").run(words);
    let uid = run("id -u").success().stdout;
    assert_ne!(uid, "0\n");
    assert_eq!(run("/suid/id -u").success().stdout, uid, "no_new_privs");
    assert_ne!(run("command -v sudo doas").status, 0);
    assert_ne!(run("su -c true").status, 0);
    let rights =
        run("grep -E '^(NoNewPrivs|Cap(Eff|Prm|Bnd|Inh|Amb)|Seccomp):' /proc/self/status").success().stdout;
    for line in [
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "CapEff:\t0000000000000000",
        "CapPrm:\t0000000000000000",
        "CapAmb:\t0000000000000000",
    ] {
        assert!(rights.contains(line), "{line}: {rights}");
    }
    for (words, why) in [
        ("kill -9 1", "not permitted"),
        ("kill -STOP 1", "not permitted"),
        ("cat /proc/1/environ", "Permission denied"),
        ("ls /proc/1/root/", "Permission denied"),
        ("ls /proc/1/fd", "Permission denied"),
        ("head -c 1 /proc/1/mem", "Permission denied"),
        ("ls /.clusteria/run", "Permission denied"),
        (
            "python3 -c 'import ctypes, os; l = ctypes.CDLL(None, use_errno=True); print(l.ptrace(16, 1, 0, 0)); raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))'",
            "not permitted",
        ),
        ("echo x > /.clusteria/bin/clusteria-agent", "Read-only file system|denied"),
        ("mknod ~/sda b 8 0", "not permitted"),
        ("mount -t tmpfs none /mnt", "ermission denied|superuser|not permitted"),
        ("unshare --user true", "not permitted"),
        ("hostname other", "you must be root"),
        ("echo 1 > /proc/sys/kernel/panic", "Read-only file system|denied"),
        ("ls /var/run/docker.sock", "No such file"),
        ("chown 0 ~", "not permitted"),
    ] {
        let ran = run(words);
        let told = why.split('|').any(|why| ran.stderr.contains(why));
        assert!(ran.status != 0 && told, "{words}: {ran:?}");
    }
    assert_eq!(run("ls /dev | grep -cE '^(sd|vd|nvme|loop|mem|kmsg)'").stdout, "0\n");
    assert_eq!(run("echo alive").success().stdout, "alive\n");
}
