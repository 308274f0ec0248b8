//! Who is signed in on the page, and whose JupyterLab a browser may open: the hashes of cookies' secrets.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};

use super::{Ledger, StoreError, parse};
use crate::reservation::{ReservationId, UserName};

/// Sessions in all, and of one user: the oldest give way.
const MOST: u32 = 20_000;
const MOST_OF_ONE: u32 = 32;
/// Browsers of one session that JupyterLab is open in, one after the other.
const MOST_PASSES: u32 = 8;

/// Somebody who has signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Who.
    pub user: UserName,
    /// How they proved it and what that allows, as `auth` has written it.
    pub identity: String,
    /// Since when.
    pub began: Timestamp,
    /// Whose password opened it, if it was a reservation's: it ends with that password.
    pub lent_by: Option<ReservationId>,
}

/// Whose JupyterLab a cookie opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassRecord {
    /// Whose.
    pub user: UserName,
    /// Of which reservation.
    pub reservation: ReservationId,
    /// Since when the session lasts that it came from.
    pub began: Timestamp,
}

impl Ledger {
    /// Keeps a session under its secret's hash. What began at `too_old` or before is forgotten.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn begin_session(
        &self,
        hash: &str,
        session: &SessionRecord,
        too_old: Timestamp,
    ) -> Result<(), StoreError> {
        self.with(|c| {
            let t = c.transaction()?;
            t.execute("DELETE FROM sessions WHERE began <= ?1", [too_old.as_microsecond()])?;
            make_room(&t, "user = ?1", session.user.as_str(), MOST_OF_ONE)?;
            make_room(&t, "?1 = ?1", "", MOST)?;
            t.execute(
                "INSERT OR REPLACE INTO sessions (hash, user, identity, began, lent_by) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    hash,
                    session.user.as_str(),
                    session.identity,
                    session.began.as_microsecond(),
                    session.lent_by.as_ref().map(ReservationId::as_str)
                ],
            )?;
            Ok(t.commit()?)
        })
    }

    /// Whose session has this hash.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn session(&self, hash: &str) -> Result<Option<SessionRecord>, StoreError> {
        self.with(|c| {
            let mut query =
                c.prepare_cached("SELECT user, identity, began, lent_by FROM sessions WHERE hash = ?1")?;
            let row: Option<(String, String, i64, Option<String>)> = query
                .query_row([hash], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
                .optional()?;
            let Some((user, identity, began, lent_by)) = row else { return Ok(None) };
            let lent_by = lent_by.map(|id| parse(&id)).transpose()?;
            Ok(Some(SessionRecord { user: parse(&user)?, identity, began: moment(began)?, lent_by }))
        })
    }

    /// Ends a session, with what it has opened.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn end_session(&self, hash: &str) -> Result<(), StoreError> {
        self.with(|c| {
            c.execute("DELETE FROM sessions WHERE hash = ?1", [hash])?;
            Ok(())
        })
    }

    /// How many sessions have begun after `too_old`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn count_sessions(&self, too_old: Timestamp) -> Result<usize, StoreError> {
        self.with(|c| {
            let count = "SELECT count(*) FROM sessions WHERE began > ?1";
            let count: i64 = c.query_row(count, [too_old.as_microsecond()], |row| row.get(0))?;
            Ok(usize::try_from(count).unwrap_or_default())
        })
    }

    /// Lets the holder of a secret into a reservation's JupyterLab, for as long as the session lasts. False when that has
    /// ended.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn add_pass(
        &self,
        hash: &str,
        session: &str,
        reservation: &ReservationId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.with(|c| {
            let t = c.transaction()?;
            t.execute(
                "DELETE FROM passes WHERE session = ?1 AND (reservation <> ?2 OR hash NOT IN
                 (SELECT hash FROM passes WHERE session = ?1 ORDER BY made DESC LIMIT ?3))",
                params![session, reservation.as_str(), MOST_PASSES - 1],
            )?;
            let added = t.execute(
                "INSERT INTO passes (hash, session, reservation, made)
                 SELECT ?1, hash, ?3, ?4 FROM sessions WHERE hash = ?2",
                params![hash, session, reservation.as_str(), now.as_microsecond()],
            )?;
            t.commit()?;
            Ok(added > 0)
        })
    }

    /// What the pass with this hash opens.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn pass(&self, hash: &str) -> Result<Option<PassRecord>, StoreError> {
        self.with(|c| {
            let mut query = c.prepare_cached(
                "SELECT s.user, p.reservation, s.began FROM passes p JOIN sessions s ON s.hash = p.session
                 WHERE p.hash = ?1",
            )?;
            let row: Option<(String, String, i64)> =
                query.query_row([hash], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
            let Some((user, reservation, began)) = row else { return Ok(None) };
            let (user, reservation) = (parse(&user)?, parse(&reservation)?);
            Ok(Some(PassRecord { user, reservation, began: moment(began)? }))
        })
    }
}

