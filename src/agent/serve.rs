//! Conversations: one connection, one request, one answer, and for a process what follows.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::accepted::Accepted;
use super::account::User;
use super::door::Door;
use super::end::{End, Why};
use super::idle::Idle;
use super::jupyter::{self, Jupyter};
use super::protocol::{
    AgentConfig, Control, FrameError, MAX_FRAME, MAX_REQUEST, PREAMBLE, RefusedKind, Reply, Request, Spawn,
    VERSION, read_frame,
};
use super::reaper::Reaper;
use super::run::{RunError, STACK};
use super::shells::{self, Shells};
use super::terminals::Terminals;
use super::usage::Sampler;
use super::{descriptors, dial, listen, pty, spawn};

/// Simultaneous conversations.
const MAX_CONVERSATIONS: usize = 4096;
/// A gateway says what it wants at once.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// Everything that the agent's threads share.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) config: AgentConfig,
    pub(super) user: User,
    pub(super) reaper: Reaper,
    pub(super) terminals: Terminals,
    pub(super) door: Door,
    pub(super) jupyter: Jupyter,
    pub(super) usage: Sampler,
    pub(super) accepted: Accepted,
    pub(super) shells: Shells,
    pub(super) idle: Idle,
    pub(super) end: End,
    pub(super) conversations: AtomicUsize,
}

impl Agent {
    pub(super) fn grace(&self) -> Duration {
        Duration::from_millis(self.config.grace_ms)
    }
}

/// Accepts for ever.
pub(super) fn accept(
    agent: &Arc<Agent>,
    listener: &UnixListener,
) -> Result<std::convert::Infallible, RunError> {
    loop {
        let Ok((stream, _)) = listener.accept() else {
            thread::sleep(Duration::from_millis(50));
            continue;
        };
        begin(agent, stream);
    }
}

