//! Shells that outlive their connections.
//!
//! A shell on a terminal belongs to the agent. The gateway holds the terminal's master while somebody is
//! connected; when its conversation closes (the client is lost, the gateway was killed) the agent reads the
//! terminal itself, so that nothing in it ever stops at a full one, and at the next login it is handed out again.
//!
//! The screen is remembered here, by a model of a terminal ([`screen`]). While a gateway holds the master its bytes
//! do not pass the agent (they cross no second program, which is what makes it fast), so the gateway sends a copy of
//! what was shown on the conversation's control side: a few milliseconds later, joined, at most a few frames
//! a second, and under a flood only the end of it. That costs the data path a copy in memory, and unlike a snapshot that
//! the gateway keeps it outlives a gateway that is killed. While the agent holds the master it sees every byte.
//! Where bytes go through the agent anyway (another transport), it calls [`Shell::show`] itself.
//!
//! Who holds a terminal is counted in turns: taking it ends the turn of whoever had it, and one whose turn is over
//! reads no byte more. What runs in a shell is never ended to make room: only shells at their prompt are.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, tcgetpgrp};

use super::clock::Deadline;
use super::protocol::{
    Attach, Control, KeptShell, MAX_FRAME, Program, RefusedKind, Reply, Spawn, read_frame,
};
use super::serve::{Agent, refuse, refuse_spawn, run_process, signal};
use super::{descriptors, pty, spawn};

mod lent;
mod look;
mod screen;
mod shell;

use lent::AgentLink;
use shell::{Kept, Shell, Turn};

/// All of them, attached ones too. Beyond it a shell hangs up with its connection.
const MOST: usize = 64;
/// A shell in which something runs when its time is over is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
const WRITE_LIMIT: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub(super) struct Shells {
    next: AtomicU32,
    all: Mutex<Vec<Arc<Shell>>>,
}

impl Shells {
    fn all(&self) -> MutexGuard<'_, Vec<Arc<Shell>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, id: u32) -> Option<Arc<Shell>> {
        self.all().iter().find(|shell| shell.id == id).cloned()
    }

    fn remove(&self, agent: &Agent, shell: &Shell) {
        self.all().retain(|other| other.id != shell.id);
        agent.terminals.remove(&shell.terminal.name);
        agent.reaper.forget(shell.pid);
    }

    /// The one that was left last comes first; attached ones at the end.
    pub(super) fn list(&self, agent: &Agent) -> Vec<KeptShell> {
        let mut shells = self.all().clone();
        shells.sort_by_key(|shell| std::cmp::Reverse(shell.left_at()));
        shells.iter().map(|shell| facts(agent, shell)).collect()
    }

    /// Ends the oldest of those that wait at their prompt, while more are kept than may be.
    fn make_room(&self, agent: &Agent) {
        let mut left: Vec<_> = self.all().iter().filter_map(|s| Some((s.left_at()?, s.clone()))).collect();
        left.sort_by_key(|(at, _)| *at);
        let excess = left.len().saturating_sub(agent.config.keep_shells);
        let idle = left.iter().map(|(_, shell)| shell).filter(|shell| !look::is_busy(shell.pid));
        for shell in idle.take(excess) {
            self.end(agent, shell);
        }
    }

    /// Hangs up, if nobody has come back meanwhile.
    fn end(&self, agent: &Agent, shell: &Shell) {
        if shell.begin_end() {
            // An interactive shell tells its jobs; closing the terminal says the same to what is in front.
            agent.reaper.signal(shell.pid, Signal::SIGHUP);
            self.remove(agent, shell);
        }
    }
}

fn facts(agent: &Agent, shell: &Shell) -> KeptShell {
    let now = Deadline::now();
    let ago = |then: Duration| u64::try_from(now.saturating_sub(then).as_millis()).unwrap_or(u64::MAX);
    let work = look::work(shell.pid, &agent.user);
    KeptShell {
        id: shell.id,
        attached: shell.is_attached(),
        command: work.command,
        others: work.others,
        folder: work.folder,
        age_ms: ago(work.began.unwrap_or(shell.began)),
        left_ms: shell.left_at().map_or(0, ago),
    }
}

