//! Several machines, each with an engine of its own: everything works from afar, faults are said, and nobody is lost.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::engines::{Engines, Machine, make_authority, make_certificate};
use common::{Cluster, Plan, Running, SOON, big_file, docker, eventually, free_port, run};

/// An engine that hangs is asked for 10 s, every 15 s.
const FOUND_OUT: Duration = Duration::from_secs(45);

fn plan(machines: String) -> Plan {
    Plan { slots: Vec::new(), more: machines, users: &["ada", "bob"], tls: false, ..Plan::default() }
}

/// Why a machine is offline.
fn offline(cluster: &Cluster, machine: &str) -> Option<String> {
    let view = cluster.ssh("bob").run("clusteria machines --json").success().stdout;
    let view: serde_json::Value = serde_json::from_str(&view).unwrap();
    let all = view["machines"].as_array().unwrap();
    let found = all.iter().find(|one| one["name"] == machine).unwrap();
    found["offline"].as_str().map(str::to_owned)
}

#[track_caller]
fn goes_offline(cluster: &Cluster, machine: &str, reason: &str) {
    let said = eventually(&format!("{machine} is offline"), FOUND_OUT, || offline(cluster, machine));
    assert!(said.to_lowercase().contains(reason), "{reason} expected: {said}");
    works(cluster, "bob");
}

#[track_caller]
fn is_back(cluster: &Cluster, machine: &str) {
    eventually(&format!("{machine} is back"), FOUND_OUT, || {
        offline(cluster, machine).is_none().then_some(())
    });
}

#[track_caller]
fn works(cluster: &Cluster, user: &str) {
    let ran = cluster.ssh(user).run_with_input("cat; echo err >&2; exit 7", b"in");
    let all = (ran.status, ran.stdout.as_str(), ran.stderr.as_str());
    assert_eq!(all, (7, "in", "err\n"), "{user}\n{}", cluster.log());
}

/// The fixture itself: what the other tests, and the chaos suite, stand on.
#[test]
fn machines_fail_and_return_and_leave_nothing_behind() {
    let engines = Engines::start(3);
    let [one, two, three] = &engines.machines[..] else { panic!("not three") };
    for machine in [one, two, three] {
        let run = ["run", "-d", "--name", "job", "--entrypoint", "/bin/sleep", "clusteria/try:1", "1000"];
        machine.docker(&run);
        assert_eq!(machine.docker(&["ps", "--format", "{{.Names}}"]), "job\n");
    }
    let pid = |machine: &Machine| machine.docker(&["inspect", "-f", "{{.State.Pid}}", "job"]);
    let before = pid(one);
    one.kill_engine();
    one.start_engine();
    assert_eq!(pid(one), before, "live-restore");
    two.freeze();
    two.thaw();
    assert_eq!(two.docker(&["ps", "--format", "{{.Names}}"]), "job\n");
    three.power_off();
    three.start_engine();
    assert_eq!(three.docker(&["ps", "--format", "{{.Names}}"]), "");
    let address = (two.address, common::engines::ENGINE_PORT).into();
    let reach = || TcpStream::connect_timeout(&address, Duration::from_secs(1));
    reach().unwrap();
    two.cut();
    reach().unwrap_err();
    two.join();
    eventually("the link is back", SOON, || reach().ok());
}

#[test]
fn everything_works_on_a_machine_elsewhere() {
    let engines = Engines::start(2);
    let cluster = Cluster::start(plan(engines.config(1)));
    cluster.ssh("ada").run("clusteria reserve gpu2").success();
    cluster.ssh("bob").run("clusteria reserve gpu1").success();
    for user in ["ada", "bob"] {
        works(&cluster, user);
        let place = cluster.ssh(user).run("hostname").success().stdout;
        assert_eq!(place, if user == "ada" { "gpu2-1\n" } else { "gpu1-1\n" });
    }
    statuses_and_ends(&cluster);
    files(&cluster);
    forwards(&cluster);
    bulk_both_ways(&cluster);
    from_inside(&cluster);
    keys_are_in_no_ones_sight(&cluster, engines.machine("gpu2"));
    cluster.ssh("ada").run("clusteria release").success();
    eventually("it is gone", SOON, || {
        engines.machine("gpu2").running(&cluster.name).is_empty().then_some(())
    });
}

