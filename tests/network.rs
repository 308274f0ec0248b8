//! What containers may reach: the rules of `clusteria firewall` on a real packet filter, knocked at from inside, each with its denial.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::engines::{ENGINE_PORT, Engines, Machine, make_certificate};
use common::{Cluster, Plan, Running, SOON, docker, eventually, free_port};

/// Hosts elsewhere, as the packet filter sees them.
const INTERNET: &str = "11.99.7.2";
const DENIED: &str = "11.99.7.3";
const PRIVATE: &str = "10.213.7.2";
const ALLOWED: &str = "10.213.7.3";
/// The machine itself, as those hosts see it, and an address of its own in a tailnet.
const MACHINE: &str = "11.99.7.1";
const TAILNET: &str = "100.64.7.11";

/// A network's side: of a machine with a namespace of its own, or of this one.
#[derive(Clone)]
struct Side(Option<String>);

impl Side {
    fn here() -> Self {
        Self(None)
    }

    fn of(machine: &Machine) -> Self {
        Self(Some(machine.namespace().to_owned()))
    }

    #[track_caller]
    fn ip(&self, words: &str) {
        let within = self.0.iter().flat_map(|namespace| ["-n", namespace.as_str()]);
        let ran = Command::new("ip").args(within).args(words.split(' ')).output().unwrap();
        assert!(ran.status.success(), "ip {words}: {}", String::from_utf8_lossy(&ran.stderr));
    }

    fn command(&self, program: &str) -> Command {
        match &self.0 {
            None => Command::new(program),
            Some(namespace) => {
                let mut command = Command::new("nsenter");
                command.arg(format!("--net=/run/netns/{namespace}")).arg(program);
                command
            }
        }
    }

    /// Listens by TCP on all of its addresses; what comes by UDP to one of these goes back from there.
    fn serve(&self, port: u16, addresses: &[&str]) -> Running {
        let listen = format!(
            "import select, socket\ns = socket.create_server(('0.0.0.0', {port}))\nall = [s]\n\
             for host in {addresses:?}:\n  u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n  u.bind((host, {port}))\n  \
             all.append(u)\nprint('up', flush=True)\nwhile True:\n  for one in select.select(all, [], [])[0]:\n    \
             if one is s: s.accept()[0].close()\n    else: one.sendto(*one.recvfrom(99))"
        );
        let mut server = self.command("python3");
        let mut server = Running::start(server.args(["-c", &listen]).stdout(Stdio::piped()));
        let mut line = String::new();
        BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "up\n");
        server
    }
}

/// The packet filter's rules of a cluster on a machine: they concern its own bridge only.
struct Rules {
    script: PathBuf,
    side: Side,
}

impl Rules {
    fn start(cluster: &Cluster, side: &Side) -> Self {
        let script = cluster.path("firewall");
        fs::write(&script, cluster.cli(&["firewall"]).success().stdout).unwrap();
        let rules = Self { script, side: side.clone() };
        rules.run("start");
        // As often as one likes.
        rules.run("start");
        rules
    }

    fn run(&self, word: &str) {
        let ran = self.side.command("sh").arg(&self.script).arg(word).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }
}

impl Drop for Rules {
    fn drop(&mut self) {
        let _ = self.side.command("sh").arg(&self.script).arg("stop").output();
    }
}

/// Somebody else's host: a namespace behind a machine, with addresses of the internet and private ones.
struct Elsewhere {
    side: Side,
    machine: Side,
    link: String,
}

impl Elsewhere {
    fn behind(machine: &Side) -> Self {
        let pid = std::process::id();
        let name = format!("{}-else", machine.0.clone().unwrap_or_else(|| format!("ct-{pid}-1000")));
        let link = format!("ctel{}", pid % 100_000);
        let (side, here) = (Side(Some(name.clone())), Side::here());
        let elsewhere = Self { side, machine: machine.clone(), link };
        let (side, link) = (&elsewhere.side, &elsewhere.link);
        here.ip(&format!("netns add {name}"));
        machine.ip(&format!("link add {link} type veth peer name eth0 netns {name}"));
        side.ip("link set lo up");
        side.ip("link set eth0 up");
        machine.ip(&format!("link set {link} up"));
        for network in ["11.99.7", "10.213.7"] {
            machine.ip(&format!("addr add {network}.1/24 dev {link}"));
            for host in [2, 3] {
                side.ip(&format!("addr add {network}.{host}/24 dev eth0"));
            }
        }
        side.ip(&format!("route add default via {MACHINE}"));
        elsewhere
    }