/// Holds one conversation in a thread of its own.
pub(super) fn begin(agent: &Arc<Agent>, stream: UnixStream) {
    if agent.conversations.fetch_add(1, Ordering::Relaxed) >= MAX_CONVERSATIONS {
        agent.conversations.fetch_sub(1, Ordering::Relaxed);
        return refuse(&stream, RefusedKind::TooMany, "too many conversations at once");
    }
    let own = agent.clone();
    let talk = move || {
        converse(&own, stream);
        own.conversations.fetch_sub(1, Ordering::Relaxed);
    };
    if thread::Builder::new().stack_size(STACK).spawn(talk).is_err() {
        agent.conversations.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) fn refuse(stream: &UnixStream, kind: RefusedKind, detail: &str) {
    let _ = descriptors::send(stream, &Reply::Refused { kind, detail: detail.to_owned() }, &[]);
}

fn converse(agent: &Agent, mut stream: UnixStream) {
    match read_request(&mut stream) {
        Ok(request) => answer(agent, stream, request),
        Err(Unread::Version(version)) => {
            let detail = format!("this agent speaks protocol {VERSION}, the gateway {version}");
            refuse(&stream, RefusedKind::Version, &detail);
        }
        Err(Unread::Malformed(why)) => refuse(&stream, RefusedKind::Malformed, &why.to_string()),
        Err(Unread::Gone) => {}
    }
}

enum Unread {
    Version(u8),
    Malformed(FrameError),
    Gone,
}

fn read_request(stream: &mut UnixStream) -> Result<Request, Unread> {
    let _ = stream.set_read_timeout(Some(REQUEST_LIMIT));
    let mut preamble = [0; PREAMBLE.len()];
    stream.read_exact(&mut preamble).map_err(|_| Unread::Gone)?;
    let [c, l, a, version] = preamble;
    if [c, l, a] != [b'C', b'L', b'A'] {
        return Err(Unread::Gone);
    }
    if version != VERSION {
        return Err(Unread::Version(version));
    }
    let request = read_frame(stream, MAX_REQUEST).map_err(Unread::Malformed)?;
    let _ = stream.set_read_timeout(None);
    Ok(request)
}

fn answer(agent: &Agent, stream: UnixStream, request: Request) {
    let send = |reply: Reply| drop(descriptors::send(&stream, &reply, &[]));
    if agent.end.has_begun() && !matches!(request, Request::Ping | Request::Stop { .. }) {
        return refuse(&stream, RefusedKind::Ending, "the reservation is ending");
    }
    match request {
        Request::Ping => send(Reply::Pong { version: VERSION }),
        Request::Spawn(wanted) => run_process(agent, &stream, &wanted),
        Request::DialTcp { host, port } => hand_over(agent, &stream, dial::tcp(&host, port)),
        Request::DialUnix { path } => hand_over(agent, &stream, dial::unix(&path, &agent.user)),
        Request::Watch => {
            send(Reply::Done);
            agent.door.attend(agent, stream);
        }
        Request::Say { words } => {
            agent.terminals.say_plain(&words);
            send(Reply::Done);
        }
        Request::Listen(wanted) => {
            let _in_use = agent.idle.hold();
            listen::serve(agent, &stream, &wanted);
        }
        Request::Take { token } => {
            let gone = || io::Error::new(io::ErrorKind::NotFound, "that connection is gone");
            hand_over(agent, &stream, agent.accepted.take(token).ok_or_else(gone));
        }
        Request::SetPassword { hash } => match jupyter::set_password(&agent.user, &hash) {
            Ok(()) => send(Reply::Done),
            Err(e) => refuse(&stream, RefusedKind::Malformed, &e.to_string()),
        },
        Request::Jupyter => send(Reply::Jupyter(agent.jupyter.state())),
        Request::Shell(wanted) => shells::start(agent, &stream, &wanted),
        Request::Shells => send(Reply::Shells(agent.shells.list(agent))),
        Request::Attach(wanted) => shells::attach(agent, &stream, &wanted),
        Request::Idle => send(agent.idle.state(agent)),
        Request::Usage => send(Reply::Usage(Box::new(agent.usage.report(&agent.config.gpus)))),
        Request::Stop { grace_ms } => {
            send(Reply::Done);
            agent.end.begin(agent, Why::Stopped, Duration::from_millis(grace_ms));
        }
    }
}

fn hand_over(agent: &Agent, stream: &UnixStream, dialled: io::Result<OwnedFd>) {
    match dialled {
        Ok(connection) => {
            agent.idle.note_dialled(&connection);
            drop(descriptors::send(stream, &Reply::Connected, &[connection.as_fd()]));
        }
        Err(e) => refuse(stream, RefusedKind::ConnectFailed, &e.to_string()),
    }
}

pub(super) fn run_process(agent: &Agent, stream: &UnixStream, wanted: &Spawn) {
    let _in_use = agent.idle.hold();
    let mut process = match spawn::spawn(agent, wanted) {
        Ok(process) => process,
        Err(e) => return refuse_spawn(agent, stream, &e),
    };
    let passed = std::mem::take(&mut process.descriptors);
    let borrowed: Vec<_> = passed.iter().map(AsFd::as_fd).collect();
    let count = u8::try_from(borrowed.len()).unwrap_or_default();
    let sent = descriptors::send(stream, &Reply::Started { pid: process.pid, descriptors: count }, &borrowed);
    // Ours must go at once: end of file and SIGPIPE depend on who holds an end.
    drop(borrowed);
    drop(passed);
    if let (Ok(()), Ok(listener)) = (sent, stream.try_clone()) {
        agent.reaper.listen(process.pid, listener);
        follow(agent, stream, &process);
    }
    agent.reaper.forget(process.pid);
    if let Some(terminal) = &process.terminal {
        agent.terminals.remove(&terminal.name);
    }
}

pub(super) fn refuse_spawn(agent: &Agent, stream: &UnixStream, error: &io::Error) {
    let shell = &agent.user.account.shell;
    refuse(stream, RefusedKind::SpawnFailed, &format!("cannot start {shell}: {error}"));
}

/// Until the gateway closes: its client is gone, or it has heard how the process ended.
fn follow(agent: &Agent, mut stream: &UnixStream, process: &spawn::Process) {
    while let Ok(control) = read_frame(&mut stream, MAX_FRAME) {
        match (control, &process.terminal) {
            (Control::Resize(size), Some(terminal)) => pty::resize(&terminal.master, size),
            (Control::Break, Some(terminal)) => pty::send_break(&terminal.master),
            (Control::Signal(name), _) => signal(agent, process.pid, &name),
            _ => {}
        }
    }
}

pub(super) fn signal(agent: &Agent, pid: i32, name: &str) {
    if let Ok(signal) = format!("SIG{name}").parse::<Signal>() {
        agent.reaper.signal(pid, signal);
    }
}
