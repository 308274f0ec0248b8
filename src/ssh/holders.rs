//! Which connection holds which kept shell, so that a dead one can be told from a quiet one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use russh::server::Handle;
use tokio::time::timeout;

use crate::reservation::ReservationId;

/// A line over a satellite answers in less.
const SIGN_OF_LIFE: Duration = Duration::from_millis(1500);

/// A shell: in which reservation's container, and its id there.
pub(super) type ShellKey = (ReservationId, u32);

#[derive(Default)]
pub(super) struct Holders {
    held: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    next: u64,
    connections: HashMap<ShellKey, (u64, Handle)>,
}

/// Holds a shell for as long as this lives, or another connection takes it.
pub(super) struct Held {
    holders: Arc<Holders>,
    key: ShellKey,
    number: u64,
}

impl Holders {
    fn held(&self) -> MutexGuard<'_, Table> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn hold(self: &Arc<Self>, key: ShellKey, handle: Handle) -> Held {
        let mut table = self.held();
        table.next += 1;
        let number = table.next;
        table.connections.insert(key.clone(), (number, handle));
        Held { holders: self.clone(), key, number }
    }

    /// Does its connection give no sign of life? One that another gateway serves is taken for alive.
    pub(super) async fn is_silent(&self, key: &ShellKey) -> bool {
        let handle = self.held().connections.get(key).map(|(_, handle)| handle.clone());
        match handle {
            Some(handle) => !matches!(timeout(SIGN_OF_LIFE, handle.ping()).await, Ok(Ok(()))),
            None => false,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut table = self.holders.held();
        if table.connections.get(&self.key).is_some_and(|(number, _)| *number == self.number) {
            table.connections.remove(&self.key);
        }
    }
}