fn statuses_and_ends(cluster: &Cluster) {
    let ada = || cluster.ssh("ada");
    assert_eq!(ada().run("kill -TERM $$").status, 255);
    assert_eq!(ada().run("no-such-command").status, 127);
    let late = ada().option("-T").run_with_input("cat; sleep 0.2; echo after; exit 7", b"a\n");
    assert_eq!((late.status, late.stdout.as_str()), (7, "a\nafter\n"));
    let pty = ada().option("-tt").run("tty; stty size; exit 9");
    assert!(pty.status == 9 && pty.stdout.contains("/dev/pts/"), "{pty:?}");
    // A process that does not read never holds up its end: three times what may be on its way.
    let unread = ada().run_with_input("exec 0<&-; sleep 0.2; echo done", &vec![0; 3 << 20]);
    assert_eq!((unread.status, unread.stdout.as_str()), (0, "done\n"));
    let deaf = ada().run_with_input("sleep 1; exit 3", &vec![0; 3 << 20]);
    assert_eq!(deaf.status, 3);
    // Nothing of a client's is killed when it goes, but its pipes close.
    let mut client =
        ada().command("trap 'echo gone > ~/trapped' PIPE; while sleep 0.05; do echo x || exit; done");
    let mut client = client.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 2];
    client.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    client.kill().unwrap();
    client.wait().unwrap();
    eventually("the pipe is closed", SOON, || (ada().run("cat ~/trapped").stdout == "gone\n").then_some(()));
}

fn files(cluster: &Cluster) {
    let file = big_file(cluster.folder.path(), 16 << 20);
    let back = cluster.path("back");
    for program in [&["scp", "-q"][..], &["scp", "-q", "-O"]] {
        let copy = |from: &str, to: &str| {
            let mut command = Command::new(program[0]);
            command.args(&program[1..]).args(cluster.options("ada")).args(["-P", &cluster.port.to_string()]);
            run(command.args([from, to]), b"").success();
        };
        let remote = format!("{}:copy", Cluster::host("ada"));
        copy(file.to_str().unwrap(), &remote);
        copy(&remote, back.to_str().unwrap());
        assert!(fs::read(&file).unwrap() == fs::read(&back).unwrap());
    }
    let sum = cluster.ssh("ada").run("sha256sum < copy").success().stdout;
    assert_eq!(
        sum,
        run(Command::new("sha256sum").stdin(Stdio::null()).arg(&file), b"")
            .stdout
            .replace(&format!("  {}", file.display()), "  -")
    );
}

