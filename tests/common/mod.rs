//! A cluster of one's own for each test: the real gateway binary, a real engine, real OpenSSH clients.
//!
//! Everything a test makes carries the name of its cluster, which starts with `t-`; dropping the
//! cluster stops the gateway by its process id and removes its containers and its network.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

pub mod browser;
pub mod echo;
pub mod engines;
pub mod lab;
mod programs;
pub mod raw;
pub mod terminal;

#[allow(unused_imports, reason = "no test file uses all of them")]
pub use programs::{Ran, Running, docker, run, signal};

pub const IMAGE: &str = "clusteria/try:1";
pub const GATEWAY: &str = env!("CARGO_BIN_EXE_clusteria");

/// A generous limit for things that take moments.
pub const SOON: Duration = Duration::from_secs(30);

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Where tests/run keeps what the tests fetch.
pub fn cache() -> PathBuf {
    let or = |name: &str| std::env::var_os(name).map(PathBuf::from);
    or("CLUSTERIA_TEST_CACHE")
        .or_else(|| or("XDG_CACHE_HOME").map(|cache| cache.join("clusteria-tests")))
        .or_else(|| or("HOME").map(|home| home.join(".cache/clusteria-tests")))
        .unwrap()
}

/// Waits until something is so; what it waits for is named when it never is.
#[track_caller]
pub fn eventually<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What a cluster is made with.
pub struct Plan {
    pub slots: Vec<u16>,
    pub lifetime: &'static str,
    pub warnings: &'static str,
    pub grace: &'static str,
    pub image: &'static str,
    pub engine: String,
    pub users: &'static [&'static str],
    /// A second listener on 127.0.0.2, bound to this machine.
    pub bound_to: Option<&'static str>,
    /// More lines, by section: they replace nothing, so name keys that are not set here.
    pub ssh: &'static str,
    pub auth: &'static str,
    pub container: &'static str,
    pub reservation: &'static str,
    pub slot: &'static str,
    pub more: String,
    /// The agents by TLS and not by their sockets. All tests can run so: CLUSTERIA_TEST_TRANSPORT=tls.
    pub tls: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            slots: vec![2],
            lifetime: "1h",
            warnings: "[]",
            grace: "2s",
            image: IMAGE,
            engine: "unix:///var/run/docker.sock".into(),
            users: &["ada", "bob"],
            bound_to: None,
            ssh: "",
            auth: "",
            container: "",
            reservation: "",
            slot: "",
            more: String::new(),
            tls: std::env::var("CLUSTERIA_TEST_TRANSPORT").is_ok_and(|transport| transport == "tls"),
        }
    }
}

pub struct Cluster {
    pub name: String,
    pub folder: tempfile::TempDir,
    pub port: u16,
    gateway: Option<Child>,
    /// More of the gateway's environment.
    pub environment: Vec<(std::ffi::OsString, std::ffi::OsString)>,
    /// Gateways that took over from it, oldest first.
    heirs: Mutex<Vec<u32>>,
}

impl Cluster {
    pub fn start(plan: Plan) -> Self {
        let mut cluster = Self::prepare(&plan);
        cluster.start_gateway();
        cluster
    }

