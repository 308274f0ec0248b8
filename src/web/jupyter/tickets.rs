//! Signing in to JupyterLab's origin: a ticket that is good once and for a moment, then a cookie of that origin's own.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::reservation::{ReservationId, UserName};
use crate::web::session::{Key, Secret};

/// From one click to the browser's next request.
const TICKET_LIFE: Duration = Duration::from_secs(30);
/// Tickets that wait, and cookies: a browser of everybody's for every reservation.
const MOST_TICKETS: usize = 1024;
const MOST_PASSES: usize = 20_000;

/// Whose JupyterLab a cookie opens: it ends with the reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::web) struct Pass {
    pub(super) user: UserName,
    pub(super) reservation: ReservationId,
    /// It ends with the session that it came from too.
    pub(super) until: Instant,
}

/// Tickets and what they have become.
#[derive(Debug, Default)]
pub(in crate::web) struct Tickets {
    waiting: Mutex<HashMap<Key, (Pass, Instant)>>,
    passes: Mutex<HashMap<Key, Pass>>,
}

impl Tickets {
    fn waiting(&self) -> MutexGuard<'_, HashMap<Key, (Pass, Instant)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn passes(&self) -> MutexGuard<'_, HashMap<Key, Pass>> {
        self.passes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn issue(&self, pass: Pass) -> Option<Secret> {
        let secret = Secret::new()?;
        let mut waiting = self.waiting();
        waiting.retain(|_, (_, since)| since.elapsed() < TICKET_LIFE);
        if waiting.len() >= MOST_TICKETS {
            return None;
        }
        waiting.insert(secret.key(), (pass, Instant::now()));
        Some(secret)
    }

    /// A cookie for a ticket, which is used up.
    pub(super) fn redeem(&self, ticket: &Secret) -> Option<Secret> {
        let (pass, since) = self.waiting().remove(&ticket.key())?;
        if since.elapsed() >= TICKET_LIFE {
            return None;
        }
        let secret = Secret::new()?;
        let mut passes = self.passes();
        if passes.len() >= MOST_PASSES {
            passes.retain(|_, pass| pass.until > Instant::now());
        }
        if passes.len() >= MOST_PASSES {
            return None;
        }
        // The passes of what this user had before open nothing any more.
        passes.retain(|_, other| other.user != pass.user || other.reservation == pass.reservation);
        passes.insert(secret.key(), pass);
        Some(secret)
    }

    pub(super) fn pass(&self, cookie: &Secret) -> Option<Pass> {
        self.passes().get(&cookie.key()).filter(|pass| pass.until > Instant::now()).cloned()
    }

    /// They have signed out.
    pub(in crate::web) fn forget(&self, user: &UserName) {
        self.passes().retain(|_, pass| pass.user != *user);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_ticket_is_good_once_and_for_a_moment() {
        let tickets = Tickets::default();
        let until = Instant::now() + Duration::from_secs(3600);
        let pass = Pass { user: "ada".parse().unwrap(), reservation: ReservationId::new(), until };
        let ticket = tickets.issue(pass.clone()).unwrap();
        let cookie = tickets.redeem(&ticket).unwrap();
        assert_eq!(tickets.pass(&cookie), Some(pass.clone()));
        assert!(tickets.redeem(&ticket).is_none(), "twice");
        assert!(tickets.pass(&ticket).is_none(), "a ticket is no cookie");
        let late = tickets.issue(pass).unwrap();
        tokio::time::advance(TICKET_LIFE).await;
        assert!(tickets.redeem(&late).is_none());
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert!(tickets.pass(&cookie).is_none(), "not longer than the session");
    }
}
