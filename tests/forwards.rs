//! What the container opens towards the client: -R, Unix sockets, the client's ssh-agent, X11.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::{Cluster, Plan, Ran, Running, SOON, eventually, free_port, run};

fn reserved() -> Cluster {
    let cluster = Cluster::start(Plan::default());
    cluster.ssh("ada").run("clusteria reserve gpu1/1").success();
    cluster
}

/// A client with a control socket, ended with the test.
struct Master<'a> {
    cluster: &'a Cluster,
    control: PathBuf,
    _client: Running,
}

impl<'a> Master<'a> {
    fn open(cluster: &'a Cluster, name: &str, options: &[&str]) -> Self {
        Self::open_with(cluster, name, options, &[])
    }

    fn open_with(cluster: &'a Cluster, name: &str, options: &[&str], env: &[(&str, &str)]) -> Self {
        let control = cluster.path(name);
        let mut ssh = cluster.ssh("ada").option("-N").option("-M");
        for option in options {
            ssh = ssh.option(option);
        }
        let ssh = ssh.option(&format!("-oControlPath={}", control.display()));
        let mut command = ssh.command("");
        let client = Running::start(command.envs(env.iter().copied()).stderr(Stdio::null()));
        eventually("the master listens", SOON, || control.exists().then_some(()));
        Self { cluster, control, _client: client }
    }

    fn ask(&self, words: &[&str]) -> Ran {
        let mut command = Command::new("ssh");
        command.args(self.cluster.options("ada")).arg(format!("-oControlPath={}", self.control.display()));
        run(command.args(words).arg(Cluster::host("ada")), b"")
    }
}

/// Answers every connection with what it read until a line's end, twice.
fn echo_twice(mut stream: impl Read + Write) {
    let mut line = String::new();
    let _ = BufReader::new(&mut stream).read_line(&mut line);
    let _ = stream.write_all(format!("{line}{line}").as_bytes());
}

fn serve_tcp() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().flatten().for_each(echo_twice));
    port
}

/// Says `hi` to a port or a Unix socket in the container, and what came back.
fn say_hi(cluster: &Cluster, address: &str) -> Ran {
    let (family, address) = match address.parse::<u16>() {
        Ok(port) => ("AF_INET", format!("('127.0.0.1', {port})")),
        Err(_) => ("AF_UNIX", format!("'{address}'")),
    };
    let script = format!(
        "import socket as s; c = s.socket(s.{family}); c.connect({address}); c.sendall(b'hi\\n'); \
         c.shutdown(s.SHUT_WR); print(c.makefile().read(), end='')"
    );
    cluster.ssh("ada").run(&format!("python3 -c \"{script}\""))
}

#[test]
fn remote_forwards_come_back_to_the_client_and_go_when_cancelled() {
    let cluster = reserved();
    let master = Master::open(&cluster, "m", &[]);
    let (local, remote) = (serve_tcp(), free_port());
    let forward = format!("{remote}:localhost:{local}");
    master.ask(&["-O", "forward", "-R", &forward]).success();
    assert_eq!(say_hi(&cluster, &remote.to_string()).stdout, "hi\nhi\n");
    // By another client: a refused forward leaves a client's own list confused.
    let other = Master::open(&cluster, "other", &[]);
    let taken = other.ask(&["-O", "forward", "-R", &format!("{remote}:localhost:1")]);
    assert_ne!(taken.status, 0, "the port is taken: {taken:?}");
    master.ask(&["-O", "cancel", "-R", &forward]).success();
    assert_ne!(say_hi(&cluster, &remote.to_string()).status, 0, "cancelled");
    master.ask(&["-O", "forward", "-R", &forward]).success();
    assert_eq!(say_hi(&cluster, &remote.to_string()).stdout, "hi\nhi\n", "free again at once");

    let any = master.ask(&["-O", "forward", "-R", &format!("0:localhost:{local}")]).success().stdout;
    let given: u16 = any.trim().parse().unwrap_or_else(|_| panic!("no port in {any:?}"));
    assert_eq!(say_hi(&cluster, &given.to_string()).stdout, "hi\nhi\n");
    drop(master);
    eventually("the listeners go with their connection", SOON, || {
        (say_hi(&cluster, &given.to_string()).status != 0).then_some(())
    });
}

#[test]
fn a_remote_forward_listens_on_the_containers_loopback_only() {
    let cluster = reserved();
    let (local, remote) = (serve_tcp(), free_port());
    let _master = Master::open(&cluster, "m", &[&format!("-R0.0.0.0:{remote}:localhost:{local}")]);
    eventually("it listens", SOON, || {
        (say_hi(&cluster, &remote.to_string()).stdout == "hi\nhi\n").then_some(())
    });
    let listens = cluster.ssh("ada").run("cat /proc/net/tcp").success().stdout;
    let hex = format!(":{remote:04X} ");
    let line = listens.lines().find(|l| l.contains(&hex) && l.contains(" 0A ")).unwrap();
    assert!(line.contains("0100007F:"), "as sshd's GatewayPorts no: {line}");
    assert!(TcpStream::connect(("127.0.0.1", remote)).is_err(), "not on the gateway");
}

