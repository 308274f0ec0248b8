//! While a container starts: what is shown, and who gives what up.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Stdio;
use std::sync::{Arc, Condvar, Mutex};

use crate::common::terminal::Terminal;
use crate::common::{Cluster, Plan, SOON, eventually};

const ENGINE: &str = "/var/run/docker.sock";

/// A way to the engine on which containers start when the test says so.
struct Slow {
    folder: tempfile::TempDir,
    gate: Arc<(Mutex<bool>, Condvar)>,
}

impl Slow {
    fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("ct-slow-").tempdir().unwrap();
        let slow = Self { folder, gate: Arc::new((Mutex::new(true), Condvar::new())) };
        let listener = UnixListener::bind(slow.folder.path().join("sock")).unwrap();
        let gate = slow.gate.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(engine) = UnixStream::connect(ENGINE) else { return };
                let (back, there) = (client.try_clone().unwrap(), engine.try_clone().unwrap());
                let gate = gate.clone();
                std::thread::spawn(move || carry(client, there, Some(&gate)));
                std::thread::spawn(move || carry(engine, back, None));
            }
        });
        slow
    }

    fn address(&self) -> String {
        format!("unix://{}", self.folder.path().join("sock").display())
    }

    fn hold(&self) {
        *self.gate.0.lock().unwrap() = false;
    }

    fn let_go(&self) {
        *self.gate.0.lock().unwrap() = true;
        self.gate.1.notify_all();
    }
}

fn carry(mut from: UnixStream, mut to: UnixStream, gate: Option<&(Mutex<bool>, Condvar)>) {
    let mut piece = [0; 16384];
    while let Ok(count @ 1..) = from.read(&mut piece) {
        let line = piece[..count].split(|byte| *byte == b'\r').next().unwrap_or_default();
        let starts = line.starts_with(b"POST ") && line.windows(6).any(|part| part == b"/start");
        if let Some((open, bell)) = gate.filter(|_| starts) {
            drop(bell.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
        }
        if to.write_all(&piece[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// What the screens say in a language.
struct Words {
    environment: &'static str,
    free: &'static str,
    slots: &'static str,
    reserving: &'static str,
    step: &'static str,
    mine: &'static str,
    awaiting: &'static str,
    goes_on: &'static str,
}

const WORDS: [Words; 2] = [
    Words {
        environment: "",
        free: "● free",
        slots: "Choose a slot",
        reserving: "Reserving gpu1/1 · ",
        step: "▸ starting it",
        mine: "Your reservation: gpu1/2 (starting)",
        awaiting: "gpu1/2 is starting · ",
        goes_on: "the start goes on",
    },
    Words {
        environment: "LC_ALL=fr_FR.UTF-8",
        free: "● libre",
        slots: "Choisissez une place",
        reserving: "Réservation de gpu1/1 · ",
        step: "▸ démarrage",
        mine: "Votre réservation : gpu1/2 (en démarrage)",
        awaiting: "gpu1/2 démarre · ",
        goes_on: "le démarrage continue",
    },
];

#[test]
fn who_gives_up_a_start_of_their_own_gives_it_back() {
    let slow = Slow::start();
    let cluster = Cluster::start(Plan { engine: slow.address(), ..Plan::default() });
    for (words, key) in WORDS.iter().zip(["Escape", "C-c"]).chain([(&WORDS[0], "q")]) {
        slow.hold();
        let terminal = Terminal::ssh(&cluster, "ada", 100, 30, words.environment);
        terminal.shows(words.free);
        terminal.keys(&["1"]);
        terminal.shows(words.reserving);
        terminal.shows(words.step);
        terminal.resize(40, 10);
        // The seconds count.
        terminal.shows(&format!("{}2 s", words.reserving));
        terminal.keys(&[key]);
        terminal.shows(words.slots);
        slow.let_go();
        eventually("nothing of it is left", SOON, || cluster.containers().is_empty().then_some(()));
        let status = cluster.status("ada");
        assert_eq!(status["last"]["reason"], "released", "{status}");
        terminal.keys(&["q"]);
        terminal.shows("[ssh ended: 0]");
    }
}

#[test]
fn a_start_that_was_asked_for_elsewhere_goes_on_when_nobody_here_waits_for_it() {
    let slow = Slow::start();
    let cluster = Cluster::start(Plan { engine: slow.address(), ..Plan::default() });
    slow.hold();
    let mut asked = cluster.ssh("ada").command("clusteria reserve gpu1/2");
    let asked = asked.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let menu = |words: &Words| {
        Terminal::ssh_words(&cluster, "ada", 100, 30, words.environment, "-t", "clusteria menu")
    };
    eventually("it is asked for", SOON, || {
        (cluster.status("ada")["reservation"]["state"] == "starting").then_some(())
    });
    for (words, key) in WORDS.iter().zip(["Escape", "C-c"]) {
        let terminal = menu(words);
        terminal.shows(words.mine);
        terminal.keys(&["Enter"]);
        terminal.shows(words.awaiting);
        terminal.shows(words.goes_on);
        terminal.resize(40, 10);
        terminal.shows(words.awaiting);
        terminal.keys(&[key]);
        terminal.hides(words.awaiting);
        terminal.resize(100, 30);
        terminal.shows(words.mine);
        terminal.keys(&["q"]);
        terminal.shows("[ssh ended: 0]");
    }
    let terminal = menu(&WORDS[0]);
    terminal.shows(WORDS[0].mine);
    terminal.keys(&["Enter"]);
    terminal.shows(WORDS[0].awaiting);
    slow.let_go();
    terminal.shows("gpu1/2 ·");
    terminal.line("exit 3");
    terminal.shows("[ssh ended: 3]");
    let asked = asked.wait_with_output().unwrap();
    assert!(asked.status.success(), "{asked:?}");
    assert_eq!(cluster.running().len(), 1);
}
