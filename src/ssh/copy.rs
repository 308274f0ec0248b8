//! A copy, for its agent, of what a kept shell's terminal shows: the agent remembers the screen from it.
//!
//! Off the data path: what was read is copied in memory and a task of its own sends it a little later, joined.
//! (Keeping references instead would pin a read buffer for each byte that comes alone.) Under a flood only its end is
//! kept, with the modes that were set on the way: a full-screen program's switch must not get lost in a gap.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::inbox::Inbox;
use crate::agent::protocol::Control;
use crate::bridge::ControlSender;

/// What a screen shows fits many times; a copy is at most twice this, and the modes.
const MOST: usize = 64 * 1024;
const MOST_MODES: usize = 4 * 1024;
/// After the first byte, so that what comes together goes together. A gateway that is killed takes so much along.
const JOIN: Duration = Duration::from_millis(20);
/// Between two copies.
const PAUSE: Duration = Duration::from_millis(250);
/// `ESC [ ? digits and ; h or l` (DEC's private modes): longer ones are not modes.
const LONGEST_MODE: usize = 32;

/// What one terminal has shown and its agent has not been told yet.
#[derive(Debug, Default)]
pub(super) struct Copy {
    unsent: Mutex<Unsent>,
    news: Notify,
    over: CancellationToken,
}

#[derive(Debug, Default)]
struct Unsent {
    /// The end of what was shown.
    tail: Vec<u8>,
    /// Something before it has been dropped; these modes were set in it.
    gap: bool,
    modes: Vec<u8>,
}

impl Copy {
    fn unsent(&self) -> MutexGuard<'_, Unsent> {
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, shown: &[u8]) {
        let is_first = self.unsent().add(shown);
        if is_first {
            self.news.notify_one();
        }
    }

    /// Ends [`Copy::carry`] when it is dropped, after a last copy.
    pub(super) fn over_guard(&self) -> DropGuard {
        self.over.clone().drop_guard()
    }

    /// Sends copies, and what the client says of its terminal, until it is over.
    pub(super) async fn carry(self: Arc<Self>, mut control: ControlSender, inbox: Arc<Inbox>) {
        let mut due: Option<Instant> = None;
        let mut last = Instant::now();
        loop {
            tokio::select! {
                // First, so that nothing is sent late that could go with the last copy.
                biased;
                () = self.over.cancelled() => break,
                message = inbox.next_control() => control.send(&message).await,
                () = sleep_until(due.unwrap_or(last)), if due.is_some() => {
                    self.send(&mut control).await;
                    (due, last) = (None, Instant::now());
                }
                () = self.news.notified() => due = Some((Instant::now() + JOIN).max(last + PAUSE)),
            }
        }
        self.send(&mut control).await;
    }

    async fn send(&self, control: &mut ControlSender) {
        let copy = self.unsent().take();
        if let Some(copy) = copy {
            control.send(&copy).await;
        }
    }
}

impl Unsent {
    /// True when there was nothing before.
    fn add(&mut self, shown: &[u8]) -> bool {
        let is_first = self.tail.is_empty();
        self.tail.extend_from_slice(shown);
        // Twice as much is let in, so that what stays is seldom moved.
        if self.tail.len() > 2 * MOST {
            let dropped = self.tail.len() - MOST;
            keep_modes(self.tail.get(..dropped).unwrap_or_default(), &mut self.modes);
            self.tail.drain(..dropped);
            self.gap = true;
        }
        is_first
    }

    fn take(&mut self) -> Option<Control> {
        let Self { mut tail, gap, modes } = std::mem::take(self);
        if tail.is_empty() {
            return None;
        }
        if gap {
            tail.splice(..0, modes);
        }
        Some(Control::Shown { gap, bytes: tail })
    }
}

/// Finds the modes in what is dropped. One at its very end, cut in two, is lost; programs say it
/// again when they redraw.
fn keep_modes(dropped: &[u8], modes: &mut Vec<u8>) {
    for (at, _) in dropped.iter().enumerate().filter(|(_, byte)| **byte == 0x1b) {
        modes.extend_from_slice(dropped.get(at..).and_then(mode).unwrap_or_default());
    }
    if let Some(excess) = modes.len().checked_sub(MOST_MODES) {
        // From a sequence's begin on.
        let begin = modes.iter().skip(excess).position(|byte| *byte == 0x1b);
        modes.drain(..begin.map_or(modes.len(), |begin| excess + begin));
    }
}

fn mode(bytes: &[u8]) -> Option<&[u8]> {
    let parameters = bytes.strip_prefix(b"\x1b[?")?;
    let end = parameters.iter().take(LONGEST_MODE).position(|b| !b.is_ascii_digit() && *b != b';')?;
    matches!(parameters.get(end), Some(b'h' | b'l')).then(|| bytes.get(..end + 4)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(unsent: &mut Unsent) -> (bool, Vec<u8>) {
        match unsent.take() {
            Some(Control::Shown { gap, bytes }) => (gap, bytes),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_little_is_copied_whole() {
        let mut unsent = Unsent::default();
        assert_eq!(unsent.take(), None);
        assert!(unsent.add(b"one "));
        assert!(!unsent.add(b"two"));
        assert_eq!(shown(&mut unsent), (false, b"one two".to_vec()));
        assert_eq!(unsent.take(), None);
    }

    #[test]
    fn of_a_flood_the_end_is_kept_and_the_modes() {
        let mut unsent = Unsent::default();
        unsent.add(b"\x1b[?1049h\x1b[?25l\x1b[31m\x1b[?7n");
        for number in 0..100_000 {
            unsent.add(format!("line {number}\r\n").as_bytes());
        }
        let (gap, bytes) = shown(&mut unsent);
        assert!(gap && bytes.len() <= 2 * MOST + MOST_MODES);
        assert!(bytes.starts_with(b"\x1b[?1049h\x1b[?25l"));
        assert!(bytes.ends_with(b"line 99999\r\n"));
    }

    #[test]
    fn the_modes_of_a_flood_are_bounded_and_whole() {
        let mut modes = Vec::new();
        for _ in 0..10_000 {
            keep_modes(b"x\x1b[?25h\x1b[?25l\x1b[?", &mut modes);
        }
        assert!(modes.len() <= MOST_MODES && modes.starts_with(b"\x1b[?25") && modes.ends_with(b"\x1b[?25l"));
        keep_modes(&[0x1b; 5000], &mut modes);
        assert!(modes.len() <= MOST_MODES);
        assert_eq!(mode(b"\x1b[?1;2;3h..."), Some(&b"\x1b[?1;2;3h"[..]));
    }
}
