//! What the book has and the ledger must: written at every change, and again until it could be written. A disk
//! that is full, or that does not answer, holds up nothing but this.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use super::Inner;
use crate::error_chain::in_full;
use crate::reservation::Ended;

/// Until what could not be written is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// Ends that may wait for the disk. Beyond, the oldest are forgotten: they are history only.
const MOST_UNSAVED: usize = 1000;

pub(super) async fn keep(inner: Arc<Inner>) {
    let mut changes = inner.desk.changes();
    while !inner.stopping.is_cancelled() {
        changes.mark_unchanged();
        inner.save_clock().await;
        inner.save_queue().await;
        inner.retry_unsaved().await;
        tokio::select! {
            () = sleep(RETRY) => {}
            _ = changes.changed() => {}
            () = inner.stopping.cancelled() => {}
        }
    }
}

impl Inner {
    pub(super) async fn save_end(&self, ended: Ended) {
        let copy = ended.clone();
        if let Err(e) = self.ledger.run(move |l| l.note_end(&copy)).await {
            tracing::error!(reservation = %ended.id, "the end is not in the ledger yet: {}", in_full(&e));
            let mut unsaved = self.unsaved.lock().unwrap_or_else(PoisonError::into_inner);
            if unsaved.len() >= MOST_UNSAVED {
                unsaved.pop_front();
            }
            unsaved.push_back(ended);
        }
    }

    /// In order, up to the first that cannot be written yet.
    pub(super) async fn retry_unsaved(&self) {
        while let Some(ended) = self.first_unsaved() {
            let copy = ended.clone();
            if self.ledger.run(move |l| l.note_end(&copy)).await.is_err() {
                return;
            }
            let mut unsaved = self.unsaved.lock().unwrap_or_else(PoisonError::into_inner);
            unsaved.retain(|other| other.id != ended.id);
        }
    }

    fn first_unsaved(&self) -> Option<Ended> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner).front().cloned()
    }
}
