//! Whatever works on the gateway's host works on a machine elsewhere.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use super::{plan, works};
use crate::common::engines::{Engines, Machine};
use crate::common::{Cluster, Running, SOON, big_file, eventually, free_port, run};

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
