//! One shell that is kept, and who holds its terminal now.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::lent::AgentLink;
use super::screen::Screen;
use crate::agent::clock::Deadline;
use crate::agent::protocol::{Event, MAX_FRAME, WindowSize, encode};
use crate::agent::pty;
use crate::agent::reaper::Reaper;
use crate::agent::spawn::Terminal;

/// A gateway that is told that a shell is taken over closes at once; one that is stuck is not waited for.
const HANDOVER_LIMIT: Duration = Duration::from_secs(3);
/// The kernel gives a terminal's output in portions of at most this.
const READ: usize = 4096;

#[derive(Debug)]
pub(super) struct Shell {
    pub(super) id: u32,
    pub(super) pid: i32,
    pub(super) terminal: Terminal,
    /// On the boot-time clock.
    pub(super) began: Duration,
    pub(super) agent_link: Option<AgentLink>,
    state: Mutex<State>,
    /// Somebody has let go of it.
    left: Condvar,
    /// One takes it at a time.
    taking: Mutex<()>,
}

#[derive(Debug)]
struct State {
    screen: Screen,
    holder: Holder,
    /// Counts holders, so that one who has been replaced knows it.
    turn: u64,
    /// When the last connection went.
    left_at: Duration,
}

/// Who reads the terminal: one at a time.
#[derive(Debug)]
enum Holder {
    Nobody,
    /// A gateway, whose conversation this is.
    Gateway(UnixStream),
    /// The agent itself, which is woken by a word on this.
    Keeper(UnixStream),
    /// It is being ended.
    Ending,
}

/// A holder's turn; it ends when another one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn(u64);

/// Why the keeper does not hold it any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// Somebody has come back, or it is being ended.
    Taken,
    /// The shell has ended.
    Over,
    /// Nobody came in time.
    TooLong,
}