fn forwards(cluster: &Cluster) {
    let (local, remote) = (free_port(), free_port());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().flatten().for_each(echo));
    let socket = cluster.path("sock");
    let unix = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || unix.incoming().flatten().for_each(echo));
    let server = "python3 -c \"import socket as s; l = s.create_server(('127.0.0.1', 7000)); print('up', flush=True)\n\
                  while True:\n  c = l.accept()[0]; d = c.makefile('rb').read(); c.sendall(d[::-1]); c.close()\"";
    let mut ssh = cluster.ssh("ada");
    for option in [
        format!("-L{local}:localhost:7000"),
        format!("-R{remote}:127.0.0.1:{own}"),
        format!("-R/tmp/there:{}", socket.display()),
    ] {
        ssh = ssh.option(&option);
    }
    let mut command = ssh.option("-oExitOnForwardFailure=yes").command(server);
    let mut client = Running::start(command.stdout(Stdio::piped()));
    let mut up = [0; 3];
    client.0.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
    // Half-close: the answer comes after the question has ended.
    let mut stream = TcpStream::connect(("127.0.0.1", local)).unwrap();
    stream.write_all(b"olleh").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "hello");
    for address in
        [format!("AF_INET); c.connect(('127.0.0.1', {remote})"), "AF_UNIX); c.connect('/tmp/there'".into()]
    {
        let script = format!(
            "import socket as s; c = s.socket(s.{address}); c.sendall(b'hi'); c.shutdown(s.SHUT_WR); \
             print(c.makefile().read(), end='')"
        );
        let said = cluster.ssh("ada").run(&format!("python3 -c \"{script}\"")).success().stdout;
        assert_eq!(said, "hi");
    }
    // The client's ssh-agent: whatever stands there, it is asked.
    let agent =
        Command::new("ssh-agent").args(["-D", "-a"]).arg(cluster.path("agent")).stdout(Stdio::null()).spawn();
    let _agent = Running(agent.unwrap());
    eventually("the ssh-agent listens", SOON, || cluster.path("agent").exists().then_some(()));
    let mut add = Command::new("ssh-add");
    add.env("SSH_AUTH_SOCK", cluster.path("agent")).arg(cluster.path("ada.key"));
    run(&mut add, b"").success();
    let mut lent = cluster.ssh("ada").option("-A").command(
        "python3 -c \"import os, socket as s; c = s.socket(s.AF_UNIX); c.connect(os.environ['SSH_AUTH_SOCK']); \
         c.sendall(bytes([0, 0, 0, 1, 11])); print(c.recv(9)[4:].hex())\"",
    );
    let lent = run(lent.env("SSH_AUTH_SOCK", cluster.path("agent")), b"").success();
    assert_eq!(lent.stdout, "0c00000001\n", "SSH_AGENT_IDENTITIES_ANSWER with one key");
}

fn echo(mut stream: impl Read + Write) {
    let mut all = Vec::new();
    // As far as it gets: the other side's end is what ends it.
    let mut chunk = [0; 1024];
    while let Ok(read @ 1..) = stream.read(&mut chunk) {
        all.extend(&chunk[..read]);
        if all.ends_with(b"hi") {
            break;
        }
    }
    let _ = stream.write_all(&all);
}

fn bulk_both_ways(cluster: &Cluster) {
    let file = big_file(cluster.folder.path(), 64 << 20);
    let content = fs::read(&file).unwrap();
    let echoed = cluster.ssh("ada").run_with_input("cat", &content).success();
    assert!(echoed.bytes == content);
    let apart = cluster.ssh("ada").run("head -c 8388608 /dev/zero | tr '\\0' x >&2; echo out");
    assert_eq!((apart.status, apart.stdout.as_str(), apart.stderr.len()), (0, "out\n", 8 << 20));
}

fn from_inside(cluster: &Cluster) {
    let said = cluster.ssh("ada").run("clusteria status --json").success().stdout;
    assert!(said.contains("gpu2/1"), "{said}");
    let inside = eventually("the gateway watches", SOON, || {
        let ran = cluster.ssh("ada").option("-tt").run("sh -c 'clusteria status'");
        (ran.status == 0).then_some(ran.stdout)
    });
    assert!(inside.contains("gpu2/1"), "{inside}");
}

fn keys_are_in_no_ones_sight(cluster: &Cluster, machine: &Machine) {
    let name = format!("clusteria-{}-gpu2-1", cluster.name);
    let inspected = machine.docker(&["inspect", &name]);
    for word in ["seed", "PRIVATE", "agent.json"] {
        assert!(!inspected.contains(word), "{word}: {inspected}");
    }
    assert!(inspected.contains(&format!("\"HostIp\": \"{}\"", machine.address)), "{inspected}");
    let ran =
        cluster.ssh("ada").run("ls /.clusteria/run; cat /.clusteria/run/agent.json; cat /proc/1/environ");
    assert!(ran.stdout.is_empty() && ran.stderr.contains("ermission denied"), "{ran:?}");
    // A stranger at the agent's port learns nothing, not even that it is an agent.
    let mut stranger = TcpStream::connect((machine.address, 61022)).unwrap();
    stranger.write_all(b"CLA\x01\0\0\0\x01\0").unwrap();
    let mut answer = Vec::new();
    stranger.set_read_timeout(Some(SOON)).unwrap();
    let _ = stranger.read_to_end(&mut answer);
    // At most a TLS alert.
    assert!(answer.len() < 32 && answer.first().is_none_or(|kind| *kind == 21), "{answer:?}");
}