    /// Does somebody there get in?
    fn gets_to(&self, host: &str, port: u16) -> bool {
        let knock = format!("exec 3<>/dev/tcp/{host}/{port}");
        let mut command = self.side.command("timeout");
        command.args(["2", "bash", "-c", &knock]).stderr(Stdio::null()).status().unwrap().success()
    }

    fn serve(&self, port: u16) -> Running {
        self.side.serve(port, &[INTERNET, DENIED, PRIVATE, ALLOWED])
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ =
            Command::new("ip").args(["netns", "del", self.side.0.as_deref().unwrap_or_default()]).output();
        let _ = self.machine.command("ip").args(["link", "del", &self.link]).output();
    }
}

/// What comes of a knock by TCP in somebody's container: `open`, the error's name, or `silent` after two seconds.
fn knock(cluster: &Cluster, user: &str, host: &str, port: u16) -> String {
    let script = format!(
        "import errno, socket\ntry:\n  socket.create_connection((\\\"{host}\\\", {port}), 2)\n  print(\\\"open\\\")\n\
         except OSError as e: print(errno.errorcode.get(e.errno, \\\"silent\\\"))"
    );
    let said = cluster.ssh(user).run(&format!("python3 -c \"{script}\"")).success().stdout;
    said.trim().to_owned()
}

/// Does an answer come by UDP?
fn answers(cluster: &Cluster, user: &str, host: &str, port: u16) -> bool {
    let script = format!(
        "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.settimeout(2)\ns.connect((\\\"{host}\\\", {port}))\n\
         try:\n  s.send(b\\\"x\\\")\n  print(s.recv(9) == b\\\"x\\\")\nexcept OSError: print(False)"
    );
    cluster.ssh(user).run(&format!("python3 -c \"{script}\"")).success().stdout == "True\n"
}

/// Bob's container listens on this port; who asks for it there is told its address.
fn bob_serves(cluster: &Cluster, port: u16) -> (Running, String) {
    let mut server = cluster.ssh("bob").command(&format!("python3 -m http.server {port}"));
    let server = Running::start(server.stdout(Stdio::null()).stderr(Stdio::null()));
    eventually("bob serves", SOON, || (knock(cluster, "bob", "127.0.0.1", port) == "open").then_some(()));
    (server, cluster.ssh("bob").run("hostname -I").success().stdout.trim().to_owned())
}

/// The rules of the configuration, and told at once: programs must not hang.
const NOT_ALLOWED: &str = "EHOSTUNREACH";

/// The machine as a container sees it.
fn gateway_of(network: &str) -> Ipv4Addr {
    network.trim().parse().unwrap()
}

const GATEWAY: &str = "{{range .IPAM.Config}}{{.Gateway}}{{end}}";