/// Starts one and follows it.
pub(super) fn start(agent: &Agent, stream: &UnixStream, wanted: &Spawn) {
    let Some(asked) = wanted.pty.as_ref().filter(|_| wanted.program == Program::Shell && may_keep(agent))
    else {
        return run_process(agent, stream, wanted);
    };
    let mut wanted = wanted.clone();
    let link = AgentLink::put(&mut wanted.env, &agent.user);
    let process = match spawn::spawn(agent, &wanted) {
        Ok(process) => process,
        Err(e) => return refuse_spawn(agent, stream, &e),
    };
    let (Some(terminal), Some(passed)) = (process.terminal, process.descriptors.into_iter().next()) else {
        return;
    };
    let id = agent.shells.next.fetch_add(1, Ordering::Relaxed) + 1;
    let shell = Arc::new(Shell::new(id, process.pid, terminal, asked.size, link));
    agent.shells.all().push(shell.clone());
    let Some(turn) = take(agent, stream, &shell) else { return agent.shells.remove(agent, &shell) };
    let reply = Reply::Attached { pid: shell.pid, id, screen: Vec::new() };
    let sent = descriptors::send(stream, &reply, &[passed.as_fd()]);
    drop(passed);
    if sent.is_err() {
        // Nobody has seen it: nothing is lost with it.
        return agent.shells.remove(agent, &shell);
    }
    follow(agent, stream, &shell, turn);
}

fn may_keep(agent: &Agent) -> bool {
    agent.config.keep_shells > 0 && agent.shells.all().len() < MOST
}

/// Somebody comes back.
pub(super) fn attach(agent: &Agent, stream: &UnixStream, wanted: &Attach) {
    let gone = || refuse(stream, RefusedKind::NoSuchShell, "that shell has ended");
    let Some(shell) = agent.shells.get(wanted.id) else { return gone() };
    let Some(turn) = take(agent, stream, &shell) else {
        agent.shells.remove(agent, &shell);
        return gone();
    };
    if let Some(link) = &shell.agent_link {
        link.point(&wanted.env);
    }
    let screen = shell.restore(wanted.pty.size, &wanted.pty.term);
    pty::resize(&shell.terminal.master, wanted.pty.size);
    let reply = Reply::Attached { pid: shell.pid, id: shell.id, screen };
    // A shell whose new connection is gone already is kept again.
    if descriptors::send(stream, &reply, &[shell.terminal.master.as_fd()]).is_ok() {
        redraw(&shell);
    }
    follow(agent, stream, &shell, turn);
}

fn take(agent: &Agent, stream: &UnixStream, shell: &Shell) -> Option<Turn> {
    // A gateway that reads nothing must hold up neither the next one nor the reaper.
    stream.set_write_timeout(Some(WRITE_LIMIT)).ok()?;
    shell.take(stream.try_clone().ok()?, &agent.reaper)
}

/// What is in front draws itself anew: it knows better than any copy what its screen is.
fn redraw(shell: &Shell) {
    if let Ok(group) = tcgetpgrp(&shell.terminal.master)
        && group > Pid::from_raw(1)
    {
        let _ = killpg(group, Signal::SIGWINCH);
    }
}

/// From a gateway that has it to the next one that takes it, or to its end.
fn follow(agent: &Agent, stream: &UnixStream, shell: &Arc<Shell>, turn: Turn) {
    shell.tell_end(turn, &agent.reaper);
    let in_use = agent.idle.hold();
    listen(agent, stream, shell);
    drop(in_use);
    if !agent.reaper.knows(shell.pid) {
        // Its end has been told.
        return agent.shells.remove(agent, shell);
    }
    match shell.leave(turn) {
        Ok(Some((turn, woken))) => keep(agent, shell, turn, &woken),
        Ok(None) => {}
        Err(_) => agent.shells.remove(agent, shell),
    }
}

/// What the gateway says, until it closes.
fn listen(agent: &Agent, mut stream: &UnixStream, shell: &Shell) {
    while let Ok(control) = read_frame(&mut stream, MAX_FRAME) {
        match control {
            Control::Shown { gap, bytes } => shell.show(&bytes, gap),
            Control::Resize(size) => shell.resize(size),
            Control::Break => pty::send_break(&shell.terminal.master),
            Control::Signal(name) => signal(agent, shell.pid, &name),
            _ => {}
        }
    }
}

/// While nobody is connected.
fn keep(agent: &Agent, shell: &Arc<Shell>, turn: Turn, woken: &UnixStream) {
    shell.tell_end(turn, &agent.reaper);
    agent.shells.make_room(agent);
    let mut limit = agent.config.keep_shells_for_ms.map(Duration::from_millis);
    loop {
        match shell.keep(turn, woken, limit) {
            Kept::Taken => return,
            Kept::Over => return agent.shells.remove(agent, shell),
            Kept::TooLong if look::is_busy(shell.pid) => limit = Some(LOOK_AGAIN),
            Kept::TooLong => return agent.shells.end(agent, shell),
        }
    }
}
