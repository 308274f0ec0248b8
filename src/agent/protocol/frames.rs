//! Frames: a length, and that many bytes of postcard.

use std::io::{self, Read, Write};

use serde::{Serialize, de::DeserializeOwned};

/// Why a frame could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The other side closed between two frames.
    #[error("closed")]
    Closed,
    /// Longer than allowed.
    #[error("frame of {0} bytes is too long")]
    TooLong(usize),
    /// Not what the protocol says.
    #[error("malformed frame")]
    Malformed(#[source] postcard::Error),
    /// The connection failed.
    #[error("connection failed")]
    Io(#[from] io::Error),
}

/// Encodes a frame.
///
/// # Errors
/// [`FrameError::TooLong`] above `limit`, [`FrameError::Malformed`] when postcard cannot encode it.
pub fn encode<T: Serialize>(value: &T, limit: usize) -> Result<Vec<u8>, FrameError> {
    let mut frame = postcard::to_extend(value, vec![0; 4]).map_err(FrameError::Malformed)?;
    let body = frame.len().saturating_sub(4);
    let length = u32::try_from(body).map_err(|_| FrameError::TooLong(body))?;
    if body > limit {
        return Err(FrameError::TooLong(body));
    }
    if let Some(head) = frame.first_chunk_mut::<4>() {
        *head = length.to_be_bytes();
    }
    Ok(frame)
}

/// Checks a frame's length field before anything is allocated for it.
///
/// # Errors
/// [`FrameError::TooLong`].
pub fn body_length(head: [u8; 4], limit: usize) -> Result<usize, FrameError> {
    let length = u32::from_be_bytes(head) as usize;
    if length > limit {
        return Err(FrameError::TooLong(length));
    }
    Ok(length)
}

/// Decodes a frame's body.
///
/// # Errors
/// [`FrameError::Malformed`].
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, FrameError> {
    postcard::from_bytes(body).map_err(FrameError::Malformed)
}

/// Reads one frame from a blocking connection.
///
/// # Errors
/// Any [`FrameError`].
pub fn read_frame<T: DeserializeOwned>(from: &mut impl Read, limit: usize) -> Result<T, FrameError> {
    let mut head = [0; 4];
    match from.read_exact(&mut head) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Err(FrameError::Closed),
        other => other?,
    }
    let mut body = vec![0; body_length(head, limit)?];
    from.read_exact(&mut body)?;
    decode(&body)
}

/// Writes one frame to a blocking connection.
///
/// # Errors
/// Any [`FrameError`].
pub fn write_frame<T: Serialize>(to: &mut impl Write, value: &T, limit: usize) -> Result<(), FrameError> {
    to.write_all(&encode(value, limit)?)?;
    Ok(())
}