#[test]
fn remote_forwards_without_a_session_reserve_and_carry_much() {
    let cluster = Cluster::start(Plan::default());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let local = listener.local_addr().unwrap().port();
    let remote = free_port();
    let _master = Master::open(&cluster, "m", &[&format!("-R{remote}:localhost:{local}")]);
    eventually("a container is reserved", SOON, || {
        (cluster.status("ada")["reservation"]["state"] == "active").then_some(())
    });
    let sender = std::thread::spawn(move || {
        for stream in listener.incoming().take(8).flatten() {
            std::thread::spawn(move || {
                let _ = (&stream).write_all(&vec![b'x'; 10_000_000]);
            });
        }
    });
    let script = format!(
        "import socket as s, threading as t\n\
         def get():\n  c = s.create_connection(('localhost', {remote}))\n  n = 0\n  \
         while True:\n    d = c.recv(65536)\n    if not d: break\n    n += len(d)\n  print(n, flush=True)\n\
         threads = [t.Thread(target=get) for _ in range(8)]\n[x.start() for x in threads]\n[x.join() for x in threads]\n"
    );
    let ran = cluster.ssh("ada").run_with_input("python3 -", script.as_bytes()).success();
    assert_eq!(ran.stdout, "10000000\n".repeat(8));
    sender.join().unwrap();
}

#[test]
fn unix_sockets_are_forwarded_both_ways() {
    let cluster = reserved();
    let here = cluster.path("here.sock");
    let listener = UnixListener::bind(&here).unwrap();
    std::thread::spawn(move || listener.incoming().flatten().for_each(echo_twice));
    let there = cluster.path("to-container.sock");
    let server = "import socket as s; l = s.socket(s.AF_UNIX); l.bind('/tmp/in.sock'); l.listen(); print('ready', flush=True); \
                  c = l.accept()[0]; d = c.recv(99); c.sendall(d + d)";
    let inside = cluster.ssh("ada");
    let mut inside = inside.command(&format!("python3 -c \"{server}\""));
    let mut inside = Running::start(inside.stdin(Stdio::null()).stdout(Stdio::piped()));
    let mut ready = String::new();
    BufReader::new(inside.0.stdout.as_mut().unwrap()).read_line(&mut ready).unwrap();
    let options =
        [format!("-R/tmp/r.sock:{}", here.display()), format!("-L{}:/tmp/in.sock", there.display())];
    let master = Master::open(&cluster, "m", &[&options[0], &options[1]]);
    let mut stream = UnixStream::connect(&there).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(b"ho\n").unwrap();
    let mut back = String::new();
    stream.read_to_string(&mut back).unwrap();
    assert_eq!(back, "ho\nho\n");
    inside.0.wait().unwrap();
    assert_eq!(say_hi(&cluster, "/tmp/r.sock").stdout, "hi\nhi\n");
    let mode = cluster.ssh("ada").run("stat -c '%a %U' /tmp/r.sock").success().stdout;
    assert_eq!(mode, "600 ada\n");
    let taken = master.ask(&["-O", "forward", "-R", &format!("/etc/x.sock:{}", here.display())]);
    assert_ne!(taken.status, 0, "with the user's rights only: {taken:?}");
    drop(master);
    eventually("the socket goes with its connection", SOON, || {
        (cluster.ssh("ada").run("test -e /tmp/r.sock").status != 0).then_some(())
    });
}

