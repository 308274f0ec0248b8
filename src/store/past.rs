//! History as administrators read it: who had what, when and why it ended.

use jiff::Timestamp;
use rusqlite::params;

use super::{Ledger, StoreError, parse};
use crate::reservation::{EndReason, ReservationId, SlotId, UserName};

/// One reservation of the past, or of now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// Its id.
    pub id: ReservationId,
    /// Whose it was.
    pub user: UserName,
    /// Which slot.
    pub slot: SlotId,
    /// When it began.
    pub started: Timestamp,
    /// When it ended and why; `None` while it runs.
    pub ended: Option<(Timestamp, EndReason)>,
    /// Why, in more words (from an engine or the system: escape before showing).
    pub detail: Option<String>,
}

impl Ledger {
    /// Reservations that ran at or after `since`, newest first, at most so many.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn history(&self, since: Timestamp, most: u32) -> Result<Vec<Past>, StoreError> {
        self.with(|c| {
            // Ids sort by time.
            let mut query = c.prepare(
                "SELECT id, user, slot, started, ended, reason, detail FROM reservations
                 WHERE ended IS NULL OR ended >= ?1 ORDER BY id DESC LIMIT ?2",
            )?;
            let rows = query
                .query_map(params![since.to_string(), most], |row| {
                    let texts: [String; 4] = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?];
                    let rest: [Option<String>; 3] = [row.get(4)?, row.get(5)?, row.get(6)?];
                    Ok((texts, rest))
                })?
                .collect::<Result<Vec<_>, _>>()?;
            rows.into_iter()
                .map(|([id, user, slot, started], [ended, reason, detail])| {
                    let ended = match (ended, reason) {
                        (Some(ended), Some(reason)) => Some((parse(&ended)?, parse(&reason)?)),
                        _ => None,
                    };
                    Ok(Past {
                        id: parse(&id)?,
                        user: parse(&user)?,
                        slot: parse(&slot)?,
                        started: parse(&started)?,
                        ended,
                        detail,
                    })
                })
                .collect()
        })
    }

    /// How many reservations have ended so, since the ledger began.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn ends_by_reason(&self) -> Result<Vec<(EndReason, u64)>, StoreError> {
        self.with(|c| {
            let mut query = c.prepare(
                "SELECT reason, count(*) FROM reservations WHERE reason IS NOT NULL GROUP BY reason ORDER BY reason",
            )?;
            let rows = query
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<Vec<(String, i64)>, _>>()?;
            let count = |count| u64::try_from(count).unwrap_or_default();
            rows.into_iter().map(|(reason, many)| Ok((parse(&reason)?, count(many)))).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reservation::{Ended, Reservation, State};

    #[test]
    fn the_newest_come_first_and_the_old_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("l.db")).unwrap();
        let at = |s: i64| Timestamp::from_second(1_800_000_000 + s).unwrap();
        let ids: Vec<ReservationId> =
            ["01J00000000000000000000001", "01J00000000000000000000002", "01J00000000000000000000003"]
                .iter()
                .map(|id| id.parse().unwrap())
                .collect();
        for (index, id) in ids.iter().enumerate() {
            let started = at(100 * i64::try_from(index).unwrap());
            let r = Reservation {
                id: id.clone(),
                user: "ada".parse().unwrap(),
                slot: "gpu1/1".parse().unwrap(),
                started,
                deadline: started,
                state: State::Active,
            };
            ledger.note_reservation(&r).unwrap();
            if index < 2 {
                let reason = EndReason::Released;
                let ended = Ended { id: r.id, user: r.user, slot: r.slot, at: started, reason, detail: None };
                ledger.note_end(&ended).unwrap();
            }
        }
        let found = ledger.history(at(50), 10).unwrap();
        assert_eq!(
            found.iter().map(|past| past.id.clone()).collect::<Vec<_>>(),
            [ids[2].clone(), ids[1].clone()]
        );
        assert_eq!(found[1].ended, Some((at(100), EndReason::Released)));
        assert_eq!(ledger.history(at(0), 1).unwrap().len(), 1);
        assert_eq!(ledger.ends_by_reason().unwrap(), [(EndReason::Released, 2)]);
    }
}