#[test]
fn engines_freeze_die_and_are_cut_off_and_nobody_is_lost() {
    let engines = Engines::start(2);
    let mut cluster = Cluster::start(plan(engines.config(1)));
    let gpu2 = engines.machine("gpu2");
    cluster.ssh("ada").run("clusteria reserve gpu2").success();
    cluster.ssh("bob").run("clusteria reserve gpu1").success();
    cluster.ssh("ada").run("echo kept > ~/note").success();
    let deadline = cluster.status("ada")["reservation"]["deadline"].clone();

    gpu2.freeze();
    goes_offline(&cluster, "gpu2", "no answer within");
    works(&cluster, "ada");
    gpu2.thaw();
    is_back(&cluster, "gpu2");

    // Killed, not stopped: what runs goes on, and is theirs when the engine is back.
    gpu2.kill_engine();
    goes_offline(&cluster, "gpu2", "connection refused");
    works(&cluster, "ada");
    gpu2.start_engine();
    is_back(&cluster, "gpu2");
    assert_eq!(cluster.ssh("ada").run("cat ~/note").stdout, "kept\n");

    gpu2.cut();
    goes_offline(&cluster, "gpu2", "no ");
    let unreachable = cluster.ssh("ada").run("true");
    assert_eq!(unreachable.status, 255, "{unreachable:?}");
    gpu2.join();
    is_back(&cluster, "gpu2");
    let note = || cluster.ssh("ada").run("cat ~/note").stdout;
    eventually("it is reachable again", SOON, || (note() == "kept\n").then_some(()));

    // The gateway dies, and then its ledger with it.
    cluster.kill_gateway();
    cluster.start_gateway();
    assert_eq!(cluster.ssh("ada").run("cat ~/note").stdout, "kept\n");
    cluster.kill_gateway();
    for file in fs::read_dir(cluster.path("ledger")).unwrap().flatten() {
        if file.file_name().to_string_lossy().starts_with("clusteria.db") {
            fs::remove_file(file.path()).unwrap();
        }
    }
    for user in ["ada", "bob"] {
        let key = cluster.path(&format!("{user}.key.pub"));
        cluster.cli(&["user", "add", user, "--no-password"]).success();
        cluster.cli(&["user", "key", user, "add", key.to_str().unwrap()]).success();
    }
    cluster.start_gateway();
    assert_eq!(cluster.ssh("ada").run("cat ~/note").stdout, "kept\n");
    assert_eq!(cluster.status("ada")["reservation"]["deadline"], deadline);
    works(&cluster, "bob");

    // An agent that does not know our key is no agent of ours, nor are we its gateway.
    cluster.kill_gateway();
    let (secret, kept) = (cluster.path("ledger/agents.key"), cluster.path("kept.key"));
    assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
    fs::rename(&secret, &kept).unwrap();
    cluster.start_gateway();
    let refused = cluster.ssh("ada").run("cat ~/note");
    assert_eq!((refused.status, refused.stdout.as_str()), (255, ""), "{refused:?}");
    works(&cluster, "bob");
    cluster.kill_gateway();
    fs::rename(&kept, &secret).unwrap();
    cluster.start_gateway();
    assert_eq!(cluster.ssh("ada").run("cat ~/note").stdout, "kept\n");

    gpu2.power_off();
    goes_offline(&cluster, "gpu2", "connection refused");
    gpu2.start_engine();
    is_back(&cluster, "gpu2");
    let last = eventually("what went with the power is over", FOUND_OUT, || {
        let status = cluster.status("ada");
        status["reservation"].is_null().then(|| status["last"].clone())
    });
    assert_eq!(last["reason"], "failed", "{last}");
    cluster.ssh("ada").run("clusteria reserve gpu2").success();
    works(&cluster, "ada");
}

