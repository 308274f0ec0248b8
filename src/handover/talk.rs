//! One conversation: lines of JSON, bounded in length and time.

use std::path::Path;
use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// An estate of thousands of people is some megabytes.
const MAX_LINE: u64 = 64 << 20;
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// Why a conversation came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum TalkError {
    /// The connection failed.
    #[error("the other gateway cannot be talked to")]
    Io(#[from] std::io::Error),
    /// Nothing in time.
    #[error("the other gateway does not answer")]
    Late,
    /// It has gone.
    #[error("the other gateway went away")]
    Gone,
    /// Its words make no sense here: another version.
    #[error("the other gateway says what this one does not understand")]
    Odd(#[source] serde_json::Error),
    /// It says no.
    #[error("the other gateway refuses: {0}")]
    Refused(String),
}

/// Either end of a conversation.
#[derive(Debug)]
pub(super) struct Talk {
    stream: BufReader<UnixStream>,
}

impl Talk {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    pub(super) async fn connect(path: &Path) -> Result<Self, TalkError> {
        Ok(Self::new(timeout(WRITE_LIMIT, UnixStream::connect(path)).await.map_err(|_| TalkError::Late)??))
    }

    /// For what is not a line: descriptors.
    pub(super) fn stream(&self) -> &UnixStream {
        self.stream.get_ref()
    }

    pub(super) async fn say(&mut self, what: &impl Serialize) -> Result<(), TalkError> {
        let bytes = line(what)?;
        timeout(WRITE_LIMIT, self.stream.write_all(&bytes)).await.map_err(|_| TalkError::Late)??;
        Ok(())
    }

    pub(super) async fn hear<T: DeserializeOwned>(&mut self, limit: Duration) -> Result<T, TalkError> {
        timeout(limit, self.hear_for_ever()).await.map_err(|_| TalkError::Late)?
    }

    /// Not cancel-safe: half a line would be lost.
    pub(super) async fn hear_for_ever<T: DeserializeOwned>(&mut self) -> Result<T, TalkError> {
        let mut line = Vec::new();
        (&mut self.stream).take(MAX_LINE).read_until(b'\n', &mut line).await?;
        if line.last() != Some(&b'\n') {
            return Err(TalkError::Gone);
        }
        serde_json::from_slice(&line).map_err(TalkError::Odd)
    }

    /// Waits until the other side has gone. It must have nothing more to say.
    pub(super) async fn gone(&mut self) {
        let mut byte = [0];
        while matches!(self.stream.read(&mut byte).await, Ok(read) if read > 0) {}
    }
}

pub(super) fn line(what: &impl Serialize) -> Result<Vec<u8>, TalkError> {
    let mut bytes = serde_json::to_vec(what).map_err(TalkError::Odd)?;
    bytes.push(b'\n');
    Ok(bytes)
}
