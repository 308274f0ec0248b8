//! nvidia-smi, run as the user and within a time: a driver that hangs must not take anybody along.

use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::Signal;

use super::nvidia::{self, short};
use super::report::{GpuProcess, Gpus};
use crate::agent::protocol::{Event, MAX_FRAME, read_frame};
use crate::agent::reaper::pid_of;
use crate::agent::serve::Agent;
use crate::agent::spawn;

const NAME: &str = "nvidia-smi";
/// Where NVIDIA's tools put it without saying so in PATH.
const ELSEWHERE: [&str; 4] = ["/usr/bin", "/usr/local/bin", "/usr/local/nvidia/bin", "/bin"];
/// It may have to wake a driver that was put to sleep.
pub(super) const LIMIT: Duration = Duration::from_secs(8);
/// Longer answers are cut.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// In the image's PATH, or where it is put.
pub(super) fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(ELSEWHERE.into_iter().map(PathBuf::from));
    folders.map(|folder| folder.join(NAME)).find(|program| {
        let executable = |m: std::fs::Metadata| m.is_file() && m.permissions().mode() & 0o111 != 0;
        program.is_absolute() && program.metadata().is_ok_and(executable)
    })
}

/// Asks. May take long where the driver hangs; nobody but its own thread waits for it.
pub(super) fn ask(agent: &Agent, program: &Path) -> Gpus {
    let failed = |why: String| Gpus::Failed { why };
    let gpus = match run(agent, program, &nvidia::GPUS) {
        Ok(answer) => answer,
        Err(why) => return failed(why),
    };
    match nvidia::gpus(&gpus) {
        Ok(gpus) => {
            let processes = run(agent, program, &nvidia::PROCESSES).unwrap_or_default();
            Gpus::Listed { gpus, processes: own(nvidia::processes(&processes)) }
        }
        Err(line) => failed(line),
    }
}

/// Some drivers list other containers' processes, by ids that mean nothing here.
fn own(processes: Vec<GpuProcess>) -> Vec<GpuProcess> {
    let is_here = |process: &GpuProcess| Path::new(&format!("/proc/{}", process.pid)).exists();
    processes.into_iter().filter(is_here).collect()
}

fn run(agent: &Agent, program: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    spawn::environment(&mut command, &agent.user);
    command.current_dir("/");
    spawn::prepare(&mut command, &agent.user, false);
    let words = |e: std::io::Error| short(&e.to_string());
    let (mut heard, told) = UnixStream::pair().map_err(words)?;
    let mut child = agent.reaper.spawn(&mut command, false).map_err(words)?;
    let pid = pid_of(&child);
    agent.reaper.listen(pid, told);
    let deadline = Instant::now() + LIMIT;
    let answer = child.stdout.take().map(|stdout| read(stdout, deadline)).unwrap_or_default();
    if !is_readable(&heard, deadline) {
        agent.reaper.signal(pid, Signal::SIGKILL);
    }
    // Stuck in the driver it cannot even be killed: wait for it here, so that there is never a second one.
    let ended = read_frame(&mut heard, MAX_FRAME);
    agent.reaper.forget(pid);
    match ended {
        Ok(Event::Exited { status: 0 }) => Ok(answer),
        Ok(Event::Exited { status }) => {
            let line = answer.lines().find(|line| !line.trim().is_empty()).map(short).unwrap_or_default();
            Err(if line.is_empty() { format!("{NAME}: exit status {status}") } else { line })
        }
        Ok(Event::Killed { signal, .. }) if Instant::now() < deadline => Err(format!("{NAME}: SIG{signal}")),
        _ => Err(format!("{NAME} did not answer within {} s", LIMIT.as_secs())),
    }
}

fn read(mut from: impl Read + AsFd, deadline: Instant) -> String {
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while is_readable(&from, deadline) {
        match from.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(count) if (answer.len() as u64) < LONGEST_ANSWER => {
                answer.extend_from_slice(piece.get(..count).unwrap_or_default());
            }
            // Read on, so that it can end.
            Ok(_) => {}
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn is_readable(what: &impl AsFd, deadline: Instant) -> bool {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = u16::try_from(left.as_millis()).unwrap_or(u16::MAX);
        match poll(&mut [PollFd::new(what.as_fd(), PollFlags::POLLIN)], left) {
            Err(nix::errno::Errno::EINTR) if left > 0 => {}
            Ok(count) => return count > 0,
            Err(_) => return false,
        }
    }
}