#[test]
fn wrong_certificates_are_refused_on_both_sides() {
    let engines = Engines::start(1);
    let gpu1 = &engines.machines[0];
    let other = tempfile::tempdir().unwrap();
    make_authority(other.path());
    make_certificate(other.path(), "client", "clientAuth", None);
    let way = |ca: &Path, client: &Path| {
        let path = |folder: &Path, name: &str| folder.join(name).display().to_string();
        format!(
            "engine = \"{}\"\nagent = \"unix\"\ntls = {{ ca = \"{}\", cert = \"{}\", key = \"{}\" }}\n",
            gpu1.tcp(),
            path(ca, "ca.pem"),
            path(client, "client.pem"),
            path(client, "client-key.pem")
        )
    };
    let machine =
        |name: &str, way: String| format!("[[machine]]\nname = \"{name}\"\n{way}[[machine.slot]]\n");
    let (ours, theirs) = (engines.keys(), other.path());
    let machines = [
        machine("gpu1", way(&ours, &ours)),
        machine("gpu2", way(&ours, theirs)),
        machine("gpu3", way(theirs, &ours)),
    ];
    let cluster = Cluster::start(plan(machines.concat()));
    assert_eq!(offline(&cluster, "gpu1"), None);
    let stranger = offline(&cluster, "gpu2").unwrap();
    assert!(stranger.contains("alert"), "{stranger}");
    let impostor = offline(&cluster, "gpu3").unwrap();
    assert!(impostor.contains("invalid peer certificate"), "{impostor}");
    // This engine shares our file system, whatever the way to it.
    cluster.ssh("bob").run("clusteria reserve gpu1").success();
    works(&cluster, "bob");
}

#[test]
fn an_engine_behind_ssh_is_as_good_as_any() {
    let engines = Engines::start(1);
    let gpu1 = &engines.machines[0];
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    for key in ["host", "client"] {
        let made =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &path(key)]).status();
        assert!(made.unwrap().success());
    }
    fs::copy(path("client.pub"), path("authorized_keys")).unwrap();
    let server = format!(
        "Port 2222\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPidFile none\n\
         PermitRootLogin prohibit-password\nSetEnv DOCKER_HOST={}\n",
        path("host"),
        path("authorized_keys"),
        gpu1.unix()
    );
    fs::write(path("sshd_config"), server).unwrap();
    let known = fs::read_to_string(path("host.pub")).unwrap();
    fs::write(path("known_hosts"), format!("[{}]:2222 {known}", gpu1.address)).unwrap();
    let client = format!("IdentityFile {}\nUserKnownHostsFile {}\n", path("client"), path("known_hosts"));
    fs::write(path("ssh_config"), client).unwrap();
    // The gateway asks the system's ssh; what root's configuration would say is said here.
    fs::create_dir(path("bin")).unwrap();
    fs::write(path("bin/ssh"), format!("#!/bin/sh\nexec /usr/bin/ssh -F {} \"$@\"\n", path("ssh_config")))
        .unwrap();
    fs::set_permissions(path("bin/ssh"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut sshd = Command::new("nsenter");
    sshd.arg(format!("--net=/run/netns/{}", gpu1.namespace())).args([
        "/usr/sbin/sshd",
        "-D",
        "-f",
        &path("sshd_config"),
    ]);
    let server = Running::start(&mut sshd);
    let way = format!("engine = \"ssh://root@{0}:2222\"\nagent = \"tls\"\naddress = \"{0}\"\n", gpu1.address);
    let mut cluster = Cluster::prepare(&plan(gpu1.section(&way, 1)));
    let search = format!("{}:{}", path("bin"), std::env::var("PATH").unwrap());
    cluster.environment.push(("PATH".into(), search.into()));
    cluster.start_gateway();
    is_back(&cluster, "gpu1");
    cluster.ssh("bob").run("clusteria reserve").success();
    works(&cluster, "bob");
    drop(server);
    cluster.kill_gateway();
    cluster.start_gateway();
    let why = offline(&cluster, "gpu1").unwrap();
    assert!(why.contains("ssh:") && why.contains("refused"), "{why}");
    // Its container is reached all the same: agents are asked directly.
    works(&cluster, "bob");
}

/// Something that is no engine, on a port of this host. Notes the first lines of what it is asked.
fn pretender(answer: impl Fn(&str, &mut TcpStream) + Send + 'static) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let note = asked.clone();
    std::thread::spawn(move || {
        // All at once: one that hangs must not hold up what comes next.
        let answer = Arc::new(Mutex::new(answer));
        for mut stream in listener.incoming().flatten() {
            let (answer, note) = (answer.clone(), note.clone());
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                while let Ok(read @ 1..) = stream.read(&mut request) {
                    let request = String::from_utf8_lossy(&request[..read]).into_owned();
                    let line = request.lines().next().unwrap_or_default().to_owned();
                    note.lock().unwrap().push(line.clone());
                    answer.lock().unwrap()(&line, &mut stream);
                }
            });
        }
    });
    (port, asked)
}

