//! Started, watched, started again: less and less often while it does not hold.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};

use super::tail::Tail;
use super::{Jupyter, PORT, program, set_password, write_settings};
use crate::agent::protocol::{Event, JupyterState, MAX_FRAME, read_frame};
use crate::agent::reaper::pid_of;
use crate::agent::serve::Agent;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// What has run for so long was well: the next pause is the first one again.
const HELD: Duration = Duration::from_secs(60);
/// From its start to its answer, on a busy machine.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

impl Jupyter {
    /// Keeps it running until the reservation ends.
    pub(in crate::agent) fn keep(agent: &Arc<Agent>) {
        let Some(program) = program::find() else {
            return agent.jupyter.set(JupyterState::Missing);
        };
        if let Some(hash) = &agent.config.password {
            // What fails here keeps it closed; the gateway tells the hash again when it watches.
            let _ = set_password(&agent.user, hash);
        }
        let mut pause = FIRST_PAUSE;
        while !agent.end.has_begun() {
            let began = Instant::now();
            let why = match run(agent, &program) {
                Ok(why) => why,
                Err(e) => e.to_string(),
            };
            pause = if began.elapsed() >= HELD { FIRST_PAUSE } else { pause };
            agent.jupyter.set(JupyterState::Failed { why });
            sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Runs it once; why it ended.
fn run(agent: &Arc<Agent>, program: &Path) -> io::Result<String> {
    agent.jupyter.set(JupyterState::Starting);
    write_settings(&agent.user)?;
    let (mut heard, told) = UnixStream::pair()?;
    let mut child = agent.reaper.spawn(&mut program::command(program, &agent.user), false)?;
    agent.reaper.listen(pid_of(&child), told);
    let tail = child.stderr.take().map(Tail::of);
    let ended = match wait_for_answer(&mut heard)? {
        Some(ended) => ended,
        None => {
            agent.jupyter.set(JupyterState::Running);
            read_frame(&mut heard, MAX_FRAME).map_err(io::Error::other)?
        }
    };
    Ok(reason(&ended, tail.as_ref()))
}

/// `None` when it answers, or might yet; else how it ended before it did.
fn wait_for_answer(heard: &mut UnixStream) -> io::Result<Option<Event>> {
    let limit = Instant::now() + ANSWER_LIMIT;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
    while Instant::now() < limit {
        if has_ended(heard)? {
            return read_frame(heard, MAX_FRAME).map(Some).map_err(io::Error::other);
        }
        if TcpStream::connect_timeout(&address, LOOK_AGAIN).is_ok() {
            break;
        }
    }
    Ok(None)
}

/// Waits a moment for the word of its end.
fn has_ended(heard: &UnixStream) -> io::Result<bool> {
    let mut ready = [PollFd::new(heard.as_fd(), PollFlags::POLLIN)];
    let limit = u16::try_from(LOOK_AGAIN.as_millis()).unwrap_or(u16::MAX);
    match poll(&mut ready, limit) {
        Ok(count) => Ok(count > 0),
        Err(Errno::EINTR) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

fn reason(ended: &Event, tail: Option<&Tail>) -> String {
    let how = match ended {
        Event::Exited { status } => format!("exit status {status}"),
        Event::Killed { signal, .. } => format!("SIG{signal}"),
        _ => "it is gone".to_owned(),
    };
    match (ended, tail.and_then(Tail::last_line)) {
        (Event::Killed { .. }, _) | (_, None) => how,
        (_, Some(line)) => format!("{line} ({how})"),
    }
}
