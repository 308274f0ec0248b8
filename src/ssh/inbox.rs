//! What the client has said on one channel and nobody has taken yet.
//!
//! Bytes are bounded by the channel's window (they are given back only when consumed), control
//! messages by coalescing. Small packets are joined, so that a flood of one-byte packets costs
//! bytes and not allocations.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::agent::protocol::{Control, WindowSize};

/// Packets below this are copied together, larger ones are handed on as they are.
const SMALL: usize = 2048;
/// What is taken at once, in bytes, and once as much more at most.
const SOME: usize = 64 * 1024;
/// Signals that wait for a process that does not take them; more are dropped.
const SIGNALS: usize = 16;

/// One channel's inbox: filled by the connection, emptied by the channel's task.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    data: Notify,
    control: Notify,
    closed: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<Bytes>,
    small: BytesMut,
    eof: bool,
    size: Option<WindowSize>,
    signals: VecDeque<Control>,
}

impl Inbox {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, data: Bytes) {
        let mut state = self.state();
        if data.len() < SMALL {
            state.small.extend_from_slice(&data);
        } else {
            let joined = state.small.split().freeze();
            if !joined.is_empty() {
                state.chunks.push_back(joined);
            }
            state.chunks.push_back(data);
        }
        drop(state);
        self.data.notify_one();
    }

    pub(super) fn end(&self) {
        self.state().eof = true;
        self.data.notify_one();
    }

    pub(super) fn resize(&self, size: WindowSize) {
        self.state().size = Some(size);
        self.control.notify_one();
    }

    pub(super) fn signal(&self, signal: Control) {
        let mut state = self.state();
        if state.signals.len() < SIGNALS {
            state.signals.push_back(signal);
        }
        drop(state);
        self.control.notify_one();
    }

    /// The channel or its connection is gone. What has arrived can still be taken.
    pub(super) fn close(&self) {
        self.closed.cancel();
        self.end();
    }

    /// Waits until the channel is gone.
    pub(super) async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// The next bytes; `None` at the end of file. One task at a time. Cancel-safe.
    pub(super) async fn next(&self) -> Option<Bytes> {
        loop {
            if let Some(step) = self.try_next() {
                return step;
            }
            self.data.notified().await;
        }
    }

    fn try_next(&self) -> Option<Option<Bytes>> {
        let mut state = self.state();
        if let Some(chunk) = state.chunks.pop_front() {
            return Some(Some(chunk));
        }
        if !state.small.is_empty() {
            let length = state.small.len().min(SOME);
            return Some(Some(state.small.split_to(length).freeze()));
        }
        state.eof.then_some(None)
    }

    /// As [`next`](Self::next), with all that has come after it, up to a limit: fewer and larger writes when bytes come
    /// faster than they are taken.
    pub(super) async fn next_some(&self) -> Option<Chunks> {
        let first = self.next().await?;
        let mut chunks = Chunks::default();
        chunks.push(first);
        while chunks.length < SOME
            && let Some(Some(more)) = self.try_next()
        {
            chunks.push(more);
        }
        Some(chunks)
    }

    /// Is there something to take, or the end of file, within this time? Takes nothing.
    pub(super) async fn has_input_within(&self, limit: Duration) -> bool {
        let arrives = async {
            while !self.has_input() {
                self.data.notified().await;
            }
        };
        tokio::time::timeout(limit, arrives).await.is_ok()
    }

    fn has_input(&self) -> bool {
        let state = self.state();
        !state.chunks.is_empty() || !state.small.is_empty() || state.eof
    }

    /// Puts back what was taken and was meant for somebody else.
    pub(super) fn put_back(&self, data: Bytes) {
        if !data.is_empty() {
            self.state().chunks.push_front(data);
            self.data.notify_one();
        }
    }

    /// The next control message. One task at a time. Cancel-safe.
    pub(super) async fn next_control(&self) -> Control {
        loop {
            if let Some(control) = self.try_next_control() {
                return control;
            }
            self.control.notified().await;
        }
    }

    fn try_next_control(&self) -> Option<Control> {
        let mut state = self.state();
        state.size.take().map(Control::Resize).or_else(|| state.signals.pop_front())
    }
}