fn json(stream: &mut TcpStream, body: &str) {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}

/// An engine of some API version with no containers.
fn empty_engine(version: &'static str) -> (u16, Arc<Mutex<Vec<String>>>) {
    pretender(move |line, stream| {
        if line.contains("/version") {
            json(stream, &format!("{{\"Version\":\"x\",\"ApiVersion\":\"{version}\"}}"));
        } else if line.contains("/containers/json") {
            json(stream, "[]");
        }
    })
}

#[test]
fn engines_that_lie_or_say_nothing_are_offline_and_versions_are_agreed_on() {
    let (garbage, _) = pretender(|_, stream| drop(stream.write_all(b"\x1b[2J\x07 what is HTTP?\r\n\r\n")));
    let (endless, _) = pretender(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[");
        while stream.write_all(&[b' '; 65536]).is_ok() {}
    });
    let (silent, _) = pretender(|_, _| {});
    let (odd, _) = pretender(|_, stream| json(stream, "{\"ApiVersion\":\"no\\u001b[31mthing\"}"));
    let (old, asked_old) = empty_engine("1.41");
    let (new, asked_new) = empty_engine("1.99");
    let machine = |name: &str, port: u16| {
        format!("[[machine]]\nname = \"{name}\"\nengine = \"tcp://127.0.0.1:{port}\"\n[[machine.slot]]\n")
    };
    let machines = [
        "[[machine]]\nname = \"gpu1\"\n[[machine.slot]]\n".to_owned(),
        machine("garbage", garbage),
        machine("endless", endless),
        machine("silent", silent),
        machine("odd", odd),
        machine("old", old),
        machine("new", new),
    ];
    let cluster = Cluster::start(plan(machines.concat()));
    cluster.ssh("bob").run("clusteria reserve gpu1").success();
    for name in ["garbage", "endless", "silent", "odd"] {
        goes_offline(&cluster, name, "the engine");
        let why = offline(&cluster, name).unwrap();
        assert!(!why.contains(char::is_control) && why.len() < 600, "{why:?}");
    }
    for name in ["gpu1", "old", "new"] {
        assert_eq!(offline(&cluster, name), None, "{name}");
    }
    let listed = |asked: &Mutex<Vec<String>>| {
        let asked = asked.lock().unwrap();
        asked.iter().find(|line| line.contains("/containers/json")).cloned().unwrap()
    };
    assert!(listed(&asked_old).starts_with("GET /v1.41/"), "{}", listed(&asked_old));
    let newest = listed(&asked_new);
    assert!(newest.starts_with("GET /v1.") && !newest.contains("/v1.99/"), "ours, not theirs: {newest}");
    let real = docker(&["version", "-f", "{{.Server.APIVersion}}"]);
    eprintln!("the real engine here speaks {}", real.trim());
    works(&cluster, "bob");
}