    /// Files, keys and users, but no gateway yet.
    pub fn prepare(plan: &Plan) -> Self {
        let name = format!("t-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = tempfile::Builder::new().prefix("ct-").tempdir().unwrap();
        let (environment, heirs) = <_>::default();
        let cluster = Self { name, folder, port: free_port(), environment, gateway: None, heirs };
        fs::write(cluster.config(), cluster.config_text(plan)).unwrap();
        cluster.cli(&["hostkey"]).success();
        for user in plan.users {
            cluster.add_user(user);
        }
        cluster
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn config(&self) -> PathBuf {
        self.path("clusteria.toml")
    }

    fn config_text(&self, plan: &Plan) -> String {
        let Plan { lifetime, warnings, grace, image, ssh, container, reservation, more, .. } = plan;
        let bound = plan.bound_to.map_or(String::new(), |machine| {
            format!(", {{ address = \"127.0.0.2:{}\", machine = \"{machine}\" }}", self.port)
        });
        let mut text = format!(
            "[cluster]\nname = \"{}\"\n\n[ssh]\nlisten = [\"127.0.0.1:{}\"{bound}]\n{ssh}\n\n[reservation]\n\
             lifetime = \"{lifetime}\"\nwarnings = {warnings}\ngrace = \"{grace}\"\n{reservation}\n\n\
             [container]\nimage = \"{image}\"\n{container}\n\n[store]\npath = \"ledger/clusteria.db\"\n\
             runtime = \"run\"\n\n{more}\n",
            self.name, self.port
        );
        if !plan.auth.is_empty() {
            write!(text, "[auth]\n{}\n\n", plan.auth).unwrap();
        }
        for (index, slots) in plan.slots.iter().enumerate() {
            write!(text, "[[machine]]\nname = \"gpu{}\"\nengine = \"{}\"\n", index + 1, plan.engine).unwrap();
            if plan.tls {
                let port = free_ports(*slots);
                write!(text, "agent = \"tls\"\naddress = \"127.0.0.1\"\nagent_port = {port}\n").unwrap();
            }
            for _ in 0..*slots {
                write!(text, "[[machine.slot]]\n{}\n", plan.slot).unwrap();
            }
        }
        text
    }

    pub fn add_user(&self, user: &str) {
        let key = self.path(&format!("{user}.key"));
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", user, "-f"])
            .arg(&key)
            .status()
            .unwrap();
        assert!(made.success());
        self.cli_with_input(&["user", "add", user, "--password-stdin"], &format!("pw-{user}\n")).success();
        self.cli(&["user", "key", user, "add", key.with_extension("key.pub").to_str().unwrap()]).success();
    }

    /// `clusteria WORD -c FILE …`
    pub fn cli(&self, words: &[&str]) -> Ran {
        self.cli_with_input(words, "")
    }

    pub fn cli_with_input(&self, words: &[&str], input: &str) -> Ran {
        let mut command = Command::new(GATEWAY);
        command.arg(words[0]).arg("-c").arg(self.config()).args(&words[1..]);
        run(&mut command, input.as_bytes())
    }

    pub fn start_gateway(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut child = Command::new(GATEWAY)
            .args(["serve", "-c"])
            .arg(self.config())
            .env("CLUSTERIA_TEST_CLOCK", self.path("clock"))
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .spawn()
            .unwrap();
        let ready = follow(child.stderr.take().unwrap(), log);
        self.gateway = Some(child);
        if ready.recv_timeout(SOON).is_err() {
            panic!("the gateway did not start:\n{}", self.log());
        }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub fn gateway_pid(&self) -> u32 {
        self.gateway.as_ref().unwrap().id()
    }

    /// `clusteria reload`: a new process takes over. Returns it.
    pub fn reload(&self) -> u32 {
        let said = self.cli(&["reload"]).success().stdout;
        let pid = said.split_whitespace().nth(1).and_then(|pid| pid.parse().ok());
        let pid = pid.unwrap_or_else(|| panic!("{said}"));
        self.heirs.lock().unwrap().push(pid);
        pid
    }

    /// The gateway that decides, by its socket: what has taken over need not have been started by us.
    pub fn owner_pid(&self) -> Option<u32> {
        let socket = std::os::unix::net::UnixStream::connect(self.path("run/gateway.sock")).ok()?;
        let peer = nix::sys::socket::getsockopt(&socket, nix::sys::socket::sockopt::PeerCredentials).ok()?;
        let pid = u32::try_from(peer.pid()).unwrap();
        self.heirs.lock().unwrap().push(pid);
        Some(pid)
    }

    /// SIGKILL of the gateway that decides; those before it go on serving out.
    pub fn kill_owner(&mut self) {
        let owner = self.owner_pid().expect("a gateway decides");
        signal(owner, "KILL");
        if let Some(mut first) = self.gateway.take() {
            self.heirs.lock().unwrap().push(first.id());
            std::thread::spawn(move || first.wait());
        }
        eventually("it is gone", SOON, || (!is_gateway(owner, &self.config())).then_some(()));
    }

    /// SIGKILL: no chance to clean up.
    pub fn kill_gateway(&mut self) {
        let mut child = self.gateway.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM, as a service manager does it.
    pub fn stop_gateway(&mut self) -> std::process::ExitStatus {
        let mut child = self.gateway.take().unwrap();
        let pid = nix::unistd::Pid::from_raw(child.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        eventually("the gateway stops", SOON, || child.try_wait().unwrap())
    }

    /// Options that every client needs: our own keys and hosts, nothing of the machine's.
    pub fn options(&self, user: &str) -> Vec<String> {
        let mut options = vec!["-F".to_owned(), "none".to_owned()];
        for (key, value) in [
            ("StrictHostKeyChecking", "no".to_owned()),
            ("UserKnownHostsFile", self.path("known_hosts").display().to_string()),
            ("IdentitiesOnly", "yes".to_owned()),
            ("IdentityFile", self.path(&format!("{user}.key")).display().to_string()),
            ("LogLevel", "ERROR".to_owned()),
            ("ConnectTimeout", "15".to_owned()),
        ] {
            options.extend(["-o".to_owned(), format!("{key}={value}")]);
        }
        options
    }

    /// The host of a client's command line.
    pub fn host(login: &str) -> String {
        format!("{login}@127.0.0.1")
    }

    /// `ssh OPTIONS HOST`; add options before and words after with [`Ssh`].
    pub fn ssh(&self, login: &str) -> Ssh<'_> {
        Ssh { cluster: self, login: login.to_owned(), options: Vec::new(), environment: Vec::new() }
    }

    /// For rsync -e, git and sftp -S: one line.
    pub fn ssh_line(&self, user: &str) -> String {
        format!("ssh -p {} {}", self.port, self.options(user).join(" "))
    }

    pub fn containers(&self) -> Vec<String> {
        self.docker_list(&["ps", "-a", "--format", "{{.Names}}"])
    }

    pub fn running(&self) -> Vec<String> {
        self.docker_list(&["ps", "--format", "{{.Names}}"])
    }

    fn docker_list(&self, words: &[&str]) -> Vec<String> {
        let filter = format!("label=clusteria.cluster={}", self.name);
        let mut names: Vec<_> =
            docker(&[words, &["--filter", &filter]].concat()).lines().map(String::from).collect();
        names.sort();
        names
    }

    /// `clusteria status --json` of a user.
    pub fn status(&self, user: &str) -> serde_json::Value {
        let ran = self.ssh(user).run("clusteria status --json");
        serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}\n{}", self.log()))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // One that a signal has started is known by its socket only.
        let _ = self.owner_pid();
        if let Some(mut child) = self.gateway.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let heirs = std::mem::take(self.heirs.get_mut().unwrap());
        for heir in heirs {
            if is_gateway(heir, &self.config()) {
                signal(heir, "KILL");
            }
        }
        for name in self.containers() {
            docker(&["rm", "-f", "-v", &name]);
        }
        let _ = Command::new("docker").args(["network", "rm", &format!("clusteria-{}", self.name)]).output();
        if std::thread::panicking() {
            eprintln!("--- log of the gateway ---\n{}", self.log());
        }
    }
}

/// Is this process a gateway of this configuration? A number alone may be another's by now.
pub fn is_gateway(pid: u32, config: &Path) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let config = config.as_os_str().as_encoded_bytes();
    line.split(|byte| *byte == 0).any(|word| word == config)
}

pub struct Ssh<'a> {
    cluster: &'a Cluster,
    login: String,
    options: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Ssh<'_> {
    pub fn option(mut self, option: &str) -> Self {
        self.options.push(option.to_owned());
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The command, not started: with `words` as the remote command unless it is empty.
    pub fn command(&self, words: &str) -> Command {
        let user = self.login.split('+').next().unwrap();
        let mut command = Command::new("ssh");
        command.args(self.cluster.options(user)).args(["-p", &self.cluster.port.to_string()]);
        command.args(&self.options).arg(Cluster::host(&self.login));
        if !words.is_empty() {
            command.arg(words);
        }
        command.env_remove("SSH_AUTH_SOCK").env_remove("LANG").env_remove("LC_ALL");
        command.envs(self.environment.iter().map(|(k, v)| (k, v)));
        command
    }

    pub fn run(&self, words: &str) -> Ran {
        run(&mut self.command(words), b"")
    }

    pub fn run_with_input(&self, words: &str, input: &[u8]) -> Ran {
        run(&mut self.command(words), input)
    }
}

/// A port that was free a moment ago, and that nobody is given who asks for any port: a server that is killed
/// and started again finds it free.
pub fn free_port() -> u16 {
    free_ports(1)
}

/// The first of as many ports in a row, like [`free_port`]'s.
///
/// They lie below the kernel's own (`ip_local_port_range`, from 32,768 on) and come in turn, each process from
/// another place on.
fn free_ports(count: u16) -> u16 {
    const FIRST: u32 = 10_000;
    const PORTS: u32 = 22_000;
    /// At once.
    const MOST: u32 = 64;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = NEXT.fetch_add(u32::from(count), Ordering::Relaxed);
        let offset = (std::process::id() * 101 + next) % (PORTS - MOST);
        let first = (FIRST + offset) as u16;
        let is_free = |port| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
        if (first..first + count).all(is_free) {
            return first;
        }
    }
}

/// Copies the gateway's words to its log; tells when it listens.
fn follow(from: impl std::io::Read + Send + 'static, mut log: fs::File) -> mpsc::Receiver<()> {
    use std::io::Write as _;
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let _ = writeln!(log, "{line}");
            if line.contains("listening on") {
                let _ = tell.send(());
            }
        }
    });
    told
}

/// A file of bytes that repeat nowhere near each other, made once for each size.
pub fn big_file(folder: &Path, bytes: u64) -> PathBuf {
    let path = folder.join(format!("big-{bytes}"));
    if !path.exists() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ bytes;
        let mut file = std::io::BufWriter::with_capacity(1 << 20, fs::File::create(&path).unwrap());
        for _ in 0..bytes / 8 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            std::io::Write::write_all(&mut file, &state.to_le_bytes()).unwrap();
        }
    }
    path
}
