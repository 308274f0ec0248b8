//! One poll(2) for all that a relay waits for.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    Socket,
    Talk,
    Input,
    /// Nobody has it open, now.
    InputAlone,
    Output(usize),
}

/// What is waited for.
#[derive(Default)]
pub(super) struct Waits<'a> {
    sources: Vec<Source>,
    polled: Vec<PollFd<'a>>,
}

impl<'a> Waits<'a> {
    /// With nothing to wait for it is left out: poll reports a hang-up without being asked.
    pub(super) fn add(&mut self, source: Source, descriptor: BorrowedFd<'a>, reads: bool, writes: bool) {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::POLLIN, reads);
        flags.set(PollFlags::POLLOUT, writes);
        if !flags.is_empty() {
            self.sources.push(source);
            self.polled.push(PollFd::new(descriptor, flags));
        }
    }

    /// Nothing is ready after `limit`; `None` when waiting itself fails.
    pub(super) fn wait(mut self, limit: Option<Duration>) -> Option<Vec<Source>> {
        let limit = limit.and_then(|limit| PollTimeout::try_from(limit).ok()).unwrap_or(PollTimeout::NONE);
        match poll(&mut self.polled, limit) {
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => return Some(Vec::new()),
            Err(_) => return None,
        }
        let ready = self.sources.into_iter().zip(&self.polled);
        Some(ready.filter_map(|(source, polled)| told(source, polled.revents()?)).collect())
    }
}

fn told(source: Source, events: PollFlags) -> Option<Source> {
    match source {
        Source::Input if events == PollFlags::POLLHUP => Some(Source::InputAlone),
        _ => (!events.is_empty()).then_some(source),
    }
}
