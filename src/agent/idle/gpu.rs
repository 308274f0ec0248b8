//! Does a program use a GPU?

use std::fs;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::agent::reaper::pid_of;
use crate::agent::rights::as_user;
use crate::agent::serve::Agent;
use crate::agent::spawn;

const DEVICES: &str = "/dev/nvidia";
const PROGRAM: &str = "nvidia-smi";
const QUERY: [&str; 2] = ["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"];
/// A driver that wakes a GPU up takes seconds.
const LIMIT: Duration = Duration::from_secs(10);
const MOST: u64 = 16 * 1024;

/// A program that has a GPU open and whose use of it cannot be read is at work.
pub(super) fn is_used(agent: &Agent) -> bool {
    is_held(agent) && utilisation(agent).is_none_or(|percent| percent > 0)
}

/// Has a process of the user's a GPU open? Only the user may look; what even they may not see is no program of theirs.
fn is_held(agent: &Agent) -> bool {
    as_user(&agent.user, || {
        let processes = fs::read_dir("/proc")?.flatten();
        let files =
            processes.filter_map(|entry| fs::read_dir(entry.path().join("fd")).ok()).flatten().flatten();
        let mut paths = files.filter_map(|file| fs::read_link(file.path()).ok());
        Ok(paths.any(|path| path.to_string_lossy().starts_with(DEVICES)))
    })
    .unwrap_or(true)
}

/// The busiest GPU's, in percent; `None` when it cannot be read.
fn utilisation(agent: &Agent) -> Option<u32> {
    let (mut ours, theirs) = UnixStream::pair().ok()?;
    ours.set_read_timeout(Some(LIMIT)).ok()?;
    let mut command = Command::new(PROGRAM);
    spawn::environment(&mut command, &agent.user);
    command.args(QUERY).stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::from(OwnedFd::from(theirs)));
    spawn::prepare(&mut command, &agent.user, false);
    let child = agent.reaper.spawn(&mut command, false).ok()?;
    // Its end of the pair is in the command, too.
    drop(command);
    let said = read_all(&mut ours);
    agent.reaper.signal(pid_of(&child), Signal::SIGKILL);
    // Nobody reads it: how it ended does not matter, but it must not stay in the table.
    agent.reaper.listen(pid_of(&child), ours);
    read_percents(&said.ok()?)
}

fn read_all(from: &mut UnixStream) -> io::Result<String> {
    let mut said = String::new();
    from.take(MOST).read_to_string(&mut said)?;
    Ok(said)
}

fn read_percents(said: &str) -> Option<u32> {
    let percents: Option<Vec<u32>> = said.lines().map(|line| line.trim().parse().ok()).collect();
    percents?.into_iter().max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_not_known() {
        assert_eq!(read_percents("0\n"), Some(0));
        assert_eq!(read_percents("0\n 37\n12\n"), Some(37));
        for unknown in ["", "[N/A]\n", "0\n[Unknown Error]\n", "No devices were found\n"] {
            assert_eq!(read_percents(unknown), None, "{unknown}");
        }
    }
}
