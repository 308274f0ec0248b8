//! Where all the clients go: one gateway and one container for as long as any test needs them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use super::client::Client;
use super::program::{Running, run_within};
use super::sshd::{self, Sshd};
use crate::common::{Cluster, Plan, Ran, SOON, docker, eventually};

/// More than anything here takes on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(120);

/// In every container of a place: an echo on this port and at this path.
pub const ECHO_PORT: u16 = 7007;
pub const ECHO_SOCKET: &str = "/tmp/echo.sock";

static SHARED: Mutex<Weak<Place>> = Mutex::new(Weak::new());
static NEXT: AtomicU32 = AtomicU32::new(0);

pub struct Place {
    pub cluster: Cluster,
    /// Of the gateway's host keys, as plink wants to know them.
    pub fingerprints: Vec<String>,
    inner_sshd: OnceLock<u16>,
    /// With `REFERENCE=1` all clients go to OpenSSH's own server instead: what fails there too is not ours.
    reference: Option<Sshd>,
}

impl Place {
    pub fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = shared.upgrade() {
            return place;
        }
        let place = Arc::new(Self::make());
        *shared = Arc::downgrade(&place);
        place
    }

    fn make() -> Self {
        let cluster = Cluster::start(Plan { users: &["ada"], ssh: "max_per_user = 500", ..Plan::default() });
        cluster.ssh("ada").run("clusteria reserve gpu1/1").success();
        let reference = std::env::var_os("REFERENCE").map(|_| Sshd::start(&cluster));
        let key = |name: &str| cluster.path(name);
        let made = |command: &mut Command| {
            let output = command.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        made(Command::new("puttygen").arg(key("ada.key")).args(["-O", "private", "-o"]).arg(key("ada.ppk")));
        made(
            Command::new("dropbearconvert")
                .args(["openssh", "dropbear"])
                .args([key("ada.key"), key("ada.db")]),
        );
        let mut fingerprints = Vec::new();
        let keys = fs::read_dir(key("hostkeys")).unwrap().map(|entry| entry.unwrap().path());
        for path in keys.chain(reference.iter().map(|sshd| sshd.host_key.clone())) {
            let printed = made(Command::new("ssh-keygen").arg("-lf").arg(path));
            fingerprints.push(printed.split_whitespace().nth(1).unwrap().to_owned());
        }
        let place = Self { cluster, fingerprints, inner_sshd: OnceLock::new(), reference };
        place.furnish();
        place
    }

    /// The echoes and their counterpart.
    fn furnish(&self) {
        for (name, text) in
            [("echo.py", include_str!("there/echo.py")), ("talk.py", include_str!("there/talk.py"))]
        {
            let path = self.cluster.path(name);
            fs::write(&path, text).unwrap();
            docker(&["cp", path.to_str().unwrap(), &format!("{}:/home/ada/{name}", self.container())]);
        }
        for target in [&ECHO_PORT.to_string(), ECHO_SOCKET] {
            docker(&["exec", "-d", "-u", "ada", &self.container(), "python3", "/home/ada/echo.py", target]);
            let talk = format!("python3 /home/ada/talk.py {target}");
            eventually("the echo answers", SOON, || self.look(&talk).contains("bye").then_some(()));
        }
    }

    pub fn port(&self) -> u16 {
        self.reference.as_ref().map_or(self.cluster.port, |sshd| sshd.port)
    }

    pub fn container(&self) -> String {
        self.reference
            .as_ref()
            .map_or_else(|| self.cluster.running()[0].clone(), |sshd| sshd.container.clone())
    }

    /// One line: ssh, its port and its options.
    pub fn ssh_line(&self) -> String {
        format!("ssh -p {} {}", self.port(), self.cluster.options("ada").join(" "))
    }

    /// The port of an sshd in the container, started at the first need.
    pub fn inner_sshd(&self) -> u16 {
        *self.inner_sshd.get_or_init(|| sshd::inner(&self.cluster, &self.container()))
    }

    /// Runs a script in the container by another way than SSH, to see what a client did.
    pub fn look(&self, script: &str) -> String {
        let name = &self.container();
        docker(&["exec", "-u", "ada", "-e", "HOME=/home/ada", "-w", "/home/ada", name, "sh", "-c", script])
    }
}

/// One client at one behaviour, with a folder on each side.
pub struct Case {
    pub client: &'static dyn Client,
    pub place: Arc<Place>,
    /// Absolute, in the container.
    pub there: String,
    pub here: PathBuf,
}

impl Case {
    pub fn new(client: &'static dyn Client, place: Arc<Place>) -> Self {
        let name = format!("{}-{}", client.name().replace(' ', "-"), NEXT.fetch_add(1, Ordering::Relaxed));
        let here = place.cluster.path(&name);
        fs::create_dir(&here).unwrap();
        let there = format!("/home/ada/{name}");
        place.look(&format!("mkdir {there}"));
        Self { client, place, there, here }
    }

    /// A path on our side, in this case's own folder.
    pub fn local(&self, name: &str) -> String {
        self.here.join(name).to_str().unwrap().to_owned()
    }

    /// A path in the container, in this case's own folder.
    pub fn remote(&self, name: &str) -> String {
        format!("{}/{name}", self.there)
    }

    pub fn command(&self, ask: &super::ask::Ask) -> Command {
        self.client.command(&self.place, ask)
    }

    pub fn run(&self, ask: &super::ask::Ask) -> Ran {
        self.run_with_input(ask, b"")
    }

    pub fn run_with_input(&self, ask: &super::ask::Ask, input: &[u8]) -> Ran {
        run_within(LIMIT, &mut self.command(ask), input)
    }

    /// A client that goes on, as a forward does.
    pub fn start(&self, ask: &super::ask::Ask) -> Running {
        Running::start(&mut self.command(ask))
    }
}
