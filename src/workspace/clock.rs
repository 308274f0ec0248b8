//! The clocks, read; and what follows when the wall's has been set.

use std::sync::PoisonError;
use std::time::Duration;

use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};

use super::Inner;
use crate::error_chain::in_full;
use crate::reservation::{Book, Moment};

/// This life of the machine: the boot's clock means something only within it.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Now, on both clocks.
pub(super) fn moment() -> Moment {
    let boot = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default();
    Moment { wall: wall(), boot }
}

/// What the wall's clock says. In debug builds a test may set it for one gateway, by a file with seconds to add: whoever
/// sets the machine's own clock sets everybody's.
pub(super) fn wall() -> Timestamp {
    let now = Timestamp::now();
    #[cfg(debug_assertions)]
    let now = now.saturating_add(test_step()).unwrap_or(now);
    now
}

#[cfg(debug_assertions)]
fn test_step() -> jiff::SignedDuration {
    let read =
        || std::fs::read_to_string(std::env::var_os("CLUSTERIA_TEST_CLOCK")?).ok()?.trim().parse().ok();
    jiff::SignedDuration::from_secs(read().unwrap_or_default())
}

/// What the wall says now, to a book that has seen how the clocks stand; and had they been set?
pub(super) fn look(book: &mut Book) -> (Timestamp, bool) {
    let now = moment();
    let step = book.observe(now);
    if let Some(step) = step {
        tracing::warn!("the wall clock was set by {step:#}: deadlines move with it");
    }
    (now.wall, step.is_some())
}

pub(super) fn boot_id() -> String {
    std::fs::read_to_string(BOOT_ID).map(|id| id.trim().to_owned()).unwrap_or_default()
}

impl Inner {
    /// Has the book look at the clocks.
    pub(super) fn watch_clock(&self) {
        self.desk.change_if(|book| look(book).1);
    }

    /// Writes down how the clocks stand, and the deadlines that go with it.
    pub(super) async fn save_clock(&self) {
        let (offset, held) = self.desk.read(|book| (book.offset(), book.held().cloned().collect::<Vec<_>>()));
        let saved = *self.saved_offset.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(offset) = offset.filter(|offset| Some(*offset) != saved) else { return };
        let written = self.ledger.run(move |l| l.save_clock(&boot_id(), offset, &held)).await;
        match written {
            Ok(()) => *self.saved_offset.lock().unwrap_or_else(PoisonError::into_inner) = Some(offset),
            Err(e) => tracing::error!("how the clocks stand is not in the ledger yet: {}", in_full(&e)),
        }
    }
}
