//! `clusteria-agent probe`: looks around in a container for `clusteria doctor`, as nobody in particular.
//!
//! It ends by itself within [`LIMIT`] whatever hangs: what has not answered by then is told as such.

use std::fs;
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use nix::sys::statvfs::statvfs;
use serde::{Deserialize, Serialize};

use super::usage::report::{Amount, Gpus};
use super::usage::{container_limits, gpus_of_probe};

/// All of it takes no longer.
pub const LIMIT: Duration = Duration::from_secs(12);
/// One connection.
const DIAL_LIMIT: Duration = Duration::from_secs(2);
/// Files are made as this user: whoever is not root, as students are not.
const NOBODY: u32 = 65_534;

/// What to look at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Mounts: the path, and whether it must not be writable.
    pub mounts: Vec<(String, bool)>,
    /// Ports of the machine, as the container's gateway, to knock at.
    pub host_ports: Vec<u16>,
    /// Other places to knock at.
    pub places: Vec<SocketAddr>,
    /// Ask nvidia-smi.
    pub gpus: bool,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// In the question's order.
    pub mounts: Vec<FoundMount>,
    /// Which places, the machine's ports first, can be reached.
    pub doors: Vec<(SocketAddr, Knock)>,
    /// What nvidia-smi says.
    pub gpus: Gpus,
    /// The memory's limit, as it holds.
    pub memory: Option<Amount>,
    /// The processes' limit, as it holds.
    pub processes: Option<Amount>,
}

/// A mount as it is in the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundMount {
    /// Its path.
    pub target: String,
    /// How it does.
    pub state: MountState,
}

/// How a mount does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountState {
    /// It did not answer in time.
    Silent,
    /// It is there.
    There {
        /// A file could be made in it, or why not.
        writable: Result<(), String>,
        /// Bytes free for users.
        free: u64,
        /// Bytes in all.
        total: u64,
    },
    /// It cannot be looked at.
    Broken(String),
}

/// What came of knocking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Knock {
    /// Somebody answered.
    Open,
    /// The host was reached, and nobody listens.
    Refused,
    /// The way is closed.
    Closed,
}

/// Looks, and prints what it found as JSON.
///
/// # Errors
/// A question that cannot be read, or an output that cannot be written.
pub fn run(question: &str) -> Result<(), Box<dyn std::error::Error>> {
    let question: Question = serde_json::from_str(question)?;
    let findings = look(&question);
    println!("{}", serde_json::to_string(&findings)?);
    // A thread that hangs in a file system must not keep us.
    std::process::exit(0);
}

fn look(question: &Question) -> Findings {
    let deadline = Instant::now() + LIMIT;
    let gpus = question.gpus.then(|| in_thread(gpus_of_probe));
    let mounts: Vec<_> = question
        .mounts
        .iter()
        .map(|(target, _)| {
            let path = target.clone();
            (target.clone(), in_thread(move || mount(&path)))
        })
        .collect();
    let host = gateway();
    let ports = question.host_ports.iter().filter_map(|port| Some(SocketAddr::from((host?, *port))));
    let places: Vec<SocketAddr> = ports.chain(question.places.iter().copied()).collect();
    let doors: Vec<_> = places.into_iter().map(|place| (place, in_thread(move || knock(place)))).collect();
    let (memory, processes) = container_limits();
    Findings {
        doors: doors
            .into_iter()
            .map(|(place, answer)| (place, within(&answer, deadline).unwrap_or(Knock::Closed)))
            .collect(),
        mounts: mounts
            .into_iter()
            .map(|(target, answer)| FoundMount {
                target,
                state: within(&answer, deadline).unwrap_or(MountState::Silent),
            })
            .collect(),
        gpus: gpus
            .map(|answer| {
                let seconds = u32::try_from(LIMIT.as_secs()).unwrap_or_default();
                within(&answer, deadline).unwrap_or(Gpus::Silent { seconds })
            })
            .unwrap_or_default(),
        memory,
        processes,
    }
}

type Answer<T> = std::sync::mpsc::Receiver<T>;

fn in_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Answer<T> {
    let (tell, told) = channel();
    // Without a thread the answer never comes, which is what is told.
    let _ = std::thread::Builder::new().spawn(move || tell.send(work()));
    told
}

fn within<T>(answer: &Answer<T>, deadline: Instant) -> Option<T> {
    match answer.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        Ok(found) => Some(found),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
    }
}

fn mount(target: &str) -> MountState {
    match statvfs(target) {
        Ok(found) => MountState::There {
            free: found.blocks_available().saturating_mul(found.fragment_size()),
            total: found.blocks().saturating_mul(found.fragment_size()),
            writable: write(Path::new(target)),
        },
        Err(e) => MountState::Broken(e.desc().to_owned()),
    }
}

/// As a user would: this thread's own rights are given up for it.
fn write(folder: &Path) -> Result<(), String> {
    // SAFETY: plain system calls; libc's own wrappers would change every thread.
    let gave_up = unsafe {
        let group = libc::syscall(libc::SYS_setresgid, -1, NOBODY, -1);
        let user = libc::syscall(libc::SYS_setresuid, -1, NOBODY, -1);
        group == 0 && user == 0
    };
    if !gave_up {
        return Err("cannot become nobody".to_owned());
    }
    let path = folder.join(format!(".clusteria-doctor-{}", std::process::id()));
    let made = fs::File::options().write(true).create_new(true).mode(0o600).open(&path);
    let written = made.and_then(|mut file| file.write_all(b"clusteria doctor was here\n"));
    let _ = fs::remove_file(&path);
    written.map_err(|e| e.to_string())
}

fn knock(place: SocketAddr) -> Knock {
    match TcpStream::connect_timeout(&place, DIAL_LIMIT) {
        Ok(_) => Knock::Open,
        Err(e) if e.kind() == ErrorKind::ConnectionRefused => Knock::Refused,
        Err(_) => Knock::Closed,
    }
}

/// The machine, as this container sees it.
fn gateway() -> Option<Ipv4Addr> {
    let routes = fs::read_to_string("/proc/net/route").ok()?;
    routes.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (destination, gateway) = (fields.next()?, fields.next()?);
        let gateway = u32::from_str_radix(gateway, 16).ok()?;
        (destination == "00000000" && gateway != 0).then(|| Ipv4Addr::from(gateway.to_le_bytes()))
    })
}

/// A program's output, if it ends well.
pub(super) fn output(program: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(text) } else { Err(text) }
}
