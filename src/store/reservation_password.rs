//! The reservation's own password: its hash, for as long as the reservation lives.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::{Ledger, StoreError, parse};
use crate::reservation::{ReservationId, UserName};

impl Ledger {
    /// From now on this hash opens; the one before does not, and what it has opened on the page is closed but for the
    /// session `spared`, from which the new one is made. False, and nothing is done, when that has ended already: somebody
    /// else has made a new password just before. A reservation that has ended takes none either.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn set_reservation_password(
        &self,
        id: &ReservationId,
        hash: &str,
        spared: Option<&str>,
    ) -> Result<bool, StoreError> {
        self.with(|c| {
            let t = c.transaction()?;
            let set = "UPDATE reservations SET password = ?2 WHERE id = ?1 AND ended IS NULL
                       AND (?3 IS NULL OR EXISTS (SELECT 1 FROM sessions WHERE hash = ?3 AND lent_by = ?1))";
            let set = t.execute(set, params![id.as_str(), hash, spared])?;
            if set > 0 {
                let close = "DELETE FROM sessions WHERE lent_by = ?1 AND hash IS NOT ?2";
                t.execute(close, params![id.as_str(), spared])?;
            }
            t.commit()?;
            Ok(set > 0)
        })
    }

    /// Nothing opens any more.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn forget_reservation_password(&self, id: &ReservationId) -> Result<(), StoreError> {
        self.with(|c| {
            c.execute("UPDATE reservations SET password = NULL WHERE id = ?1", [id.as_str()])?;
            Ok(())
        })
    }

    /// The hash of one reservation, if it has one.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn reservation_password(&self, id: &ReservationId) -> Result<Option<String>, StoreError> {
        self.with(|c| {
            let mut query = c.prepare("SELECT password FROM reservations WHERE id = ?1 AND ended IS NULL")?;
            Ok(query.query_row([id.as_str()], |row| row.get(0)).optional()?.flatten())
        })
    }

    /// The hash that opens for this user now, and of which reservation.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn live_password(
        &self,
        user: &UserName,
        now: Timestamp,
    ) -> Result<Option<(ReservationId, String)>, StoreError> {
        self.with(|c| {
            let mut query = c.prepare(
                "SELECT id, password, deadline FROM reservations
                 WHERE user = ?1 AND ended IS NULL AND password IS NOT NULL ORDER BY id DESC LIMIT 1",
            )?;
            let row: Option<(String, String, String)> = query
                .query_row([user.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()?;
            let Some((id, hash, deadline)) = row else { return Ok(None) };
            if parse::<Timestamp>(&deadline)? <= now {
                return Ok(None);
            }
            Ok(Some((parse(&id)?, hash)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reservation::{EndReason, Ended, Reservation, State};

    #[test]
    fn a_password_lives_as_long_as_its_reservation() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("l.db")).unwrap();
        let at = |s: i64| Timestamp::from_second(1_800_000_000 + s).unwrap();
        let ada: UserName = "ada".parse().unwrap();
        let reservation = Reservation {
            id: ReservationId::new(),
            user: ada.clone(),
            slot: "gpu1/1".parse().unwrap(),
            started: at(0),
            deadline: at(100),
            state: State::Active,
        };
        let id = &reservation.id;
        ledger.note_reservation(&reservation).unwrap();
        assert_eq!(ledger.live_password(&ada, at(1)).unwrap(), None, "none until one is made");
        assert!(ledger.set_reservation_password(id, "one", None).unwrap());
        assert!(ledger.set_reservation_password(id, "two", None).unwrap());
        assert_eq!(ledger.live_password(&ada, at(1)).unwrap(), Some((id.clone(), "two".to_owned())));
        assert_eq!(ledger.reservation_password(id).unwrap().as_deref(), Some("two"));
        assert_eq!(ledger.live_password(&"bob".parse().unwrap(), at(1)).unwrap(), None);
        assert_eq!(ledger.live_password(&ada, at(100)).unwrap(), None, "not beyond the deadline");
        let ended = Ended {
            id: id.clone(),
            user: ada.clone(),
            slot: reservation.slot.clone(),
            at: at(2),
            reason: EndReason::Released,
            detail: None,
        };
        ledger.note_end(&ended).unwrap();
        assert_eq!(ledger.live_password(&ada, at(3)).unwrap(), None);
        assert!(!ledger.set_reservation_password(id, "three", None).unwrap());
        ledger.note_reservation(&reservation).unwrap();
        assert_eq!(ledger.live_password(&ada, at(3)).unwrap(), None, "what has ended took none");
    }
}