/// What follows each other, to be written at once.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    queue: VecDeque<Bytes>,
    length: usize,
}

impl Chunks {
    fn push(&mut self, chunk: Bytes) {
        self.length += chunk.len();
        self.queue.push_back(chunk);
    }
}

impl Buf for Chunks {
    fn remaining(&self) -> usize {
        self.length
    }

    fn chunk(&self) -> &[u8] {
        self.queue.front().map(AsRef::as_ref).unwrap_or_default()
    }

    fn chunks_vectored<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        let slices = into.iter_mut().zip(&self.queue);
        slices.map(|(place, chunk)| *place = IoSlice::new(chunk)).count()
    }

    fn advance(&mut self, mut count: usize) {
        self.length = self.length.saturating_sub(count);
        while let Some(chunk) = self.queue.front_mut().filter(|_| count > 0) {
            let now = count.min(chunk.len());
            chunk.advance(now);
            count -= now;
            if chunk.is_empty() {
                self.queue.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_keep_their_order_and_the_end_comes_last() {
        let inbox = Inbox::default();
        let big = Bytes::from(vec![b'x'; SMALL]);
        for small in ["a", "b", "c"] {
            inbox.push(Bytes::from(small));
        }
        inbox.push(big.clone());
        inbox.push(Bytes::from("d"));
        inbox.end();
        assert_eq!(inbox.next().await.unwrap(), "abc");
        assert_eq!(inbox.next().await.unwrap(), big);
        assert_eq!(inbox.next().await.unwrap(), "d");
        assert_eq!(inbox.next().await, None);
        assert_eq!(inbox.next().await, None);
    }

    #[tokio::test]
    async fn what_has_come_is_taken_at_once_up_to_a_limit() {
        let inbox = Inbox::default();
        let mut expected = Vec::new();
        for n in 0..20_u8 {
            let chunk = vec![n; 32 * 1024 - usize::from(n)];
            expected.extend_from_slice(&chunk);
            inbox.push(chunk.into());
        }
        inbox.end();
        let (mut taken, mut times) = (Vec::new(), 0);
        while let Some(mut chunks) = inbox.next_some().await {
            assert!(chunks.remaining() <= SOME + 32 * 1024);
            times += 1;
            while chunks.has_remaining() {
                let mut slices = [IoSlice::new(&[]); 3];
                let count = chunks.chunks_vectored(&mut slices);
                let all: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.iter().copied()).collect();
                assert_eq!(chunks.chunk(), &slices[0][..]);
                let now = all.len().min(50_000);
                taken.extend_from_slice(&all[..now]);
                chunks.advance(now);
            }
        }
        assert!(taken == expected);
        assert_eq!(times, 7);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_put_back_comes_first_and_looking_takes_nothing() {
        let inbox = Inbox::default();
        assert!(!inbox.has_input_within(Duration::from_millis(100)).await);
        inbox.push(Bytes::from("ab"));
        assert!(inbox.has_input_within(Duration::ZERO).await);
        assert_eq!(inbox.next().await.unwrap(), "ab");
        inbox.push(Bytes::from("c"));
        inbox.put_back(Bytes::from("b"));
        inbox.end();
        assert_eq!(inbox.next().await.unwrap(), "b");
        assert_eq!(inbox.next().await.unwrap(), "c");
        assert!(inbox.has_input_within(Duration::ZERO).await, "the end of file is input, too");
        assert_eq!(inbox.next().await, None);
    }

    #[tokio::test]
    async fn a_flood_of_control_messages_stays_small() {
        let inbox = Inbox::default();
        for columns in 0..10_000 {
            inbox.resize(WindowSize { columns, rows: 24, width: 0, height: 0 });
            inbox.signal(Control::Signal("INT".into()));
        }
        let last = WindowSize { columns: 9_999, rows: 24, width: 0, height: 0 };
        assert_eq!(inbox.next_control().await, Control::Resize(last));
        assert_eq!(inbox.state().signals.len(), SIGNALS);
    }
}
