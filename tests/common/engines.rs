//! Three machines with a real Docker Engine each: network namespaces, mutual TLS, faults on demand.
//!
//! Each machine is a namespace on a switch of its own, with its own data root, a Unix socket and
//! `tcp://ADDRESS:2376`. Everything carries the name `ct-PID-N`: the namespaces, the folder, the cgroup. That is how
//! the guard finds what is left, also of a test that was killed before it could clean up.

mod certificates;
mod images;
mod leftovers;
mod network;

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{SOON, eventually};
#[allow(unused_imports, reason = "no test file uses all of them")]
pub use certificates::{make_authority, make_certificate};
use images::{images, sh};
use leftovers::{end_processes, is_gone, read_pid, reap, remove, remove_leftovers, unmount};
use network::{NETNS, Network, ip};

/// The machine's port for its engine, as everybody has it.
pub const ENGINE_PORT: u16 = 2376;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Machines, and what connects them. Dropping it leaves nothing behind.
pub struct Engines {
    pub machines: Vec<Machine>,
    name: String,
    folder: PathBuf,
    network: Network,
}

/// One machine: `gpu1` is the first.
pub struct Machine {
    pub name: String,
    pub address: Ipv4Addr,
    folder: PathBuf,
    namespace: String,
    switch: String,
    port: String,
    keys: PathBuf,
}

impl Engines {
    /// Machines gpu1, gpu2, ... with their engines running and the test images loaded.
    pub fn start(count: u8) -> Self {
        remove_leftovers();
        let name = format!("ct-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(&name);
        fs::create_dir_all(&folder).unwrap();
        let network = Network::claim();
        // From here on the guard cleans up, wherever it fails.
        let mut engines = Self { machines: Vec::new(), name, folder, network };
        engines.make_switch();
        make_authority(&engines.keys());
        make_certificate(&engines.keys(), "client", "clientAuth", None);
        let images = images();
        for number in 1..=count {
            let machine = engines.add_machine(number);
            machine.take_images(&images);
            machine.spawn_engine();
            engines.machines.push(machine);
        }
        for machine in &engines.machines {
            machine.wait_for_engine();
        }
        engines
    }

    /// The folder with `ca.pem`, and `client.pem` and `client-key.pem` for who may use the engines.
    pub fn keys(&self) -> PathBuf {
        self.folder.join("tls")
    }

    /// The host's own address on the machines' network.
    pub fn host(&self) -> Ipv4Addr {
        self.network.address(1)
    }

    /// By name.
    pub fn machine(&self, name: &str) -> &Machine {
        self.machines.iter().find(|machine| machine.name == name).unwrap()
    }

    /// `[[machine]]` sections for a cluster's configuration: the first machine's engine and agents by Unix sockets, the
    /// others over the network.
    pub fn config(&self, slots: usize) -> String {
        let sections = self.machines.iter().enumerate().map(|(index, machine)| {
            let way = if index == 0 { machine.shared() } else { self.remote(machine) };
            machine.section(&way, slots)
        });
        sections.collect()
    }

    /// The keys for a machine elsewhere: TLS to its engine, TLS to its agents.
    pub fn remote(&self, machine: &Machine) -> String {
        let key = |name: &str| self.keys().join(name).display().to_string();
        let (ca, cert, own) = (key("ca.pem"), key("client.pem"), key("client-key.pem"));
        format!(
            "engine = \"{}\"\ntls = {{ ca = \"{ca}\", cert = \"{cert}\", key = \"{own}\" }}\n\
             agent = \"tls\"\naddress = \"{}\"\n",
            machine.tcp(),
            machine.address
        )
    }

    /// The switch is a namespace too: on the host, br_netfilter and Docker's FORWARD policy would eat its frames.
    fn make_switch(&self) {
        let switch = format!("{}-sw", self.name);
        let (up, own) = (format!("ctup{}", self.network.number), format!("{}/24", self.host()));
        ip(&["netns", "add", &switch]);
        ip(&["-n", &switch, "link", "add", "br0", "type", "bridge"]);
        ip(&["-n", &switch, "link", "set", "br0", "up"]);
        ip(&["link", "add", &up, "type", "veth", "peer", "name", "up0", "netns", &switch]);
        ip(&["-n", &switch, "link", "set", "up0", "master", "br0", "up"]);
        ip(&["addr", "add", &own, "dev", &up]);
        ip(&["link", "set", &up, "up"]);
    }

    fn add_machine(&self, number: u8) -> Machine {
        let name = format!("gpu{number}");
        let address = self.network.address(10 + number);
        make_certificate(&self.keys(), &name, "serverAuth", Some(address));
        let (namespace, switch) = (format!("{}-{name}", self.name), format!("{}-sw", self.name));
        let (port, own) = (format!("p{number}"), format!("{address}/24"));
        ip(&["netns", "add", &namespace]);
        ip(&[
            "-n", &switch, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &namespace,
        ]);
        ip(&["-n", &switch, "link", "set", &port, "master", "br0", "up"]);
        ip(&["-n", &namespace, "addr", "add", &own, "dev", "eth0"]);
        ip(&["-n", &namespace, "link", "set", "lo", "up"]);
        ip(&["-n", &namespace, "link", "set", "eth0", "up"]);
        ip(&["-n", &namespace, "route", "add", "default", "via", &self.host().to_string()]);
        let folder = self.folder.join(&name);
        fs::create_dir_all(&folder).unwrap();
        Machine { name, address, folder, namespace, switch, port, keys: self.keys() }
    }
}

impl Drop for Engines {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for machine in &self.machines {
                eprintln!("--- log of {}'s engine, its end ---\n{}", machine.name, machine.log_end());
            }
        }
        remove(&self.name);
    }
}

