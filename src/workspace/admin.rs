//! What administrators do to workspaces.

use jiff::Timestamp;

use super::Workspaces;
use crate::bridge;
use crate::error_chain::in_full;
use crate::reservation::{EndReason, MachineName, Reservation, ReservationId, State};
use crate::store::StoreError;

impl Workspaces {
    /// Ends a reservation, whoever holds it. `None` when it is not live.
    #[must_use]
    pub fn end_by_admin(&self, id: &ReservationId) -> Option<Reservation> {
        self.inner.end(id, EndReason::Admin)
    }

    /// Stops or resumes new reservations on a machine; kept across restarts. False when there is none.
    ///
    /// # Errors
    /// [`StoreError`]: then nothing has changed.
    pub async fn set_draining(&self, machine: &MachineName, draining: bool) -> Result<bool, StoreError> {
        if !self.inner.config.machines.iter().any(|m| m.name == *machine) {
            return Ok(false);
        }
        let name = machine.clone();
        self.inner.ledger.run(move |l| l.set_draining(&name, draining, Timestamp::now())).await?;
        Ok(self.inner.desk.change(|book| book.set_draining(machine, draining)))
    }

    /// Says something on every terminal of these reservations; returns in how many it was said.
    pub async fn say(&self, to: &[Reservation], words: &str) -> usize {
        let active = to.iter().filter(|reservation| reservation.state == State::Active);
        let each = active.map(|reservation| async move {
            let agent = self.container(reservation.clone()).agent;
            let said = bridge::say(&agent, words).await;
            said.inspect_err(|e| tracing::warn!(slot = %reservation.slot, "message: {}", in_full(e))).is_ok()
        });
        futures_util::future::join_all(each).await.into_iter().filter(|said| *said).count()
    }
}