impl Shell {
    pub(super) fn new(
        id: u32,
        pid: i32,
        terminal: Terminal,
        size: WindowSize,
        link: Option<AgentLink>,
    ) -> Self {
        let now = Deadline::now();
        let state = State { screen: Screen::new(size), holder: Holder::Nobody, turn: 0, left_at: now };
        Self {
            id,
            pid,
            terminal,
            began: now,
            agent_link: link,
            state: Mutex::new(state),
            left: Condvar::new(),
            taking: Mutex::new(()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_attached(&self) -> bool {
        matches!(self.state().holder, Holder::Gateway(_))
    }

    /// When the last connection went; `None` while there is one.
    pub(super) fn left_at(&self) -> Option<Duration> {
        let state = self.state();
        matches!(state.holder, Holder::Keeper(_)).then_some(state.left_at)
    }

    pub(super) fn show(&self, bytes: &[u8], after_gap: bool) {
        self.state().screen.show(bytes, after_gap);
    }

    pub(super) fn resize(&self, size: WindowSize) {
        self.state().screen.resize(size);
        pty::resize(&self.terminal.master, size);
    }

    pub(super) fn restore(&self, size: WindowSize, term: &str) -> Vec<u8> {
        self.state().screen.restore(size, term)
    }

    /// A gateway takes it, from whoever has it. What the one before has read of it is on the screen by then.
    /// `None` when it has ended or is being ended. The end is told from [`Shell::tell_end`] on.
    pub(super) fn take(&self, stream: UnixStream, reaper: &Reaper) -> Option<Turn> {
        let _one = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state();
        match &state.holder {
            Holder::Nobody => {}
            Holder::Ending => return None,
            Holder::Keeper(wake) => drop((&*wake).write(&[0])),
            Holder::Gateway(other) => {
                let other = other.try_clone().ok()?;
                let turn = state.turn;
                tell_taken(&other);
                let is_held = |state: &mut State| state.turn == turn;
                let (waited, timed_out) = self
                    .left
                    .wait_timeout_while(state, HANDOVER_LIMIT, is_held)
                    .unwrap_or_else(PoisonError::into_inner);
                state = waited;
                if timed_out.timed_out() {
                    let _ = other.shutdown(std::net::Shutdown::Both);
                }
            }
        }
        reaper.hold(self.pid).then(|| state.begin(Holder::Gateway(stream)))
    }

    /// Who has it now is told how it ends; a turn that is over changes nothing.
    pub(super) fn tell_end(&self, turn: Turn, reaper: &Reaper) {
        let state = self.state();
        let listener = match &state.holder {
            Holder::Gateway(stream) | Holder::Keeper(stream) if state.turn == turn.0 => stream.try_clone(),
            _ => return,
        };
        if let Ok(listener) = listener {
            reaper.listen(self.pid, listener);
        }
    }

    /// A gateway's conversation has ended. The agent keeps the shell from here on, unless another has it by now
    /// or waits for it; then this is `None`.
    pub(super) fn leave(&self, turn: Turn) -> io::Result<Option<(Turn, UnixStream)>> {
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let is_awaited = self.taking.try_lock().is_err();
        let mut state = self.state();
        if state.turn != turn.0 || matches!(state.holder, Holder::Ending) {
            return Ok(None);
        }
        state.left_at = Deadline::now();
        let next = state.begin(Holder::Keeper(wake));
        self.left.notify_all();
        // Whoever waits takes it now: it would only be woken again.
        Ok((!is_awaited).then_some((next, woken)))
    }

    /// Reads the terminal for as long as nobody else does, so that no program in it stops at a full one.
    pub(super) fn keep(&self, turn: Turn, woken: &UnixStream, limit: Option<Duration>) -> Kept {
        let end = limit.map(|limit| Deadline::now().saturating_add(limit));
        loop {
            let left = end.map(|end| end.saturating_sub(Deadline::now()));
            if left == Some(Duration::ZERO) {
                return Kept::TooLong;
            }
            match wait(&self.terminal.master, woken, left) {
                Woken::Bell if self.state().turn == turn.0 => return Kept::Over,
                Woken::Bell => return Kept::Taken,
                Woken::Output => {}
                Woken::Nothing => continue,
            }
            let mut buffer = [0; READ];
            let mut state = self.state();
            // Under the lock: from the moment another holds it, not a byte is read here.
            if state.turn != turn.0 {
                return Kept::Taken;
            }
            match nix::unistd::read(&self.terminal.master, &mut buffer) {
                Ok(read) => state.screen.show(buffer.get(..read).unwrap_or_default(), false),
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                // The last program has closed it (EIO); the shell's end is told soon.
                Err(_) => {
                    drop(state);
                    let _ = wait_for_bell(woken, left);
                }
            }
        }
    }

    /// Ends it, if nobody is connected: with its terminal gone the kernel hangs up. True when it ends.
    pub(super) fn begin_end(&self) -> bool {
        let mut state = self.state();
        if let Holder::Keeper(wake) = &state.holder {
            let _ = (&*wake).write(&[0]);
            state.begin(Holder::Ending);
            return true;
        }
        false
    }
}

impl State {
    fn begin(&mut self, holder: Holder) -> Turn {
        self.turn += 1;
        self.holder = holder;
        Turn(self.turn)
    }
}

fn tell_taken(stream: &UnixStream) {
    if let Ok(frame) = encode(&Event::TakenOver, MAX_FRAME) {
        // Tiny, and the reader waits for it: it fits the socket's buffer.
        let _ = (&*stream).write_all(&frame);
    }
}

enum Woken {
    Bell,
    Output,
    Nothing,
}

fn wait(master: &OwnedFd, woken: &UnixStream, left: Option<Duration>) -> Woken {
    let mut polled =
        [PollFd::new(woken.as_fd(), PollFlags::POLLIN), PollFd::new(master.as_fd(), PollFlags::POLLIN)];
    if poll(&mut polled, timeout(left)).is_err() {
        return Woken::Nothing;
    }
    let is_ready = |polled: &PollFd<'_>| polled.any().unwrap_or(true);
    match polled.each_ref().map(is_ready) {
        [true, _] => Woken::Bell,
        [false, true] => Woken::Output,
        [false, false] => Woken::Nothing,
    }
}

fn wait_for_bell(woken: &UnixStream, left: Option<Duration>) -> nix::Result<i32> {
    poll(&mut [PollFd::new(woken.as_fd(), PollFlags::POLLIN)], timeout(left))
}

fn timeout(left: Option<Duration>) -> PollTimeout {
    let Some(left) = left else { return PollTimeout::NONE };
    PollTimeout::try_from(left.as_millis().saturating_add(1)).unwrap_or(PollTimeout::MAX)
}