impl Machine {
    /// `unix:///…/docker.sock`, for what shares this host's file system.
    pub fn unix(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// The keys for a machine that shares this host's file system.
    pub fn shared(&self) -> String {
        format!("engine = \"{}\"\nagent = \"unix\"\n", self.unix())
    }

    /// One `[[machine]]` with the keys that say how it is reached.
    pub fn section(&self, way: &str, slots: usize) -> String {
        format!("[[machine]]\nname = \"{}\"\n{way}{}\n", self.name, "[[machine.slot]]\n".repeat(slots))
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.join("docker.sock")
    }

    /// `tcp://ADDRESS:2376`
    pub fn tcp(&self) -> String {
        format!("tcp://{}:{ENGINE_PORT}", self.address)
    }

    /// The network namespace's name, for `ip netns exec`.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// `docker …` on this machine, by its Unix socket: works also while the link is cut.
    #[track_caller]
    pub fn docker(&self, words: &[&str]) -> String {
        let output = Command::new("docker").args(["-H", &self.unix()]).args(words).output().unwrap();
        assert!(output.status.success(), "docker {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The containers of a cluster, running ones only.
    pub fn running(&self, cluster: &str) -> Vec<String> {
        let filter = format!("label=clusteria.cluster={cluster}");
        let listed = self.docker(&["ps", "--format", "{{.Names}}", "--filter", &filter]);
        listed.lines().map(String::from).collect()
    }

    /// Starts the engine after [`Machine::kill_engine`] or [`Machine::power_off`].
    pub fn start_engine(&self) {
        self.spawn_engine();
        self.wait_for_engine();
    }

    /// SIGKILL of the engine and its containerd. Containers run on: live-restore.
    pub fn kill_engine(&self) {
        let pids = self.engine_pids();
        for pid in &pids {
            let _ = kill(*pid, Signal::SIGKILL);
        }
        eventually("the engine is gone", SOON, || pids.iter().all(|pid| is_gone(*pid)).then_some(()));
        self.forget_engine();
    }

    /// SIGSTOP: it accepts connections and answers none.
    pub fn freeze(&self) {
        kill(self.engine_pid(), Signal::SIGSTOP).unwrap();
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        kill(self.engine_pid(), Signal::SIGCONT).unwrap();
    }

    /// Pulls the network cable.
    pub fn cut(&self) {
        ip(&["-n", &self.switch, "link", "set", &self.port, "down"]);
    }

    /// Plugs it in again.
    pub fn join(&self) {
        ip(&["-n", &self.switch, "link", "set", &self.port, "up"]);
    }

    /// The power goes: engine, containerd and every process of every container, at once.
    pub fn power_off(&self) {
        end_processes(&self.namespace, &self.folder);
        unmount(&self.folder);
        self.forget_engine();
    }

    fn engine_pid(&self) -> Pid {
        read_pid(&self.folder.join("pid")).expect("the engine does not run")
    }

    fn engine_pids(&self) -> Vec<Pid> {
        let files = [self.folder.join("pid"), self.folder.join("exec/containerd/containerd.pid")];
        files.iter().filter_map(|file| read_pid(file)).collect()
    }

    /// A reboot forgets process ids; a stale file with the id of something that lives stops an engine from starting.
    fn forget_engine(&self) {
        let _ = fs::remove_file(self.folder.join("pid"));
        let _ = fs::remove_file(self.folder.join("exec/containerd/containerd.pid"));
    }

    fn spawn_engine(&self) {
        let path = |name: &str| self.folder.join(name).display().to_string();
        let key = |name: &str| self.keys.join(name).display().to_string();
        let log = File::options().create(true).append(true).open(self.folder.join("log")).unwrap();
        // nsenter and not `ip netns exec`, which remounts /sys and hides what is mounted below it. The mount namespace
        // stays the host's: in one of its own, exec into containers fails after a live-restore restart.
        Command::new("setsid")
            .arg("nsenter")
            .arg(format!("--net={NETNS}/{}", self.namespace))
            .args(["unshare", "--uts", "sh", "-c", "hostname \"$0\" && exec dockerd \"$@\"", &self.name])
            .args(["--data-root", &path("data"), "--exec-root", &path("exec"), "--pidfile", &path("pid")])
            .args(["--live-restore", "--exec-opt", "native.cgroupdriver=cgroupfs"])
            .args(["--cgroup-parent", &format!("/{}", self.namespace)])
            .args(["-H", &self.unix(), "-H", &self.tcp()])
            .args(["--tlsverify", "--tlscacert", &key("ca.pem")])
            .args(["--tlscert", &key(&format!("{}.pem", self.name))])
            .args(["--tlskey", &key(&format!("{}-key.pem", self.name))])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .map(reap)
            .unwrap();
    }

    fn wait_for_engine(&self) {
        let answers = || {
            let mut version = Command::new("docker");
            version.args(["-H", &self.unix(), "version"]).stdout(Stdio::null()).stderr(Stdio::null());
            version.status().is_ok_and(|status| status.success()).then_some(())
        };
        eventually(&format!("{}'s engine answers:\n{}", self.name, self.log_end()), SOON, answers);
    }

    fn log_end(&self) -> String {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Layers are never written to, so they are linked; what describes them is copied.
    fn take_images(&self, template: &Path) {
        let data = self.folder.join("data");
        fs::create_dir_all(&data).unwrap();
        sh("cp", &["-al".as_ref(), template.join("overlay2").as_os_str(), data.as_os_str()]);
        sh("cp", &["-a".as_ref(), template.join("image").as_os_str(), data.as_os_str()]);
    }
}
