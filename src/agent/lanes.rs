//! One conversation over one encrypted connection, data included: the lanes of transport `tls`.
//!
//! Over `unix` descriptors pass; here their bytes do, each in a lane of its own, beside the conversation itself:
//!
//! ```text
//! lane 0   both ways           the conversation, exactly the bytes that cross the Unix socket
//! lane 1   gateway → agent     standard input, or what goes to the terminal or the connection
//!          agent → gateway     standard output, or what comes from them
//! lane 2   agent → gateway     standard error
//! ```
//!
//! A frame is a head of four bytes, its kind and a 24-bit big-endian number, and for data that many bytes. Data of no
//! length is the lane's end. Lane 1 towards the agent is sent on credit, [`WINDOW`] bytes at first, so that a process that
//! does not read never holds up a signal behind its input. Towards the gateway the connection's own flow control
//! is enough: whatever comes there has one reader.

/// The conversation.
pub const TALK: u8 = 0;
/// Input, output.
pub const MAIN: u8 = 1;
/// Standard error.
pub const ERRORS: u8 = 2;
/// Lanes in all.
pub const LANES: usize = 3;
/// The length of a frame's head.
pub const HEAD: usize = 4;
/// What the agent takes of lane 1 before it says that more may come, in bytes. As much as a pipe holds.
pub const WINDOW: usize = 1024 * 1024;
/// The most that one frame carries here, in bytes: with its head it fills four records of TLS. A reader takes any
/// length, as it never collects a whole frame.
pub const MOST: usize = 64 * 1024 - HEAD;

const CREDIT: u8 = 0x10;
const STOP: u8 = 0x20;
/// The largest number in a head.
const LARGEST: usize = 0xff_ffff;

/// A piece of what came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Bytes of a lane; a frame may come in several pieces.
    Data(u8, &'a [u8]),
    /// The lane has ended.
    End(u8),
    /// So many bytes more may be sent on lane 1.
    Credit(usize),
    /// Nobody takes lane 1 any more.
    Stop,
}

/// The other side does not speak this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame of an unknown kind, {0:#04x}")]
pub struct UnknownKind(u8);

/// Takes the stream apart. Holds no more than a head between two calls.
#[derive(Debug, Default)]
pub struct Parser {
    head: [u8; HEAD],
    have: usize,
    lane: u8,
    left: usize,
}

impl Parser {
    /// The next piece of `input`, which is advanced past it; `None` when more is needed.
    ///
    /// # Errors
    /// [`UnknownKind`]; then nothing that follows makes sense.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Piece<'a>>, UnknownKind> {
        if self.left == 0 {
            while self.have < HEAD {
                let (Some((byte, rest)), Some(place)) = (input.split_first(), self.head.get_mut(self.have))
                else {
                    return Ok(None);
                };
                (*place, *input) = (*byte, rest);
                self.have += 1;
            }
            self.have = 0;
            let [kind, high, middle, low] = self.head;
            let number = u32::from_be_bytes([0, high, middle, low]) as usize;
            match kind {
                CREDIT => return Ok(Some(Piece::Credit(number))),
                STOP => return Ok(Some(Piece::Stop)),
                lane if usize::from(lane) < LANES && number == 0 => return Ok(Some(Piece::End(lane))),
                lane if usize::from(lane) < LANES => (self.lane, self.left) = (lane, number),
                other => return Err(UnknownKind(other)),
            }
        }
        let Some((data, rest)) = input.split_at_checked(self.left.min(input.len())) else { return Ok(None) };
        if data.is_empty() {
            return Ok(None);
        }
        *input = rest;
        self.left -= data.len();
        Ok(Some(Piece::Data(self.lane, data)))
    }
}

/// The head for `length` bytes of a lane, at most [`MOST`]. None is its end.
#[must_use]
pub fn data(lane: u8, length: usize) -> [u8; HEAD] {
    head(lane, length)
}

/// So many bytes more may come on lane 1.
#[must_use]
pub fn credit(bytes: usize) -> [u8; HEAD] {
    head(CREDIT, bytes)
}

/// Nobody takes lane 1 any more.
#[must_use]
pub fn stop() -> [u8; HEAD] {
    head(STOP, 0)
}

fn head(kind: u8, number: usize) -> [u8; HEAD] {
    let [_, high, middle, low] = u32::try_from(number.min(LARGEST)).unwrap_or_default().to_be_bytes();
    [kind, high, middle, low]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, PartialEq, Eq)]
    enum Whole {
        Data(u8, Vec<u8>),
        End(u8),
        Credit(usize),
        Stop,
    }

    fn whole() -> impl Strategy<Value = Whole> {
        let lane = 0..u8::try_from(LANES).unwrap();
        prop_oneof![
            (lane.clone(), proptest::collection::vec(any::<u8>(), 1..300))
                .prop_map(|(l, d)| Whole::Data(l, d)),
            lane.prop_map(Whole::End),
            (0..=LARGEST).prop_map(Whole::Credit),
            Just(Whole::Stop),
        ]
    }

    fn write(all: &[Whole]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for one in all {
            match one {
                Whole::Data(lane, content) => {
                    bytes.extend(data(*lane, content.len()));
                    bytes.extend(content);
                }
                Whole::End(lane) => bytes.extend(data(*lane, 0)),
                Whole::Credit(n) => bytes.extend(credit(*n)),
                Whole::Stop => bytes.extend(stop()),
            }
        }
        bytes
    }

    /// Pieces of one lane that follow each other are put together, as the splits are nobody's business.
    fn read(chunks: &[&[u8]]) -> Result<Vec<Whole>, UnknownKind> {
        let (mut parser, mut all) = (Parser::default(), Vec::new());
        for chunk in chunks {
            let mut input = *chunk;
            while let Some(piece) = parser.next(&mut input)? {
                match (piece, all.last_mut()) {
                    (Piece::Data(lane, more), Some(Whole::Data(last, content))) if lane == *last => {
                        content.extend(more);
                    }
                    (Piece::Data(lane, content), _) => all.push(Whole::Data(lane, content.to_vec())),
                    (Piece::End(lane), _) => all.push(Whole::End(lane)),
                    (Piece::Credit(n), _) => all.push(Whole::Credit(n)),
                    (Piece::Stop, _) => all.push(Whole::Stop),
                }
            }
            assert!(input.is_empty());
        }
        Ok(all)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_however_it_is_cut(
            all in proptest::collection::vec(whole(), 0..20), size in 1..500_usize
        ) {
            let bytes = write(&all);
            let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
            prop_assert_eq!(read(&chunks), read(&[&bytes]));
            let again: Vec<u8> = read(&chunks).unwrap().iter().flat_map(|one| write(std::slice::from_ref(one))).collect();
            prop_assert_eq!(read(&[&again]), read(&[&bytes]));
        }

        #[test]
        fn nothing_that_comes_makes_it_panic_or_turn_in_circles(
            bytes in proptest::collection::vec(any::<u8>(), 0..4000), size in 1..500_usize
        ) {
            let (mut parser, mut seen) = (Parser::default(), 0);
            'all: for chunk in bytes.chunks(size) {
                let mut input = chunk;
                loop {
                    match parser.next(&mut input) {
                        Ok(Some(_)) => seen += 1,
                        Ok(None) => break,
                        Err(_) => break 'all,
                    }
                    prop_assert!(seen <= bytes.len());
                }
            }
        }
    }
}