#[test]
fn the_network_lets_through_what_is_allowed_and_nothing_else() {
    let here = Side::here();
    let elsewhere = Elsewhere::behind(&here);
    let _servers = [elsewhere.serve(8080), elsewhere.serve(8081)];
    let more = format!("[network]\nallow = [\"{ALLOWED}:8080\"]\ndeny = [\"{DENIED}\"]\n");
    let cluster = Cluster::start(Plan { ssh: "", more, ..Plan::default() });
    for user in ["ada", "bob"] {
        cluster.ssh(user).run("clusteria reserve").success();
    }
    let reaches = |host: &str, port: u16| knock(&cluster, "ada", host, port) == "open";
    let (_server, bobs) = bob_serves(&cluster, 7777);
    // What listens on all addresses, an engine's API for one, listens here too.
    let machine =
        gateway_of(&docker(&["network", "inspect", "-f", GATEWAY, &format!("clusteria-{}", cluster.name)]));
    let engine = TcpListener::bind((machine, 0)).unwrap();
    let engine_port = engine.local_addr().unwrap().port();
    let service = TcpListener::bind((MACHINE, 0)).unwrap();
    let service_port = service.local_addr().unwrap().port();
    let machine = machine.to_string();

    // The engine's own separation holds without the rules; the machine needs them.
    assert!(!reaches(&bobs, 7777), "containers reach each other");
    assert!(reaches(&machine, engine_port), "without rules the machine is reached: else this proves nothing");
    assert!(reaches(INTERNET, 8080) && reaches(PRIVATE, 8080) && reaches(DENIED, 8080));
    let doctor = cluster.cli(&["doctor", "--json"]);
    assert_eq!(doctor.status, 1);
    assert!(doctor.stdout.contains("containers reach the machine or the gateway"), "{}", doctor.stdout);

    let rules = Rules::start(&cluster, &here);
    for (what, host, port, allowed) in [
        ("another container", bobs.as_str(), 7777, false),
        ("the engine's API", &machine, engine_port, false),
        ("a service of the machine on another address", MACHINE, service_port, false),
        ("the gateway's SSH", &machine, cluster.port, false),
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
    assert!(began.elapsed() < Duration::from_millis(1900), "{:?}", began.elapsed());
    // Names are still resolved (by the engine), and SSH by the gateway goes on.
    assert_eq!(cluster.ssh("ada").run("getent hosts localhost >/dev/null; echo in").success().stdout, "in\n");
    let doctor = cluster.cli(&["doctor", "--json"]);
    assert!(doctor.stdout.contains("cannot be reached from a container"), "{}", doctor.stdout);

    rules.run("stop");
    assert!(reaches(&machine, engine_port), "stop leaves nothing");
}

/// As it is in life: the machine is not the gateway's host. It has its engine's port, its agents' ports, a service for its
/// tailnet and hosts behind it that are nobody's; the gateway has a page and metrics besides SSH.
#[test]
fn a_machine_elsewhere_its_tailnet_and_the_gateway_are_closed_to_its_containers() {
    let engines = Engines::start(1);
    let gpu1 = engines.machine("gpu1");
    let machine = Side::of(gpu1);
    let elsewhere = Elsewhere::behind(&machine);
    machine.ip(&format!("addr add {TAILNET}/32 dev lo"));
    let _servers = [elsewhere.serve(8080), elsewhere.serve(8081), machine.serve(9000, &[TAILNET])];
    let (host, [page, metrics, ssh]) = (engines.host().to_string(), [(); 3].map(|()| free_port()));
    make_certificate(&engines.keys(), "page", "serverAuth", Some(engines.host()));
    let keys = engines.keys().display().to_string();
    let more = format!(
        "[web]\nlisten = [\"{host}:{page}\"]\ntls_certificate = \"{keys}/page.pem\"\ntls_key = \"{keys}/page-key.pem\"\n\
         [metrics]\nlisten = \"{host}:{metrics}\"\n[network]\nallow = [\"{ALLOWED}:8080\"]\ndeny = [\"{DENIED}\"]\n{}",
        gpu1.section(&engines.remote(gpu1), 2)
    );
    let mut cluster = Cluster::prepare(&Plan { slots: Vec::new(), tls: false, more, ..Plan::default() });
    let config = fs::read_to_string(cluster.config()).unwrap();
    fs::write(
        cluster.config(),
        config.replace("listen = [\"127", &format!("listen = [\"{host}:{ssh}\", \"127")),
    )
    .unwrap();
    cluster.start_gateway();
    // The first container has the first slot's port.
    for user in ["ada", "bob"] {
        cluster.ssh(user).run("clusteria reserve").success();
    }
    let (_server, bobs) = bob_serves(&cluster, 7777);
    let inside = gpu1.docker(&["network", "inspect", "-f", GATEWAY, &format!("clusteria-{}", cluster.name)]);
    let (inside, outside) = (gateway_of(&inside).to_string(), gpu1.address.to_string());
    let agent = cluster.status("bob")["reservation"]["slot"] == "gpu1/2";
    assert!(agent, "ada has the first slot, bob the second");

    let closed = [
        ("the engine's API", outside.as_str(), ENGINE_PORT),
        ("the neighbour's agent", &outside, 61_023),
        ("the machine on its bridge", &inside, 9000),
        ("the machine on another network", MACHINE, 9000),
        ("the machine's address in the tailnet", TAILNET, 9000),
        ("the gateway's SSH", &host, ssh),
        ("the gateway's page", &host, page),
        ("the gateway's metrics", &host, metrics),
        ("a denied host of the internet", DENIED, 8080),
        ("a private network", PRIVATE, 8080),
        ("another port of a host that is allowed", ALLOWED, 8081),
    ];
    let open = [("the internet", INTERNET, 8081), ("what is allowed", ALLOWED, 8080)];
    // Without the rules all of it is there: else what follows proves nothing.
    for (what, host, port) in closed.iter().chain(&open) {
        assert_eq!(knock(&cluster, "ada", host, *port), "open", "{what}, without the rules");
    }
    assert_ne!(knock(&cluster, "ada", &bobs, 7777), "open", "the engine separates containers");
    let datagrams = [
        (INTERNET, 8081, true),
        (DENIED, 8080, false),
        (PRIVATE, 8080, false),
        (ALLOWED, 8080, true),
        (ALLOWED, 8081, false),
        (TAILNET, 9000, false),
    ];
    for (host, port, _) in datagrams {
        assert!(answers(&cluster, "ada", host, port), "UDP to {host}:{port}, without the rules");
    }
    // The machine forwards for everybody, as one does that is a router too. Newer engines see to their containers themselves.
    assert!(machine.command("iptables").args(["-P", "FORWARD", "ACCEPT"]).status().unwrap().success());
    eprintln!("without the rules somebody elsewhere gets in: {}", elsewhere.gets_to(&bobs, 7777));
    let doctor = |wanted: &str| {
        let said = cluster.cli(&["doctor", "--json"]).stdout;
        assert!(said.contains(wanted), "{said}");
    };
    doctor("containers reach the machine or the gateway");

    let rules = Rules::start(&cluster, &machine);
    let began = Instant::now();
    for (what, host, port) in &closed {
        assert_eq!(knock(&cluster, "ada", host, *port), NOT_ALLOWED, "{what}");
    }
    eprintln!("{} doors closed, each told within {:?}", closed.len(), began.elapsed() / closed.len() as u32);
    assert_ne!(knock(&cluster, "ada", &bobs, 7777), "open", "another container");
    for (what, host, port) in &open {
        assert_eq!(knock(&cluster, "ada", host, *port), "open", "{what}");
    }
    // By UDP it is the same.
    for (host, port, allowed) in datagrams {
        assert_eq!(answers(&cluster, "ada", host, port), allowed, "UDP to {host}:{port}");
    }
    // Nobody gets in from elsewhere, who knows the way to the containers' network; the gateway does, as before.
    assert!(!elsewhere.gets_to(&bobs, 7777));
    assert_eq!(cluster.ssh("ada").run("echo in").success().stdout, "in\n");
    doctor("cannot be reached from a container");

    // A cluster without the internet has what is allowed.
    let config = fs::read_to_string(cluster.config()).unwrap();
    fs::write(cluster.config(), config.replace("[network]\n", "[network]\ninternet = false\n")).unwrap();
    let strict = Rules::start(&cluster, &machine);
    assert_eq!(knock(&cluster, "ada", INTERNET, 8081), NOT_ALLOWED);
    assert_eq!(knock(&cluster, "ada", ALLOWED, 8080), "open");
    strict.run("stop");
    for (what, host, port) in &closed {
        assert_eq!(knock(&cluster, "ada", host, *port), "open", "{what}: stop leaves nothing");
    }
    drop(rules);
}
