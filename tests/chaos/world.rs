//! Three machines, one gateway, its people, and a small disk for the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, RwLock};

use crate::common::engines::{Engines, Machine};
use crate::common::{Cluster, Plan, Ran};

pub const USERS: [&str; 7] = ["ada", "bob", "eve", "kim", "lea", "max", "zoe"];
const SLOTS: usize = 2;
pub const GRACE_SECONDS: i64 = 2;

pub struct World {
    // Dropped in this order: what is mounted in the cluster's folder, the gateway with the folder, its machines.
    pub disk: SmallDisk,
    pub cluster: Mutex<Cluster>,
    pub engines: Engines,
    /// People reserve and release with a share of it; who compares book and engines wants it all.
    pub changes: RwLock<()>,
}

impl World {
    pub fn start() -> Self {
        let engines = Engines::start(3);
        let plan = Plan {
            slots: Vec::new(),
            // Short, so that deadlines pass in the middle of it all.
            lifetime: "60s",
            warnings: "[\"5s\"]",
            grace: "2s",
            users: &[],
            tls: false,
            ssh: "drain = \"5m\"",
            reservation: "auto_reserve = false",
            more: format!("[audit]\npath = \"audit.jsonl\"\n\n{}", engines.config(SLOTS)),
            ..Plan::default()
        };
        let mut cluster = Cluster::prepare(&plan);
        let disk = SmallDisk::mount(cluster.path("ledger"));
        for user in USERS {
            cluster.add_user(user);
        }
        cluster.start_gateway();
        Self { cluster: Mutex::new(cluster), engines, disk, changes: RwLock::default() }
    }

    /// What every thread needs of the cluster; the lock is held for moments only.
    pub fn client(&self) -> Client {
        let cluster = self.cluster.lock().unwrap();
        let options = USERS.iter().map(|user| (*user, cluster.options(user))).collect();
        Client { port: cluster.port, folder: cluster.folder.path().to_owned(), options }
    }

    pub fn machine(&self, name: &str) -> &Machine {
        self.engines.machine(name)
    }

    /// What runs or has run, by the engines; `None` while one of them does not answer.
    pub fn containers(&self) -> Option<Vec<Container>> {
        let name = self.cluster.lock().unwrap().name.clone();
        let filter = format!("label=clusteria.cluster={name}");
        let mut all = Vec::new();
        for machine in &self.engines.machines {
            let mut docker = Command::new("timeout");
            docker.args(["-s", "KILL", "10", "docker", "-H", &machine.unix()]);
            docker.args(["ps", "-a", "--no-trunc", "--filter", &filter, "--format"]);
            let label = |name: &str| format!("{{{{.Label \"clusteria.{name}\"}}}}");
            let labels = ["reservation", "user", "slot", "deadline"].map(label).join("\t");
            docker.arg(format!("{labels}\t{{{{.State}}}}\t{{{{.ID}}}}"));
            let output = docker.output().unwrap();
            if !output.status.success() {
                return None;
            }
            let text = String::from_utf8(output.stdout).unwrap();
            all.extend(text.lines().map(|line| Container::read(&machine.name, line)));
        }
        Some(all)
    }

    /// `clusteria admin list --json`, if the gateway answers.
    pub fn book(&self) -> Option<serde_json::Value> {
        let config = self.cluster.lock().unwrap().config();
        let mut admin = Command::new("timeout");
        admin.args(["-s", "KILL", "10", crate::common::GATEWAY, "admin", "-c"]).arg(config);
        let output = admin.args(["list", "--json"]).output().unwrap();
        output.status.success().then(|| serde_json::from_slice(&output.stdout).ok())?
    }

    /// The reservations that have a folder for their agent: those of the machine that shares this host, gpu1.
    pub fn run_folders(&self) -> BTreeSet<String> {
        let run = self.cluster.lock().unwrap().path("run");
        let folders = std::fs::read_dir(run).unwrap().flatten().filter(|entry| entry.path().is_dir());
        folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    /// How each reservation ended, by the audit log.
    pub fn ends(&self) -> BTreeMap<String, Vec<String>> {
        let path = self.cluster.lock().unwrap().path("audit.jsonl");
        let mut ends: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in std::fs::read_to_string(path).unwrap_or_default().lines() {
            let Ok(event) = serde_json::from_str::<serde_json::Value>(line) else { continue };
            if event["event"] == "reservation.ended" {
                let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
                ends.entry(text("reservation")).or_default().push(text("reason"));
            }
        }
        ends
    }
}

/// One container, by its labels.
#[derive(Debug, Clone)]
pub struct Container {
    pub machine: String,
    pub reservation: String,
    pub user: String,
    pub slot: String,
    pub deadline: jiff::Timestamp,
    pub running: bool,
    /// The engine's own: a name may be the next one's in a moment.
    pub id: String,
}

impl Container {
    fn read(machine: &str, line: &str) -> Self {
        let [reservation, user, slot, deadline, state, id] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        Self {
            machine: machine.to_owned(),
            reservation: reservation.to_owned(),
            user: user.to_owned(),
            slot: slot.to_owned(),
            deadline: deadline.parse().unwrap(),
            running: state == "running",
            id: id.to_owned(),
        }
    }
}

/// The way in for people.
#[derive(Clone)]
pub struct Client {
    pub port: u16,
    pub folder: PathBuf,
    options: BTreeMap<&'static str, Vec<String>>,
}

impl Client {
    /// An ssh, sftp or scp of this user, with a limit on everything.
    pub fn command(&self, program: &str, port: &str, user: &str) -> Command {
        let mut command = Command::new("timeout");
        command.args(["-s", "KILL", "60", program]).args(&self.options[user]);
        command.args([port, &self.port.to_string()]).args(["-o", "ServerAliveInterval=5"]);
        command.env_remove("SSH_AUTH_SOCK").env_remove("LANG");
        command
    }

    pub fn run(&self, user: &str, words: &str) -> Ran {
        let mut ssh = self.command("ssh", "-p", user);
        crate::common::run(ssh.arg(Cluster::host(user)).arg(words), b"")
    }
}

/// A file system of its own, small enough to be filled.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf) -> Self {
        std::fs::create_dir_all(&at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(&at).status();
        assert!(mounted.unwrap().success(), "mounting a tmpfs needs root");
        Self(at)
    }

    pub fn fill(&self) {
        let _ = std::fs::write(self.0.join("filler"), vec![0; 4 << 20]);
    }

    pub fn clear(&self) {
        let _ = std::fs::remove_file(self.0.join("filler"));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
