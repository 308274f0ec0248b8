//! Three machines with a real Docker Engine each: network namespaces, mutual TLS, faults on demand.
//!
//! Each machine is a namespace on a switch of its own, with its own data root, a Unix socket and
//! `tcp://ADDRESS:2376`. Everything carries the name `ct-PID-N`: the namespaces, the folder, the cgroup. That is how
//! the guard finds what is left, also of a test that was killed before it could clean up.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{SOON, eventually};

/// The machine's port for its engine, as everybody has it.
pub const ENGINE_PORT: u16 = 2376;

/// What every engine has from the start.
const IMAGES: [&str; 2] = ["clusteria/try:1", "clusteria/empty:1"];
const NETNS: &str = "/run/netns";
const CGROUPS: &str = "/sys/fs/cgroup";

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

/// `10.X.Y.0/24`, ours for as long as the lock is held.
struct Network {
    number: u16,
    _lock: File,
}

impl Network {
    fn claim() -> Self {
        let folder = Path::new("/run/lock/clusteria-tests");
        fs::create_dir_all(folder).unwrap();
        for number in 0..1000 {
            let lock = File::create(folder.join(format!("network-{number}"))).unwrap();
            if lock.try_lock().is_ok() {
                return Self { number, _lock: lock };
            }
        }
        panic!("no network is free");
    }

    fn address(&self, host: u8) -> Ipv4Addr {
        let [high, low] = self.number.to_be_bytes();
        Ipv4Addr::new(10, 77 + high, low, host)
    }
}

/// An engine's data root with the images, made once and kept in the temporary folder by what is in it.
fn images() -> PathBuf {
    let ids: Vec<String> = IMAGES.iter().map(|image| image_id(image)).collect();
    let kind: String =
        ids.iter().map(|id| id.trim_start_matches("sha256:").get(..12).unwrap_or_default()).collect();
    let folder = std::env::temp_dir().join(format!("clusteria-images-{kind}"));
    fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let (ready, made) = (folder.join("data"), folder.join("making"));
    if !ready.exists() {
        let engine = Loader::start(&folder, &made);
        let host = format!("unix://{}", engine.socket.display());
        let line = format!("docker save {} | docker -H {host} load", IMAGES.join(" "));
        sh("bash", &["-o".as_ref(), "pipefail".as_ref(), "-c".as_ref(), line.as_ref()]);
        engine.stop();
        fs::rename(&made, &ready).unwrap();
    }
    ready
}

#[track_caller]
fn image_id(image: &str) -> String {
    let output = Command::new("docker").args(["image", "inspect", "-f", "{{.Id}}", image]).output().unwrap();
    assert!(output.status.success(), "{image} is missing: tests/run builds it");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// An engine without a network, only there to unpack images.
struct Loader {
    folder: PathBuf,
    socket: PathBuf,
    pidfile: PathBuf,
}

impl Loader {
    fn start(folder: &Path, data: &Path) -> Self {
        let _ = fs::remove_dir_all(data);
        let loader = Self {
            folder: folder.to_owned(),
            socket: folder.join("docker.sock"),
            pidfile: folder.join("pid"),
        };
        let log = File::create(folder.join("log")).unwrap();
        Command::new("dockerd")
            .arg("--data-root")
            .arg(data)
            .arg("--exec-root")
            .arg(folder.join("exec"))
            .arg("--pidfile")
            .arg(&loader.pidfile)
            .args(["--bridge", "none", "--iptables=false", "-H"])
            .arg(format!("unix://{}", loader.socket.display()))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .map(reap)
            .unwrap();
        eventually("the engine that loads images answers", SOON, || {
            std::os::unix::net::UnixStream::connect(&loader.socket).ok()
        });
        loader
    }

    fn stop(self) {
        let pid = read_pid(&self.pidfile).unwrap();
        kill(pid, Signal::SIGTERM).unwrap();
        eventually("the engine that loads images is gone", SOON, || is_gone(pid).then_some(()));
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        if let Some(pid) = read_pid(&self.pidfile) {
            let _ = kill(pid, Signal::SIGKILL);
        }
        unmount(&self.folder);
    }
}

/// Waits for it in a thread of its own: a zombie counts as a running engine for the next one.
fn reap(mut child: std::process::Child) {
    std::thread::spawn(move || child.wait());
}

fn read_pid(file: &Path) -> Option<Pid> {
    fs::read_to_string(file).ok()?.trim().parse().ok().map(Pid::from_raw)
}

fn is_gone(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_none_or(|rest| rest.trim_start().starts_with(['Z', 'X']) || rest.is_empty())
}

/// A certificate authority, by openssl: `ca.pem` and its key.
pub fn make_authority(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    openssl(
        folder,
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=test-ca \
         -keyout ca-key.pem -out ca.pem -addext basicConstraints=critical,CA:TRUE \
         -addext keyUsage=critical,keyCertSign,cRLSign",
    );
}

/// `NAME.pem` and `NAME-key.pem`, signed by the folder's authority.
pub fn make_certificate(folder: &Path, name: &str, usage: &str, address: Option<Ipv4Addr>) {
    let names = address.map_or(String::new(), |address| {
        format!("subjectAltName=DNS:{name},DNS:localhost,IP:{address},IP:127.0.0.1\n")
    });
    let extensions =
        format!("extendedKeyUsage={usage}\nkeyUsage=digitalSignature\nbasicConstraints=CA:FALSE\n{names}");
    fs::write(folder.join(format!("{name}.ext")), extensions).unwrap();
    openssl(
        folder,
        &format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN={name} \
             -keyout {name}-key.pem -out {name}.csr"
        ),
    );
    openssl(
        folder,
        &format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 30 \
             -extfile {name}.ext -out {name}.pem"
        ),
    );
}

