//! Deadlines after the wall clock has been set, and how the clocks stood then.

use jiff::SignedDuration;
use rusqlite::{OptionalExtension, params};

use super::{Ledger, StoreError};
use crate::reservation::Reservation;

impl Ledger {
    /// Writes down deadlines that have moved with the wall clock. `boot` names this life of the machine.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn save_clock(
        &self,
        boot: &str,
        offset: SignedDuration,
        moved: &[Reservation],
    ) -> Result<(), StoreError> {
        self.with(|c| {
            let transaction = c.transaction()?;
            for r in moved {
                let set = "UPDATE reservations SET deadline = ?2 WHERE id = ?1";
                transaction.execute(set, params![r.id.as_str(), r.deadline.to_string()])?;
            }
            let offset = i64::try_from(offset.as_millis()).unwrap_or_default();
            transaction.execute(
                "INSERT INTO clock (one, boot, offset_ms) VALUES (1, ?1, ?2)
                 ON CONFLICT DO UPDATE SET boot = excluded.boot, offset_ms = excluded.offset_ms",
                params![boot, offset],
            )?;
            transaction.commit()?;
            Ok(())
        })
    }

    /// How the clocks stood, if that was in this life of the machine.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn clock(&self, boot: &str) -> Result<Option<SignedDuration>, StoreError> {
        self.with(|c| {
            let mut query = c.prepare("SELECT offset_ms FROM clock WHERE boot = ?1")?;
            let offset: Option<i64> = query.query_row([boot], |row| row.get(0)).optional()?;
            Ok(offset.map(SignedDuration::from_millis))
        })
    }
}