/// One socket for a connection, the same path for all its sessions, gone with it, nobody else's.
#[test]
fn the_clients_agent_is_lent_to_its_own_connection() {
    let cluster = reserved();
    let socket = cluster.path("agent");
    let mut agent = Command::new("ssh-agent");
    let _agent = Running::start(agent.args(["-D", "-a"]).arg(&socket).stdout(Stdio::null()));
    eventually("the agent listens", SOON, || socket.exists().then_some(()));
    let add = run(
        Command::new("ssh-add").arg("-q").arg(cluster.path("ada.key")).env("SSH_AUTH_SOCK", &socket),
        b"",
    );
    add.success();
    let env = [("SSH_AUTH_SOCK", socket.to_str().unwrap())];
    let ask = "import os, socket as s; c = s.socket(s.AF_UNIX); c.connect(os.environ['SSH_AUTH_SOCK']); \
               c.sendall(b'\\0\\0\\0\\1\\x0b'); d = c.recv(4096); print(d[4], int.from_bytes(d[5:9], 'big'))";
    let ask = format!("python3 -c \"{ask}\"; echo $SSH_AUTH_SOCK");
    let one = Master::open_with(&cluster, "one", &["-A"], &env);
    let two = Master::open_with(&cluster, "two", &["-A"], &env);
    let session = |master: &Master, words: &str| {
        let ssh = cluster
            .ssh("ada")
            .option("-A")
            .option(&format!("-oControlPath={}", master.control.display()))
            .env("SSH_AUTH_SOCK", socket.to_str().unwrap());
        run(ssh.command(words).env("SSH_AUTH_SOCK", &socket), b"").success().stdout
    };
    let first = session(&one, &ask);
    let (answer, path) = first.split_once('\n').unwrap();
    assert_eq!(answer, "12 1", "SSH_AGENT_IDENTITIES_ANSWER with one key");
    assert!(path.starts_with("/tmp/ssh-") && path.trim().ends_with("/agent.1"), "{path}");
    assert_eq!(session(&one, &ask), first, "the same path for later sessions");
    assert_ne!(session(&two, "echo $SSH_AUTH_SOCK"), path, "never shared with another connection");
    let without = cluster.ssh("ada").run("echo [$SSH_AUTH_SOCK]").stdout;
    assert_eq!(without, "[]\n");
    let mode = cluster.ssh("ada").run(&format!("stat -c %a $(dirname {path})")).success().stdout;
    assert_eq!(mode, "700\n");
    // The connection outlives the reservation: the next container has a socket of its own.
    session(&two, "true");
    cluster.ssh("ada").run("clusteria release").success();
    eventually("the next reservation", SOON, || {
        (cluster.ssh("ada").run("clusteria reserve gpu1/2").status == 0).then_some(())
    });
    assert_eq!(session(&two, &ask).split('\n').next(), Some("12 1"), "lent in the next container too");
    drop(one);
    eventually("its directory goes with the connection", SOON, || {
        (cluster.ssh("ada").run(&format!("test -e $(dirname {path})")).status != 0).then_some(())
    });
    drop(two);
}

#[test]
fn a_display_is_lent_with_its_cookie() {
    let cluster = reserved();
    // A display is known by its number; its server is this listener.
    let (display, listener) = (100..400_u16)
        .find_map(|n| Some((n, TcpListener::bind(("127.0.0.1", 6000 + n)).ok()?)))
        .expect("a free display");
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut setup = [0; 12 + 20 + 16];
        stream.read_exact(&mut setup).unwrap();
        stream.write_all(b"answer").unwrap();
        setup
    });
    let client = "import os, socket as s, struct as t\n\
        d = os.environ['DISPLAY']; host, rest = d.split(':'); n = int(rest.split('.')[0])\n\
        b = open(os.path.expanduser('~/.Xauthority'), 'rb').read()\n\
        f, = t.unpack('>H', b[:2]); b = b[2:]; fields = []\n\
        for _ in range(4):\n  l, = t.unpack('>H', b[:2]); fields.append(b[2:2+l]); b = b[2+l:]\n\
        assert f == 256 and fields[0].decode() == s.gethostname() and int(fields[1]) == n, (f, fields)\n\
        c = s.create_connection((host, 6000 + n))\n\
        c.sendall(t.pack('<BBHHHHH', 0x6c, 0, 11, 0, 18, 16, 0) + fields[2] + b'\\0\\0' + fields[3])\n\
        print(d, c.recv(6).decode())\n";
    let ssh = cluster.ssh("ada").option("-Y").env("DISPLAY", &format!("127.0.0.1:{display}"));
    let mut command = ssh.command("python3 -");
    command.env("XAUTHORITY", cluster.path("xauthority"));
    let ran = run(&mut command, client.as_bytes()).success();
    assert_eq!(ran.stdout, "localhost:10.0 answer\n");
    let setup = server.join().unwrap();
    assert_eq!(&setup[12..30], b"MIT-MAGIC-COOKIE-1");
    let mode = cluster.ssh("ada").run("stat -c '%a %U' .Xauthority; echo [$DISPLAY]").success().stdout;
    assert_eq!(mode, "600 ada\n[]\n");
}

#[test]
fn proxies_and_jumps_go_through() {
    let cluster = reserved();
    let web = "import http.server as h; h.HTTPServer(('127.0.0.1', 8888), h.SimpleHTTPRequestHandler).serve_forever()";
    cluster.ssh("ada").run("echo inside > index.html").success();
    let server = cluster.ssh("ada");
    let mut server = server.command(&format!("exec python3 -c \"{web}\""));
    let _server = Running::start(server.stdin(Stdio::piped()).stderr(Stdio::null()));
    let socks = free_port();
    let _master = Master::open(&cluster, "m", &[&format!("-D127.0.0.1:{socks}")]);
    let curl = |words: &[&str]| run(Command::new("curl").args(["-sf", "--max-time", "5"]).args(words), b"");
    let proxy = format!("socks5h://127.0.0.1:{socks}");
    let answer = eventually("the server answers through SOCKS", SOON, || {
        let ran = curl(&["--proxy", &proxy, "http://localhost:8888/"]);
        (ran.status == 0).then_some(ran.stdout)
    });
    assert_eq!(answer, "inside\n");
    let through = cluster.ssh("ada").option("-Wlocalhost:8888");
    let ran = through.run_with_input("", b"GET / HTTP/1.0\r\n\r\n").success();
    assert!(ran.stdout.ends_with("inside\n"), "{}", ran.stdout);
}