#[track_caller]
fn openssl(folder: &Path, line: &str) {
    let made = Command::new("openssl").args(line.split_whitespace()).current_dir(folder).output().unwrap();
    assert!(made.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&made.stderr));
}

#[track_caller]
fn ip(words: &[&str]) {
    let done = Command::new("ip").args(words).output().unwrap();
    assert!(done.status.success(), "ip {}: {}", words.join(" "), String::from_utf8_lossy(&done.stderr));
}

#[track_caller]
fn sh(program: &str, words: &[&std::ffi::OsStr]) {
    let done = Command::new(program).args(words).output().unwrap();
    assert!(done.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// What tests that were killed have left: they are known by a process id that is nobody's any more.
fn remove_leftovers() {
    let names: BTreeSet<String> = entries(NETNS)
        .chain(entries(std::env::temp_dir()))
        .filter_map(|name| {
            let mut parts = name.strip_prefix("ct-")?.split('-');
            let (pid, number) = (parts.next()?.parse::<u32>().ok()?, parts.next()?.parse::<u32>().ok()?);
            (!Path::new(&format!("/proc/{pid}")).exists()).then(|| format!("ct-{pid}-{number}"))
        })
        .collect();
    for name in names {
        remove(&name);
    }
}

/// Everything that carries the name.
fn remove(name: &str) {
    let folder = std::env::temp_dir().join(name);
    end_processes(name, &folder);
    unmount(&folder);
    for namespace in entries(NETNS).filter(|other| belongs_to(other, name)) {
        // The host's end of a pair goes with the namespace of the other.
        let _ = Command::new("ip").args(["netns", "del", &namespace]).output();
    }
    for group in cgroups(name) {
        remove_cgroup(&group);
    }
    let _ = fs::remove_dir_all(&folder);
}

fn belongs_to(what: &str, name: &str) -> bool {
    what.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Kills by process id until nothing is left: what is in the namespaces, in the cgroups, or was started with the folder
/// in its command line (containerd's shims).
fn end_processes(name: &str, folder: &Path) {
    let own = std::process::id();
    eventually("everything has ended", SOON, || {
        let left: Vec<u32> = processes_of(name, folder).into_iter().filter(|pid| *pid != own).collect();
        for pid in &left {
            let _ = kill(Pid::from_raw(i32::try_from(*pid).unwrap()), Signal::SIGKILL);
        }
        left.is_empty().then_some(())
    });
}

fn processes_of(name: &str, folder: &Path) -> Vec<u32> {
    let namespaces: Vec<u64> = entries(NETNS)
        .filter(|other| belongs_to(other, name))
        .filter_map(|other| fs::metadata(Path::new(NETNS).join(other)).ok())
        .map(|found| found.ino())
        .collect();
    let folder = format!("{}/", folder.display());
    entries("/proc")
        .filter_map(|entry| entry.parse().ok())
        .filter(|pid: &u32| !is_gone(Pid::from_raw(i32::try_from(*pid).unwrap())))
        .filter(|pid| {
            let proc = PathBuf::from(format!("/proc/{pid}"));
            let command = fs::read(proc.join("cmdline")).unwrap_or_default();
            let program = String::from_utf8_lossy(&command);
            // Only what engines are made of: a client of the test may name the folder, too.
            let is_engine = ["dockerd", "containerd", "docker-proxy"]
                .iter()
                .any(|known| program.split('\0').next().is_some_and(|first| first.contains(known)));
            let in_namespace =
                fs::metadata(proc.join("ns/net")).is_ok_and(|ns| namespaces.contains(&ns.ino()));
            let groups = fs::read_to_string(proc.join("cgroup")).unwrap_or_default();
            in_namespace
                || (is_engine && program.contains(&folder))
                || groups.lines().flat_map(|line| line.split('/')).any(|part| belongs_to(part, name))
        })
        .collect()
}

/// In whichever hierarchies there are.
fn cgroups(name: &str) -> Vec<PathBuf> {
    let roots = entries(CGROUPS).map(|root| Path::new(CGROUPS).join(root)).chain([PathBuf::from(CGROUPS)]);
    roots
        .flat_map(|root| entries(&root).map(|entry| (root.join(&entry), entry)).collect::<Vec<_>>())
        .filter(|(path, entry)| belongs_to(entry, name) && path.is_dir())
        .map(|(path, _)| path)
        .collect()
}

fn remove_cgroup(path: &Path) {
    for child in entries(path).map(|entry| path.join(entry)).filter(|child| child.is_dir()) {
        remove_cgroup(&child);
    }
    let _ = fs::remove_dir(path);
}

/// Innermost first.
fn unmount(folder: &Path) {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let inside = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .filter(|at| Path::new(at).starts_with(folder));
    for mount in inside.collect::<Vec<_>>().into_iter().rev() {
        let _ = umount2(mount, MntFlags::MNT_DETACH);
    }
}

fn entries(folder: impl AsRef<Path>) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}
