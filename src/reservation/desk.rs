//! The handle that everybody shares: one book, one lock, and a bell that rings at every change.

use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use super::book::Book;

/// The shared book. The lock is a `std` mutex: every section is a few map look-ups and none awaits.
#[derive(Debug)]
pub struct Desk {
    book: Mutex<Book>,
    bell: watch::Sender<u64>,
}

impl Desk {
    /// Opens the desk over a book.
    #[must_use]
    pub fn new(book: Book) -> Self {
        Self { book: Mutex::new(book), bell: watch::Sender::new(0) }
    }

    /// Reads the book.
    pub fn read<T>(&self, look: impl FnOnce(&Book) -> T) -> T {
        look(&self.book.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the book and rings the bell.
    pub fn change<T>(&self, act: impl FnOnce(&mut Book) -> T) -> T {
        let outcome = act(&mut self.book.lock().unwrap_or_else(PoisonError::into_inner));
        self.bell.send_modify(|revision| *revision = revision.wrapping_add(1));
        outcome
    }

    /// Changes the book if there is something to change; the bell rings only then.
    pub fn change_if(&self, act: impl FnOnce(&mut Book) -> bool) -> bool {
        let changed = act(&mut self.book.lock().unwrap_or_else(PoisonError::into_inner));
        if changed {
            self.bell.send_modify(|revision| *revision = revision.wrapping_add(1));
        }
        changed
    }

    /// Rings at every change.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.bell.subscribe()
    }
}
