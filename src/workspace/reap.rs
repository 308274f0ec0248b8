//! What time brings, done by the gateway: deadlines (the agent enforces them too, alone), turns in the queue, clocks
//! that are set. Nothing here waits for a disk: [`super::keep`] writes it down.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::{Inner, clock};
use crate::reservation::EndReason;

/// Looks again at least this often, because wall clocks get set.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

pub(super) async fn reap(inner: Arc<Inner>) {
    let mut changes = inner.desk.changes();
    while !inner.stopping.is_cancelled() {
        // First: a wall clock that was set makes nothing due.
        inner.watch_clock();
        for due in inner.desk.read(|book| book.due(clock::wall())) {
            inner.end(&due.id, EndReason::Expired);
        }
        inner.settle_queue();
        tokio::select! {
            () = sleep(until_next(&inner)) => {}
            _ = changes.changed() => {}
            () = inner.stopping.cancelled() => {}
        }
    }
}

fn until_next(inner: &Inner) -> Duration {
    let next = inner.desk.read(|book| [book.next_deadline(), book.queue().next_end()]);
    let left = next.into_iter().flatten().min().map(|deadline| deadline.duration_since(clock::wall()));
    left.map_or(LONGEST_SLEEP, |left| Duration::try_from(left).unwrap_or_default().min(LONGEST_SLEEP))
}
