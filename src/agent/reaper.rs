//! PID 1's first duty: every child is waited for, ours and orphans.

use std::collections::HashMap;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

use super::protocol::{Event, MAX_FRAME, encode};

/// Processes that somebody asked for and that have not been forgotten.
#[derive(Debug, Default)]
pub(super) struct Reaper {
    table: Mutex<Table>,
    spawned: Condvar,
}

#[derive(Debug, Default)]
struct Table {
    processes: HashMap<i32, Process>,
    spawns: u64,
}

#[derive(Debug)]
struct Process {
    state: State,
    is_terminal_leader: bool,
    /// Nobody will ask how it ended.
    is_forgotten: bool,
}

#[derive(Debug)]
enum State {
    /// Runs; how it ends is told here, once somebody listens.
    Running(Option<UnixStream>),
    /// Has ended before anybody listened.
    Ended(Event),
}

impl Reaper {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Spawns under the lock: the reaper cannot take the child before it is in the table.
    pub(super) fn spawn(&self, command: &mut Command, is_terminal_leader: bool) -> io::Result<Child> {
        let mut table = self.table();
        let child = command.spawn()?;
        let process = Process { state: State::Running(None), is_terminal_leader, is_forgotten: false };
        table.processes.insert(pid_of(&child), process);
        table.spawns += 1;
        self.spawned.notify_all();
        Ok(child)
    }

    /// Keeps what there will be to tell until somebody listens anew. False when it has been told already.
    pub(super) fn hold(&self, pid: i32) -> bool {
        match self.table().processes.get_mut(&pid).map(|p| &mut p.state) {
            Some(State::Running(listener)) => *listener = None,
            Some(State::Ended(_)) => {}
            None => return false,
        }
        true
    }

    /// Is it there still, or at least what is to be told of its end?
    pub(super) fn knows(&self, pid: i32) -> bool {
        self.table().processes.contains_key(&pid)
    }

    /// Tells how a process ends, or has ended, on this connection, and on no other any more.
    pub(super) fn listen(&self, pid: i32, stream: UnixStream) {
        let mut table = self.table();
        match table.processes.get_mut(&pid).map(|p| &mut p.state) {
            Some(State::Running(listener)) => *listener = Some(stream),
            Some(State::Ended(event)) => {
                tell(&stream, event);
                table.processes.remove(&pid);
            }
            None => {}
        }
    }

    /// Nobody listens any more.
    pub(super) fn forget(&self, pid: i32) {
        let mut table = self.table();
        if let Some(process) = table.processes.get_mut(&pid) {
            match process.state {
                State::Running(_) => {
                    process.state = State::Running(None);
                    process.is_forgotten = true;
                }
                State::Ended(_) => drop(table.processes.remove(&pid)),
            }
        }
    }

    /// Signals a process's group, as sshd does; never a number that has come to mean somebody else.
    pub(super) fn signal(&self, pid: i32, signal: Signal) {
        let table = self.table();
        if let Some(Process { state: State::Running(_), .. }) = table.processes.get(&pid) {
            let _ = killpg(Pid::from_raw(pid), signal);
        }
    }

    /// Is this the leader of a terminal, most likely a shell at its prompt?
    pub(super) fn is_terminal_leader(&self, pid: i32) -> bool {
        self.table().processes.get(&pid).is_some_and(|p| p.is_terminal_leader)
    }

    /// Reaps for ever.
    pub(super) fn run(&self) {
        loop {
            // Only looked at: reaping happens under the lock, see `spawn`.
            match waitid(Id::All, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) {
                Ok(status) => {
                    if let Some(pid) = status.pid() {
                        self.reap(pid);
                    }
                }
                Err(Errno::ECHILD) => self.wait_for_children(),
                Err(_) => {}
            }
        }
    }

    fn wait_for_children(&self) {
        let table = self.table();
        let before = table.spawns;
        // Between ECHILD and this lock a child may have been spawned: look again before waiting.
        if waitid(Id::All, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG)
            == Err(Errno::ECHILD)
        {
            drop(self.spawned.wait_while(table, |table| table.spawns == before));
        }
    }

    fn reap(&self, pid: Pid) {
        let mut table = self.table();
        let event = match waitpid(pid, None) {
            Ok(WaitStatus::Exited(_, status)) => Event::Exited { status: (status & 0xff) as u8 },
            Ok(WaitStatus::Signaled(_, signal, core)) => Event::Killed { signal: name(signal), core },
            _ => return,
        };
        match table.processes.get_mut(&pid.as_raw()) {
            Some(Process { state: State::Running(Some(stream)), .. }) => {
                tell(stream, &event);
                table.processes.remove(&pid.as_raw());
            }
            Some(Process { is_forgotten: true, .. }) => drop(table.processes.remove(&pid.as_raw())),
            Some(process) => process.state = State::Ended(event),
            None => {}
        }
    }
}

/// The frame is tiny and the first on its way: it fits the socket's buffer. A gateway that has gone
/// does not want it.
fn tell(stream: &UnixStream, event: &Event) {
    if let Ok(frame) = encode(event, MAX_FRAME) {
        let _ = (&*stream).write_all(&frame);
    }
}

pub(super) fn pid_of(child: &Child) -> i32 {
    i32::try_from(child.id()).unwrap_or_default()
}

/// RFC 4254 section 6.10: without `SIG`.
fn name(signal: Signal) -> String {
    signal.as_str().trim_start_matches("SIG").to_owned()
}
