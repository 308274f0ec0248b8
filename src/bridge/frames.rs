//! The agent protocol's frames over async connections.

use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::agent::protocol::{FrameError, body_length, decode, encode};

/// Reads one frame. Not cancel-safe: a frame read half is lost.
pub(super) async fn read_frame<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
    limit: usize,
) -> Result<T, FrameError> {
    let mut head = [0; 4];
    from.read_exact(&mut head).await?;
    let mut body = vec![0; body_length(head, limit)?];
    from.read_exact(&mut body).await?;
    decode(&body)
}

/// Writes one frame.
pub(super) async fn write_frame<T: Serialize>(
    to: &mut (impl AsyncWrite + Unpin),
    value: &T,
    limit: usize,
) -> Result<(), FrameError> {
    to.write_all(&encode(value, limit)?).await?;
    Ok(())
}
