//! The deadline, enforced by the gateway. (The agent enforces it too, alone.)

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::sleep;

use super::Inner;
use crate::reservation::EndReason;

/// Looks again at least this often, because wall clocks get set.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

pub(super) async fn reap(inner: Arc<Inner>) {
    let mut changes = inner.desk.changes();
    while !inner.stopping.is_cancelled() {
        for due in inner.desk.read(|book| book.due(Timestamp::now())) {
            inner.end(&due.id, EndReason::Expired);
        }
        retry_unsaved(&inner).await;
        tokio::select! {
            () = sleep(until_next(&inner)) => {}
            _ = changes.changed() => {}
            () = inner.stopping.cancelled() => {}
        }
    }
}

fn until_next(inner: &Inner) -> Duration {
    let next = inner.desk.read(crate::reservation::Book::next_deadline);
    let left = next.map(|deadline| deadline.duration_since(Timestamp::now()));
    left.map_or(LONGEST_SLEEP, |left| Duration::try_from(left).unwrap_or_default().min(LONGEST_SLEEP))
}

pub(super) async fn retry_unsaved(inner: &Inner) {
    let unsaved = std::mem::take(&mut *inner.unsaved.lock().unwrap_or_else(PoisonError::into_inner));
    for ended in unsaved {
        inner.save_end(ended).await;
    }
}
