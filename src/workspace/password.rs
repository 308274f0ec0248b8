//! The reservation's own password: into the ledger, then to the agent, whose JupyterLab it opens.

use super::{Container, Inner, Workspaces};
use crate::agent::protocol::RefusedKind;
use crate::auth::ReservationPassword;
use crate::bridge::{self, AgentAddress, BridgeError};
use crate::error_chain::in_full;
use crate::reservation::{Refusal, Reservation, ReservationId, Target, UserName};

/// Rounds in which somebody else's newer password is told too.
const ROUNDS: usize = 4;

impl Workspaces {
    /// Makes a new password for the user's reservation; the one before opens nothing any more.
    ///
    /// # Errors
    /// [`Refusal::NothingReserved`], a start that fails, or a ledger that does.
    pub async fn renew_password(
        &self,
        user: &UserName,
    ) -> Result<(Reservation, ReservationPassword), Refusal> {
        self.renew_password_from(user, None).await?.ok_or(Refusal::NothingReserved)
    }

    /// The same from a session of the page that the password before has opened, by its hash in the ledger: it goes on, as
    /// the only one. `None` when it has ended meanwhile, or the reservation has.
    ///
    /// # Errors
    /// As [`Workspaces::renew_password`].
    pub async fn renew_password_from(
        &self,
        user: &UserName,
        session: Option<String>,
    ) -> Result<Option<(Reservation, ReservationPassword)>, Refusal> {
        let lease = self.lease(user, &Target::Any)?.ok_or(Refusal::NothingReserved)?;
        // Else the start that is under way might set the password after us.
        let container = lease.ready().await?;
        let password = make().ok_or_else(no_randomness)?;
        // Hashing is slow by design: one at a time for each, also where the one who asked has gone.
        let id = container.reservation.id.clone();
        let turn = self.inner.renewals.take(id.clone()).ok_or(Refusal::TooMuchAtOnce)?;
        let (inner, own) = (self.inner.clone(), password.clone());
        let set = self.inner.kept.spawn(async move {
            let _turn = turn;
            inner.set_password(&id, &own, session).await
        });
        if set.await.map_err(|e| Refusal::LedgerFailed { detail: e.to_string() })??.is_none() {
            return Ok(None);
        }
        self.tell_password(&container).await;
        Ok(Some((container.reservation, password)))
    }

    /// Has the reservation a password?
    pub async fn has_password(&self, id: &ReservationId) -> bool {
        self.inner.password_hash(id).await.is_some()
    }

    /// Tells the agent what opens JupyterLab. What fails here is told again at the next watch.
    pub async fn tell_password(&self, container: &Container) {
        let id = &container.reservation.id;
        let mut told = None;
        for _ in 0..ROUNDS {
            let hash = self.inner.password_hash(id).await;
            let Some(hash) = hash.filter(|hash| Some(hash) != told.as_ref()) else { return };
            if let Err(e) = tell(&container.agent, hash.clone()).await {
                tracing::warn!(reservation = %id, "JupyterLab's password was not told: {}", in_full(&e));
                return;
            }
            told = Some(hash);
        }
    }
}

async fn tell(agent: &AgentAddress, hash: String) -> Result<(), BridgeError> {
    match bridge::set_password(agent, hash).await {
        // An agent from before there was such a password: there is no JupyterLab of ours either.
        Err(BridgeError::Refused { kind: RefusedKind::Malformed, .. }) => Ok(()),
        other => other,
    }
}

/// A fresh password, if the system can make one.
pub(super) fn make() -> Option<ReservationPassword> {
    ReservationPassword::generate().inspect_err(|e| tracing::error!("no reservation password: {e}")).ok()
}

fn no_randomness() -> Refusal {
    Refusal::LedgerFailed { detail: "no randomness for a password".into() }
}

impl Inner {
    /// Hashes it and keeps the hash, if the reservation takes it, and spares the session that asks.
    pub(super) async fn set_password(
        &self,
        id: &ReservationId,
        password: &ReservationPassword,
        spared: Option<String>,
    ) -> Result<Option<String>, Refusal> {
        let failed = |detail: String| Refusal::LedgerFailed { detail };
        let (password, id) = (password.clone(), id.clone());
        let turn = self.hashing.clone().acquire_owned().await.map_err(|e| failed(e.to_string()))?;
        let hashed = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            password.hash()
        });
        let hashed = hashed.await;
        let hash = hashed.map_err(|e| failed(e.to_string()))?.map_err(|e| failed(e.to_string()))?;
        let kept = hash.clone();
        let set = self.ledger.run(move |l| l.set_reservation_password(&id, &kept, spared.as_deref())).await;
        Ok(set.map_err(|e| failed(in_full(&e)))?.then_some(hash))
    }

    async fn password_hash(&self, id: &ReservationId) -> Option<String> {
        let own = id.clone();
        let read = self.ledger.run(move |l| l.reservation_password(&own)).await;
        read.inspect_err(|e| tracing::warn!(reservation = %id, "its password: {}", in_full(e))).ok().flatten()
    }

    /// The reservation is ending: its password opens nothing from now on.
    pub(super) async fn forget_password(&self, id: &ReservationId) {
        let own = id.clone();
        if let Err(e) = self.ledger.run(move |l| l.forget_reservation_password(&own)).await {
            tracing::error!(reservation = %id, "its password stays until it has ended: {}", in_full(&e));
        }
    }
}
