//! Signing in to JupyterLab's origin: a ticket that is good once, for a moment and in one browser, then a cookie of that
//! origin's own.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::error_chain::in_full;
use crate::reservation::ReservationId;
use crate::store::{Ledger, PassRecord};
use crate::web::session::{Key, Secret, hex};

/// From one click to the browser's next request.
const TICKET_LIFE: Duration = Duration::from_secs(30);
/// Tickets that wait, in all and for one reservation.
const MOST_TICKETS: usize = 1024;
const MOST_OF_ONE: usize = 8;

/// What a ticket is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ticket {
    /// Whose session it comes from.
    pub(super) session: Key,
    pub(super) reservation: ReservationId,
    /// The hash of the secret that the browser has at JupyterLab's origin: who is sent somebody else's ticket cannot be
    /// led into somebody else's JupyterLab.
    pub(super) browser: String,
}

/// Tickets and what they have become: passes, which are the ledger's.
#[derive(Debug)]
pub(in crate::web) struct Tickets {
    ledger: Ledger,
    waiting: Mutex<HashMap<Key, (Ticket, Instant)>>,
}

impl Tickets {
    pub(in crate::web) fn new(ledger: Ledger) -> Self {
        Self { ledger, waiting: Mutex::default() }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Key, (Ticket, Instant)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn issue(&self, ticket: Ticket) -> Option<Secret> {
        let secret = Secret::new()?;
        let mut waiting = self.waiting();
        waiting.retain(|_, (_, since)| since.elapsed() < TICKET_LIFE);
        // However many sessions its holder has; the oldest gives way, which nobody redeems any more.
        let of_one = waiting.iter().filter(|(_, (other, _))| other.reservation == ticket.reservation);
        if of_one.clone().count() >= MOST_OF_ONE {
            let oldest = of_one.min_by_key(|(_, (_, since))| *since).map(|(key, _)| *key);
            oldest.and_then(|key| waiting.remove(&key));
        }
        if waiting.len() >= MOST_TICKETS {
            return None;
        }
        waiting.insert(secret.key(), (ticket, Instant::now()));
        Some(secret)
    }

    /// A cookie for a ticket, which is used up.
    pub(super) async fn redeem(&self, ticket: &Secret, browser: &Secret) -> Option<Secret> {
        let (ticket, since) = self.waiting().remove(&ticket.key())?;
        if since.elapsed() >= TICKET_LIFE || ticket.browser != hex(browser.key()) {
            return None;
        }
        let secret = Secret::new()?;
        let (pass, session) = (hex(secret.key()), hex(ticket.session));
        let added =
            self.ledger.run(move |l| l.add_pass(&pass, &session, &ticket.reservation, Timestamp::now()));
        let added = added.await.inspect_err(|e| tracing::error!("no pass for JupyterLab: {}", in_full(e)));
        added.ok()?.then_some(secret)
    }

    /// What a cookie opens, of a session that began after `too_old`.
    pub(super) async fn pass(&self, cookie: &Secret, too_old: Timestamp) -> Option<PassRecord> {
        let hash = hex(cookie.key());
        let found = self.ledger.run(move |l| l.pass(&hash)).await;
        let found = found.inspect_err(|e| tracing::error!("a pass for JupyterLab: {}", in_full(e)));
        found.ok()?.filter(|pass| pass.began > too_old)
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::store::{Checked, SessionRecord};

    #[tokio::test]
    async fn a_ticket_is_good_once_for_a_moment_and_in_one_browser() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("l.db")).unwrap();
        let (session, browser) = (Secret::new().unwrap(), Secret::new().unwrap());
        let (user, began) = ("ada".parse().unwrap(), Timestamp::now());
        ledger.add_user(&user, None, began).unwrap();
        let record = SessionRecord { user, identity: String::new(), began, lent_by: None };
        let past = began - SignedDuration::from_hours(1);
        assert!(ledger.begin_session(&hex(session.key()), &record, &Checked::Elsewhere, past).unwrap());
        let tickets = Tickets::new(ledger);
        let reservation = ReservationId::new();
        let ticket = Ticket { session: session.key(), reservation, browser: hex(browser.key()) };

        let one = tickets.issue(ticket.clone()).unwrap();
        let cookie = tickets.redeem(&one, &browser).await.unwrap();
        assert_eq!(tickets.pass(&cookie, past).await.unwrap().reservation, ticket.reservation);
        assert!(tickets.redeem(&one, &browser).await.is_none(), "twice");
        assert!(tickets.pass(&one, past).await.is_none(), "a ticket is no cookie");
        assert!(tickets.pass(&cookie, began).await.is_none(), "not longer than the session");
        let stolen = tickets.issue(ticket.clone()).unwrap();
        assert!(tickets.redeem(&stolen, &Secret::new().unwrap()).await.is_none(), "another browser");
        assert!(tickets.redeem(&stolen, &browser).await.is_none(), "used up by the try");
        let late = tickets.issue(ticket.clone()).unwrap();
        tokio::time::pause();
        tokio::time::advance(TICKET_LIFE).await;
        assert!(tickets.redeem(&late, &browser).await.is_none());
        let orphan = tickets.issue(Ticket { session: late.key(), ..ticket }).unwrap();
        assert!(tickets.redeem(&orphan, &browser).await.is_none(), "its session has ended");
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_tickets_for_one_reservation_the_oldest_gives_way() {
        let folder = tempfile::tempdir().unwrap();
        let tickets = Tickets::new(Ledger::open(&folder.path().join("l.db")).unwrap());
        // Each from a session of its own.
        let ticket = |reservation: &ReservationId| Ticket {
            session: Secret::new().unwrap().key(),
            reservation: reservation.clone(),
            browser: String::new(),
        };
        let [mine, other] = [(); 2].map(|()| ReservationId::new());
        let others = tickets.issue(ticket(&other)).unwrap();
        let mut issued = Vec::new();
        for _ in 0..=MOST_OF_ONE {
            issued.push(tickets.issue(ticket(&mine)).unwrap());
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        let waits = |ticket: &Secret| tickets.waiting().contains_key(&ticket.key());
        assert!(!waits(&issued[0]) && issued[1..].iter().all(waits) && waits(&others));
    }
}
