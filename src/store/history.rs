//! Reservations as history: written when they begin and when they end.

use jiff::Timestamp;
use rusqlite::params;

use super::{Ledger, StoreError, parse};
use crate::reservation::{Ended, Reservation, State};

impl Ledger {
    /// Notes a reservation. Noting it again (an adoption) changes nothing but reopens it.
    ///
    /// # Errors
    /// [`StoreError`]: then nothing may be started for it.
    pub fn note_reservation(&self, r: &Reservation) -> Result<(), StoreError> {
        self.with(|c| {
            c.execute(
                "INSERT INTO reservations (id, user, slot, started, deadline) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (id) DO UPDATE SET ended = NULL, reason = NULL, detail = NULL",
                params![
                    r.id.as_str(),
                    r.user.as_str(),
                    r.slot.to_string(),
                    r.started.to_string(),
                    r.deadline.to_string()
                ],
            )?;
            Ok(())
        })
    }

    /// Notes how a reservation ended.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn note_end(&self, ended: &Ended) -> Result<(), StoreError> {
        self.with(|c| {
            c.execute(
                "UPDATE reservations SET ended = ?2, reason = ?3, detail = ?4, password = NULL WHERE id = ?1",
                params![
                    ended.id.as_str(),
                    ended.at.to_string(),
                    ended.reason.to_string(),
                    ended.detail.as_deref()
                ],
            )?;
            Ok(())
        })
    }

    /// Reservations that were not ended when this was last written: they may still run.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn open_reservations(&self) -> Result<Vec<Reservation>, StoreError> {
        self.with(|c| {
            let mut query = c.prepare(
                "SELECT id, user, slot, started, deadline FROM reservations WHERE ended IS NULL ORDER BY id",
            )?;
            let rows = query
                .query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?]))?
                .collect::<Result<Vec<[String; 5]>, _>>()?;
            rows.iter()
                .map(|[id, user, slot, started, deadline]| {
                    Ok(Reservation {
                        id: parse(id)?,
                        user: parse(user)?,
                        slot: parse(slot)?,
                        started: parse(started)?,
                        deadline: parse(deadline)?,
                        state: State::Active,
                    })
                })
                .collect()
        })
    }

    /// How everybody's last reservation ended.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn last_ends(&self) -> Result<Vec<Ended>, StoreError> {
        self.with(|c| {
            // SQLite: with max(), the bare columns come from the row that has the maximum.
            let mut query = c.prepare(
                "SELECT id, user, slot, max(ended), reason, detail FROM reservations
                 WHERE ended IS NOT NULL GROUP BY user",
            )?;
            let rows = query
                .query_map([], |row| {
                    let texts: [String; 5] =
                        [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
                    Ok((texts, row.get::<_, Option<String>>(5)?))
                })?
                .collect::<Result<Vec<_>, _>>()?;
            rows.into_iter()
                .map(|([id, user, slot, at, reason], detail)| {
                    Ok(Ended {
                        id: parse(&id)?,
                        user: parse(&user)?,
                        slot: parse(&slot)?,
                        at: parse::<Timestamp>(&at)?,
                        reason: parse(&reason)?,
                        detail,
                    })
                })
                .collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reservation::{EndReason, ReservationId};

    #[test]
    fn what_is_open_is_found_and_what_ended_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("l.db")).unwrap();
        let at = |s: i64| Timestamp::from_second(1_800_000_000 + s).unwrap();
        let make = |user: &str, s| Reservation {
            id: ReservationId::new(),
            user: user.parse().unwrap(),
            slot: "gpu1/1".parse().unwrap(),
            started: at(s),
            deadline: at(s + 10),
            state: State::Active,
        };
        let (first, second, other) = (make("ada", 0), make("ada", 100), make("bob", 5));
        for r in [&first, &second, &other] {
            ledger.note_reservation(r).unwrap();
        }
        let end = |r: &Reservation, reason, s| Ended {
            id: r.id.clone(),
            user: r.user.clone(),
            slot: r.slot.clone(),
            at: at(s),
            reason,
            detail: None,
        };
        ledger.note_end(&end(&second, EndReason::Expired, 110)).unwrap();
        ledger.note_end(&end(&first, EndReason::Released, 8)).unwrap();
        assert_eq!(ledger.open_reservations().unwrap(), vec![other]);
        let last = ledger.last_ends().unwrap();
        assert_eq!(last, vec![end(&second, EndReason::Expired, 110)]);
    }
}