fn moment(microsecond: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(microsecond).map_err(|e| StoreError::Odd(e.to_string()))
}

/// Of those that fit, all but the `most - 1` youngest go.
fn make_room(t: &Transaction<'_>, which: &str, word: &str, most: u32) -> Result<(), StoreError> {
    let old = format!(
        "DELETE FROM sessions WHERE hash IN
         (SELECT hash FROM sessions WHERE {which} ORDER BY began DESC, hash LIMIT -1 OFFSET ?2)"
    );
    t.execute(&old, params![word, most - 1])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + s).unwrap()
    }

    fn open() -> (tempfile::TempDir, Ledger, UserName) {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("l.db")).unwrap();
        let ada: UserName = "ada".parse().unwrap();
        ledger.add_user(&ada, None, at(0)).unwrap();
        (folder, ledger, ada)
    }

    fn session(user: &UserName, began: i64) -> SessionRecord {
        SessionRecord { user: user.clone(), identity: "{}".into(), began: at(began), lent_by: None }
    }

    #[test]
    fn a_session_ends_by_itself_by_its_owner_and_by_what_opened_it() {
        let (_folder, ledger, ada) = open();
        let lent_by = ReservationId::new();
        let lent = SessionRecord { lent_by: Some(lent_by.clone()), ..session(&ada, 3) };
        for (hash, one) in [("a", session(&ada, 1)), ("b", session(&ada, 2)), ("c", lent.clone())] {
            ledger.begin_session(hash, &one, at(-10)).unwrap();
        }
        assert_eq!(ledger.session("c").unwrap(), Some(lent));
        ledger.set_reservation_password(&lent_by, "new").unwrap();
        assert_eq!(ledger.session("c").unwrap(), None, "its password is another now");
        ledger.end_session("a").unwrap();
        assert_eq!((ledger.session("a").unwrap(), ledger.count_sessions(at(-10)).unwrap()), (None, 1));
        ledger.begin_session("d", &session(&ada, 9), at(2)).unwrap();
        assert_eq!(ledger.session("b").unwrap(), None, "too old");
        ledger.set_password(&ada, "hash").unwrap();
        assert_eq!(ledger.session("d").unwrap(), None, "another password");
        ledger.begin_session("e", &session(&ada, 10), at(2)).unwrap();
        ledger.set_disabled(&ada, true).unwrap();
        ledger.set_disabled(&ada, false).unwrap();
        assert_eq!(ledger.session("e").unwrap(), None, "locked out in the meantime");
        ledger.begin_session("f", &session(&ada, 11), at(2)).unwrap();
        ledger.remove_user(&ada).unwrap();
        assert_eq!(ledger.session("f").unwrap(), None);
    }

    #[test]
    fn the_oldest_of_one_user_gives_way_to_nobody_else() {
        let (_folder, ledger, ada) = open();
        let bob: UserName = "bob".parse().unwrap();
        ledger.add_user(&bob, None, at(0)).unwrap();
        ledger.begin_session("bob", &session(&bob, 0), at(-10)).unwrap();
        for n in 0..=MOST_OF_ONE {
            ledger.begin_session(&format!("ada{n}"), &session(&ada, i64::from(n)), at(-10)).unwrap();
        }
        let is_there = |hash: &str| ledger.session(hash).unwrap().is_some();
        assert!(!is_there("ada0") && is_there("ada1") && is_there("ada32") && is_there("bob"));
    }

    #[test]
    fn a_pass_ends_with_its_session_and_the_next_reservation() {
        let (_folder, ledger, ada) = open();
        ledger.begin_session("s", &session(&ada, 1), at(-10)).unwrap();
        let (one, two) = (ReservationId::new(), ReservationId::new());
        assert!(ledger.add_pass("p", "s", &one, at(2)).unwrap());
        assert!(!ledger.add_pass("q", "nobody", &one, at(2)).unwrap());
        let wanted = PassRecord { user: ada.clone(), reservation: one.clone(), began: at(1) };
        assert_eq!(ledger.pass("p").unwrap(), Some(wanted));
        for n in 0..20 {
            assert!(ledger.add_pass(&format!("p{n}"), "s", &one, at(3 + n)).unwrap());
        }
        assert!(ledger.pass("p").unwrap().is_none() && ledger.pass("p19").unwrap().is_some());
        assert!(ledger.add_pass("r", "s", &two, at(40)).unwrap());
        assert_eq!(ledger.pass("p19").unwrap(), None, "of the reservation before");
        ledger.end_session("s").unwrap();
        assert_eq!(ledger.pass("r").unwrap(), None);
    }
}
