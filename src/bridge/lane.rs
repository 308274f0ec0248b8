//! One conversation over TLS, its data in lanes: the gateway's half of `agent::lanes`.
//!
//! No task stands between: whoever polls a lane moves what there is to move, for the others as well, and they are woken.
//! The connection closes when the last lane is dropped.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::agent::lanes::{self, LANES, MAIN, MOST, Parser, Piece, WINDOW};
use crate::agent::secure::{Opened, Session};

/// What is read from the wire at once, in bytes: about what one reader takes, so that most goes there directly.
const READ: usize = 33 * 1024;

/// What waits in one lane before nothing more is read for the others. An agent that fills a lane that nobody
/// reads stalls its own conversation only.
const MOST_WAITING: usize = 4 * MOST;
/// An agent that grants more than this has lost count.
const MOST_CREDIT: usize = 16 * WINDOW;

/// Readers are the lower bits, writers the upper ones.
const EVERYBODY: u8 = (1 << (2 * LANES)) - 1;

/// Who writes on lane 1.
const WRITER: u8 = 1 << (LANES + MAIN as usize);

/// One lane of a conversation, both ways. Clones share it.
#[derive(Debug, Clone)]
pub struct Lane {
    link: Arc<Link>,
    number: u8,
}

#[derive(Debug)]
struct Link {
    /// Held for moments, never across an await.
    state: Mutex<State>,
    waiting: Arc<Waiting>,
}

#[derive(Debug)]
struct State {
    socket: TcpStream,
    session: Session,
    parser: Parser,
    lanes: [Inbound; LANES],
    said_end: [bool; LANES],
    credit: usize,
    /// Nobody takes lane 1 any more.
    is_stopped: bool,
    /// The agent takes nothing more.
    is_unheard: bool,
    /// The agent has closed, or broke the protocol.
    is_over: bool,
}

#[derive(Debug, Default)]
struct Inbound {
    bytes: BytesMut,
    has_ended: bool,
}

/// Who waits, for whatever it is: the connection itself knows only one waker for each direction.
#[derive(Debug, Default)]
struct Waiting([Mutex<Option<Waker>>; 2 * LANES]);

