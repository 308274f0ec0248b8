//! What a container may not: memory, processes, root, other people's containers, the machine. Each rule with its denial.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::terminal::Terminal;
use common::{Cluster, Plan, SOON, docker, eventually};

/// Echo times of a program in somebody's container, in microseconds, sorted.
fn echo_times(cluster: &Cluster, user: &str, count: usize) -> Vec<u128> {
    let mut ssh =
        cluster.ssh(user).command("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = ssh.stdin.take().unwrap();
    let mut output = BufReader::new(ssh.stdout.take().unwrap());
    let mut line = String::new();
    let mut times: Vec<u128> = (0..count)
        .map(|round| {
            let began = Instant::now();
            writeln!(input, "{round}").unwrap();
            line.clear();
            output.read_line(&mut line).unwrap();
            let took = began.elapsed().as_micros();
            // A person types no faster.
            std::thread::sleep(Duration::from_millis(5));
            took
        })
        .collect();
    drop(input);
    ssh.wait().unwrap();
    times.sort_unstable();
    times
}

fn middle_and_worst(times: &[u128]) -> (u128, u128) {
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

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

/// The packet filter's rules of a cluster, on this machine: they concern its own bridge only.
struct Rules(std::path::PathBuf);

impl Rules {
    fn start(cluster: &Cluster) -> Self {
        let script = cluster.path("firewall");
        fs::write(&script, cluster.cli(&["firewall"]).success().stdout).unwrap();
        let rules = Self(script);
        rules.run("start");
        // As often as one likes.
        rules.run("start");
        rules
    }

    fn run(&self, word: &str) {
        let ran = Command::new("sh").arg(&self.0).arg(word).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }
}

impl Drop for Rules {
    fn drop(&mut self) {
        let _ = Command::new("sh").arg(&self.0).arg("stop").output();
    }
}

/// Somebody else's host: a namespace behind this machine, with addresses of the internet and private ones.
struct Elsewhere {
    name: String,
    link: String,
}

const INTERNET: &str = "11.99.7.2";
const DENIED: &str = "11.99.7.3";
const PRIVATE: &str = "10.213.7.2";
const ALLOWED: &str = "10.213.7.3";

impl Elsewhere {
    fn new() -> Self {
        let pid = std::process::id();
        let elsewhere = Self { name: format!("ct-{pid}-else"), link: format!("ctel{}", pid % 100_000) };
        let Self { name, link } = &elsewhere;
        ip(&format!("netns add {name}"));
        ip(&format!("link add {link} type veth peer name eth0 netns {name}"));
        ip(&format!("-n {name} link set lo up"));
        ip(&format!("-n {name} link set eth0 up"));
        ip(&format!("link set {link} up"));
        for network in ["11.99.7", "10.213.7"] {
            ip(&format!("addr add {network}.1/24 dev {link}"));
            for host in [2, 3] {
                ip(&format!("-n {name} addr add {network}.{host}/24 dev eth0"));
            }
        }
        ip(&format!("-n {name} route add default via 11.99.7.1"));
        elsewhere
    }

    /// Listens on all of its addresses.
    fn serve(&self, port: u16) -> common::Running {
        let listen = format!(
            "import socket\ns = socket.create_server(('0.0.0.0', {port}))\nprint('up', flush=True)\nwhile True: s.accept()[0].close()"
        );
        let mut server = Command::new("ip");
        server.args(["netns", "exec", &self.name, "python3", "-c", &listen]).stdout(Stdio::piped());
        let mut server = common::Running::start(&mut server);
        let mut line = String::new();
        BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "up\n");
        server
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
        let _ = Command::new("ip").args(["link", "del", &self.link]).output();
    }
}

#[track_caller]
fn ip(words: &str) {
    let ran = Command::new("ip").args(words.split(' ')).output().unwrap();
    assert!(ran.status.success(), "ip {words}: {}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn the_network_lets_through_what_is_allowed_and_nothing_else() {
    let elsewhere = Elsewhere::new();
    let _servers = [elsewhere.serve(8080), elsewhere.serve(8081)];
    let more = format!("[network]\nallow = [\"{ALLOWED}:8080\"]\ndeny = [\"{DENIED}\"]\n");
    let cluster = Cluster::start(Plan { ssh: "", more, ..Plan::default() });
    for user in ["ada", "bob"] {
        cluster.ssh(user).run("clusteria reserve").success();
    }
    let reaches = |host: &str, port: u16| {
        let words = format!("timeout 3 bash -c 'exec 3<>/dev/tcp/{host}/{port}' 2>/dev/null; echo $?");
        cluster.ssh("ada").run(&words).success().stdout == "0\n"
    };
    let bobs = cluster.ssh("bob").run("hostname -I").success().stdout.trim().to_owned();
    let mut listening = cluster
        .ssh("bob")
        .command("python3 -m http.server 7777")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("bob serves", SOON, || {
        (cluster.ssh("bob").run("bash -c 'exec 3<>/dev/tcp/127.0.0.1/7777'").status == 0).then_some(())
    });
    // The machine as a container sees it: what listens on all addresses, an engine's API for one, listens here too.
    let format = "{{range .IPAM.Config}}{{.Gateway}}{{end}}";
    let machine: Ipv4Addr =
        docker(&["network", "inspect", "-f", format, &format!("clusteria-{}", cluster.name)])
            .trim()
            .parse()
            .unwrap();
    let engine = TcpListener::bind((machine, 0)).unwrap();
    let engine_port = engine.local_addr().unwrap().port();
    let tailnet = TcpListener::bind("11.99.7.1:0").unwrap();
    let tailnet_port = tailnet.local_addr().unwrap().port();

    // The engine's own separation holds without the rules; the machine needs them.
    assert!(!reaches(&bobs, 7777), "containers reach each other");
    assert!(
        reaches(&machine.to_string(), engine_port),
        "without rules the machine is reached: else this proves nothing"
    );
    assert!(reaches(INTERNET, 8080) && reaches(PRIVATE, 8080) && reaches(DENIED, 8080));
    let doctor = cluster.cli(&["doctor", "--json"]);
    assert_eq!(doctor.status, 1);
    assert!(doctor.stdout.contains("containers reach the machine or the gateway"), "{}", doctor.stdout);

    let rules = Rules::start(&cluster);
    for (what, host, port, allowed) in [
        ("another container", bobs.as_str(), 7777, false),
        ("the engine's API", &machine.to_string(), engine_port, false),
        ("a service of the machine on another address", "11.99.7.1", tailnet_port, false),
        ("the gateway's SSH", &machine.to_string(), cluster.port, false),
        ("the internet", INTERNET, 8080, true),
        ("a denied host of the internet", DENIED, 8080, false),
        ("a private network", PRIVATE, 8080, false),
        ("what is allowed", ALLOWED, 8080, true),
        ("another port of it", ALLOWED, 8081, false),
        ("a cloud's metadata", "169.254.169.254", 80, false),
    ] {
        assert_eq!(reaches(host, port), allowed, "{what}");
    }
    // Refused at once: programs must not hang.
    let began = Instant::now();
    assert!(!reaches(PRIVATE, 8080));
    assert!(began.elapsed() < Duration::from_millis(2500), "{:?}", began.elapsed());
    // Names are still resolved (by the engine), and SSH by the gateway goes on.
    assert_eq!(cluster.ssh("ada").run("getent hosts localhost >/dev/null; echo in").success().stdout, "in\n");
    let doctor = cluster.cli(&["doctor", "--json"]);
    assert!(doctor.stdout.contains("cannot be reached from a container"), "{}", doctor.stdout);

    rules.run("stop");
    assert!(reaches(&machine.to_string(), engine_port), "stop leaves nothing");
    drop((rules, engine, tailnet));
    listening.kill().unwrap();
    listening.wait().unwrap();
}
