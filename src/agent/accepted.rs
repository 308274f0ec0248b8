//! Connections that were accepted in the container and that the gateway has not fetched yet.

use std::collections::HashMap;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One listener's connections that wait to be fetched; more wait in the kernel's backlog.
const MAX_WAITING: usize = 32;

/// All of them, by token.
#[derive(Debug, Default)]
pub(super) struct Accepted {
    next: AtomicU64,
    waiting: Mutex<HashMap<u64, (OwnedFd, Arc<Room>)>>,
}

/// One listener's share. What is left of it goes when the listener does.
#[derive(Debug)]
pub(super) struct Room {
    taken: Mutex<usize>,
    /// Written to when there is room again; the listener polls the other end.
    bell: UnixStream,
}

impl Accepted {
    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, (OwnedFd, Arc<Room>)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put(&self, connection: OwnedFd, room: &Arc<Room>) -> u64 {
        let token = self.next.fetch_add(1, Ordering::Relaxed);
        *room.taken() += 1;
        self.waiting().insert(token, (connection, room.clone()));
        token
    }

    pub(super) fn take(&self, token: u64) -> Option<OwnedFd> {
        let (connection, room) = self.waiting().remove(&token)?;
        *room.taken() -= 1;
        // One byte is enough, and a full pipe holds one already.
        let _ = (&room.bell).write(&[0]);
        Some(connection)
    }

    /// Closes what nobody has fetched.
    pub(super) fn forget(&self, room: &Arc<Room>) {
        self.waiting().retain(|_, (_, other)| !Arc::ptr_eq(room, other));
    }
}

impl Room {
    /// With the end that becomes readable when there is room again.
    pub(super) fn new() -> io::Result<(Arc<Self>, Bell)> {
        let (bell, heard) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        heard.set_nonblocking(true)?;
        Ok((Arc::new(Self { taken: Mutex::new(0), bell }), Bell(heard)))
    }

    fn taken(&self) -> MutexGuard<'_, usize> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_full(&self) -> bool {
        *self.taken() >= MAX_WAITING
    }
}

/// Rings when there is room again.
#[derive(Debug)]
pub(super) struct Bell(UnixStream);

impl Bell {
    pub(super) fn clear(&self) {
        let mut heard = [0; 64];
        while matches!(io::Read::read(&mut &self.0, &mut heard), Ok(1..)) {}
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> OwnedFd {
        UnixStream::pair().unwrap().0.into()
    }

    #[test]
    fn what_is_announced_is_fetched_once_and_room_is_counted() {
        let accepted = Accepted::default();
        let (room, _bell) = Room::new().unwrap();
        let (other, _bell) = Room::new().unwrap();
        let tokens: Vec<u64> = (0..MAX_WAITING).map(|_| accepted.put(connection(), &room)).collect();
        let kept = accepted.put(connection(), &other);
        assert!(room.is_full() && !other.is_full());
        assert!(accepted.take(tokens[0]).is_some());
        assert!(accepted.take(tokens[0]).is_none() && !room.is_full());
        accepted.forget(&room);
        assert!(accepted.take(tokens[1]).is_none());
        assert!(accepted.take(kept).is_some());
    }
}