impl Waiting {
    /// Each lane has a reader and a writer.
    fn note(&self, place: usize, context: &Context<'_>) {
        let Some(place) = self.0.get(place) else { return };
        let mut waker = place.lock().unwrap_or_else(PoisonError::into_inner);
        if waker.as_ref().is_none_or(|waker| !waker.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
    }

    /// Those whose bits are set.
    fn wake_some(&self, places: u8) {
        for (number, place) in self.0.iter().enumerate() {
            if places & (1 << number) != 0 {
                let waker = place.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
        }
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.wake_some(EVERYBODY);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_some(EVERYBODY);
    }
}

/// All lanes of a conversation.
pub(super) fn lanes(socket: TcpStream, session: Session) -> [Lane; LANES] {
    let state = State {
        socket,
        session,
        parser: Parser::default(),
        lanes: Default::default(),
        said_end: [false; LANES],
        credit: WINDOW,
        is_stopped: false,
        is_unheard: false,
        is_over: false,
    };
    let link = Arc::new(Link { state: Mutex::new(state), waiting: Arc::default() });
    [0, 1, 2].map(|number| Lane { link: link.clone(), number })
}

impl Lane {
    fn state(&self) -> MutexGuard<'_, State> {
        self.link.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_reader(&self, context: &Context<'_>) {
        self.link.waiting.note(usize::from(self.number), context);
    }

    fn note_writer(&self, context: &Context<'_>) {
        self.link.waiting.note(LANES + usize::from(self.number), context);
    }

    fn shared_waker(&self) -> Waker {
        Waker::from(self.link.waiting.clone())
    }
}

/// Who reads now, and what into.
struct Reader<'a, 'b> {
    number: u8,
    buffer: &'a mut ReadBuf<'b>,
}

impl State {
    /// Takes what has come, for whichever lane; what is for who reads goes directly there. Ready with who has something
    /// to look at.
    fn receive(&mut self, context: &mut Context<'_>, mut reader: Option<Reader<'_, '_>>) -> Poll<u8> {
        loop {
            if self.is_over {
                return Poll::Ready(EVERYBODY);
            }
            if self.lanes.iter().any(|lane| lane.bytes.len() >= MOST_WAITING) {
                return Poll::Pending;
            }
            match self.open(reader.as_mut()) {
                Some(0) => {}
                Some(heard) => return Poll::Ready(heard),
                None => {
                    // Why, if there is a word for it.
                    let _ = self.try_send(context);
                    self.is_over = true;
                    return Poll::Ready(EVERYBODY);
                }
            }
            let incoming = self.session.incoming(READ);
            let read = std::pin::pin!(self.socket.read_buf(incoming)).poll(context);
            let Poll::Ready(read) = read else {
                self.session.rest();
                return Poll::Pending;
            };
            self.is_over = !matches!(read, Ok(1..));
        }
    }

    /// All that is whole, into the lanes. `None` when the agent breaks the protocol.
    fn open(&mut self, mut reader: Option<&mut Reader<'_, '_>>) -> Option<u8> {
        let mut heard = 0;
        while let Some(opened) = self.session.open().ok()? {
            let Opened::Data(mut input) = opened else {
                // What was said before it is heard first.
                self.is_over = true;
                return Some(EVERYBODY);
            };
            while let Some(piece) = self.parser.next(&mut input).ok()? {
                match piece {
                    Piece::Data(number, mut data) => {
                        let lane = self.lanes.get_mut(usize::from(number)).filter(|lane| !lane.has_ended)?;
                        if let Some(reader) = reader.as_deref_mut()
                            && reader.number == number
                            && lane.bytes.is_empty()
                        {
                            let (now, later) = data.split_at(data.len().min(reader.buffer.remaining()));
                            reader.buffer.put_slice(now);
                            data = later;
                        }
                        lane.bytes.extend_from_slice(data);
                        heard |= 1 << number;
                    }
                    Piece::End(number) => {
                        self.lanes.get_mut(usize::from(number))?.has_ended = true;
                        heard |= 1 << number;
                    }
                    Piece::Credit(more) => {
                        self.credit = (self.credit + more).min(MOST_CREDIT);
                        heard |= WRITER;
                    }
                    Piece::Stop => {
                        self.is_stopped = true;
                        heard |= WRITER;
                    }
                }
            }
        }
        Some(heard)
    }

    /// Sends what is left to send. An agent that takes nothing more may have said something before: that is still heard.
    fn send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_unheard {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let sent = self.try_send(context);
        self.is_unheard = matches!(sent, Poll::Ready(Err(_)));
        sent
    }

    fn try_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.session.outgoing().is_empty() {
            match ready!(Pin::new(&mut self.socket).poll_write(context, self.session.outgoing()))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.session.sent(sent),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// So many bytes of these parts.
    fn say(&mut self, number: u8, parts: &[IoSlice<'_>], length: usize) -> io::Result<()> {
        let head = lanes::data(number, length);
        let parts = parts.iter().scan(length, |left, part| {
            let now = part.get(..(*left).min(part.len())).unwrap_or_default();
            *left -= now.len();
            Some(now)
        });
        let sealed = self.session.seal(std::iter::once(head.as_slice()).chain(parts));
        self.is_over |= sealed.is_err();
        sealed.map_err(io::Error::other)
    }
}

impl AsyncRead for Lane {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let waker = self.shared_waker();
        self.note_reader(context);
        let mut state = self.state();
        let shared = &mut Context::from_waker(&waker);
        // What others have left to send goes on its way, too: they may have nothing more to say.
        let _ = state.send(shared);
        let before = buffer.filled().len();
        loop {
            if buffer.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            let Some(lane) = state.lanes.get_mut(usize::from(self.number)) else {
                return Poll::Ready(Ok(()));
            };
            if !lane.bytes.is_empty() {
                let was_full = lane.bytes.len() >= MOST_WAITING;
                let length = lane.bytes.len().min(buffer.remaining());
                buffer.put_slice(lane.bytes.get(..length).unwrap_or_default());
                lane.bytes.advance(length);
                drop(state);
                if was_full {
                    self.link.waiting.wake_some(EVERYBODY);
                }
                return Poll::Ready(Ok(()));
            }
            if lane.has_ended || state.is_over {
                return Poll::Ready(Ok(()));
            }
            let reader = Reader { number: self.number, buffer: &mut *buffer };
            let heard = ready!(state.receive(shared, Some(reader)));
            self.link.waiting.wake_some(heard & !(1 << self.number));
        }
    }
}

impl AsyncWrite for Lane {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let waker = self.shared_waker();
        self.note_writer(context);
        let mut state = self.state();
        let shared = &mut Context::from_waker(&waker);
        ready!(state.send(shared))?;
        let on_credit = self.number == MAIN;
        while on_credit && state.credit == 0 && !state.is_stopped && !state.is_over {
            let heard = ready!(state.receive(shared, None));
            self.link.waiting.wake_some(heard & !WRITER);
        }
        if state.is_over || (on_credit && state.is_stopped) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let most = if on_credit { state.credit.min(MOST) } else { MOST };
        let now = parts.iter().map(|part| part.len()).sum::<usize>().min(most);
        if now == 0 {
            return Poll::Ready(Ok(0));
        }
        if on_credit {
            state.credit -= now;
        }
        state.say(self.number, parts, now)?;
        // What does not leave at once leaves when there is room: somebody always polls.
        match state.send(shared) {
            Poll::Ready(Err(e)) => Poll::Ready(Err(e)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(now)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let waker = self.shared_waker();
        self.note_writer(context);
        self.state().send(&mut Context::from_waker(&waker))
    }

    /// The lane's end: half-close of a connection, end of file on a pipe.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let waker = self.shared_waker();
        self.note_writer(context);
        let mut state = self.state();
        let shared = &mut Context::from_waker(&waker);
        let said = state.said_end.get_mut(usize::from(self.number)).map(|said| std::mem::replace(said, true));
        if !state.is_over && said == Some(false) {
            state.say(self.number, &[], 0)?;
        }
        state.send(shared)
    }
}
