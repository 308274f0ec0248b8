//! Who is signed in on the page, and whose JupyterLab a browser may open: the hashes of cookies' secrets.

use std::fmt;

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

/// What a credential was compared with when it was right. It must still be so when a session begins by it: a password
/// that is changed in between ends what it has opened, and this would come after the end.
#[derive(Clone, PartialEq, Eq)]
pub enum Checked {
    /// With nothing of the ledger's: a key, the tailnet's word.
    Elsewhere,
    /// With the hash of the account's own password; with none it was the directory's.
    Account(Option<String>),
    /// With the hash of a reservation's password.
    Reservation(ReservationId, String),
}

impl Checked {
    /// Whose password it was, if it was a reservation's.
    #[must_use]
    pub fn lent_by(&self) -> Option<&ReservationId> {
        match self {
            Self::Reservation(id, _) => Some(id),
            Self::Elsewhere | Self::Account(_) => None,
        }
    }

    fn still_holds(&self, t: &Transaction<'_>, user: &UserName) -> Result<bool, StoreError> {
        let (query, word, wanted) = match self {
            Self::Elsewhere => return Ok(true),
            Self::Account(hash) => {
                ("SELECT password IS ?2 FROM users WHERE name = ?1", user.as_str(), hash.as_deref())
            }
            Self::Reservation(id, hash) => (
                "SELECT password IS ?2 FROM reservations WHERE id = ?1 AND ended IS NULL",
                id.as_str(),
                Some(hash.as_str()),
            ),
        };
        Ok(t.query_row(query, params![word, wanted], |row| row.get(0)).optional()?.unwrap_or(false))
    }
}

impl fmt::Debug for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Checked(…)")
    }
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
    /// Keeps a session under its secret's hash. What began at `too_old` or before is forgotten. False, and nothing is done,
    /// when what opened it opens no more.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn begin_session(
        &self,
        hash: &str,
        session: &SessionRecord,
        checked: &Checked,
        too_old: Timestamp,
    ) -> Result<bool, StoreError> {
        self.with(|c| {
            let t = c.transaction()?;
            // First what writes: from then on nobody else changes what is compared.
            t.execute("DELETE FROM sessions WHERE began <= ?1", [too_old.as_microsecond()])?;
            if !checked.still_holds(&t, &session.user)? {
                return Ok(false);
            }
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
            t.commit()?;
            Ok(true)
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
    use crate::reservation::{Reservation, State};

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

    fn reservation(user: &UserName, id: &ReservationId) -> Reservation {
        let (id, user, slot) = (id.clone(), user.clone(), "gpu1/1".parse().unwrap());
        Reservation { id, user, slot, started: at(0), deadline: at(100), state: State::Active }
    }

    fn begin(ledger: &Ledger, hash: &str, session: &SessionRecord, too_old: Timestamp) {
        assert!(ledger.begin_session(hash, session, &Checked::Elsewhere, too_old).unwrap());
    }

    #[test]
    fn a_session_ends_by_itself_by_its_owner_and_by_what_opened_it() {
        let (_folder, ledger, ada) = open();
        let lent_by = ReservationId::new();
        let lent = SessionRecord { lent_by: Some(lent_by.clone()), ..session(&ada, 3) };
        for (hash, one) in [("a", session(&ada, 1)), ("b", session(&ada, 2)), ("c", lent.clone())] {
            begin(&ledger, hash, &one, at(-10));
        }
        assert_eq!(ledger.session("c").unwrap(), Some(lent));
        ledger.note_reservation(&reservation(&ada, &lent_by)).unwrap();
        assert!(ledger.set_reservation_password(&lent_by, "new", None).unwrap());
        assert_eq!(ledger.session("c").unwrap(), None, "its password is another now");
        ledger.end_session("a").unwrap();
        assert_eq!((ledger.session("a").unwrap(), ledger.count_sessions(at(-10)).unwrap()), (None, 1));
        begin(&ledger, "d", &session(&ada, 9), at(2));
        assert_eq!(ledger.session("b").unwrap(), None, "too old");
        ledger.set_password(&ada, "hash").unwrap();
        assert_eq!(ledger.session("d").unwrap(), None, "another password");
        begin(&ledger, "e", &session(&ada, 10), at(2));
        ledger.set_disabled(&ada, true).unwrap();
        ledger.set_disabled(&ada, false).unwrap();
        assert_eq!(ledger.session("e").unwrap(), None, "locked out in the meantime");
        begin(&ledger, "f", &session(&ada, 11), at(2));
        ledger.remove_user(&ada).unwrap();
        assert_eq!(ledger.session("f").unwrap(), None);
    }

    /// Two by the same password make a new one at once: the first stays in, the second is not let undo it.
    #[test]
    fn who_makes_a_new_password_is_spared_if_nobody_was_before_them() {
        let (_folder, ledger, ada) = open();
        let [mine, other] = [(); 2].map(|()| ReservationId::new());
        ledger.note_reservation(&reservation(&ada, &mine)).unwrap();
        assert!(ledger.set_reservation_password(&mine, "old", None).unwrap());
        for (hash, lender) in [("a", &mine), ("b", &mine), ("c", &other)] {
            let lent = SessionRecord { lent_by: Some(lender.clone()), ..session(&ada, 3) };
            begin(&ledger, hash, &lent, at(-10));
        }
        let is_there = |hash: &str| ledger.session(hash).unwrap().is_some();
        let password = || ledger.reservation_password(&mine).unwrap();
        assert!(
            !ledger.set_reservation_password(&mine, "theirs", Some("c")).unwrap(),
            "of another reservation"
        );
        assert!(is_there("a") && is_there("b") && password().as_deref() == Some("old"), "nothing was done");
        assert!(ledger.set_reservation_password(&mine, "first", Some("a")).unwrap());
        assert!(!ledger.set_reservation_password(&mine, "second", Some("b")).unwrap());
        assert!(is_there("a") && !is_there("b") && password().as_deref() == Some("first"));
    }

    #[test]
    fn no_session_begins_by_what_has_been_changed_since_it_was_checked() {
        let (_folder, ledger, ada) = open();
        let id = ReservationId::new();
        ledger.note_reservation(&reservation(&ada, &id)).unwrap();
        ledger.set_reservation_password(&id, "lent", None).unwrap();
        let begins = |checked: &Checked| {
            let lent_by = checked.lent_by().cloned();
            let begun =
                ledger.begin_session("s", &SessionRecord { lent_by, ..session(&ada, 1) }, checked, at(-10));
            assert_eq!(begun.unwrap(), ledger.session("s").unwrap().is_some());
            let begun = ledger.session("s").unwrap().is_some();
            ledger.end_session("s").unwrap();
            begun
        };
        let account = |hash: Option<&str>| Checked::Account(hash.map(str::to_owned));
        let lent = |hash: &str| Checked::Reservation(id.clone(), hash.to_owned());
        assert!(begins(&account(None)) && !begins(&account(Some("own"))), "ada has none");
        ledger.set_password(&ada, "own").unwrap();
        assert!(
            !begins(&account(None)) && begins(&account(Some("own"))) && !begins(&account(Some("before")))
        );
        assert!(begins(&lent("lent")) && !begins(&lent("before")));
        ledger.forget_reservation_password(&id).unwrap();
        assert!(!begins(&lent("lent")) && begins(&Checked::Elsewhere));
    }

    #[test]
    fn the_oldest_of_one_user_gives_way_to_nobody_else() {
        let (_folder, ledger, ada) = open();
        let bob: UserName = "bob".parse().unwrap();
        ledger.add_user(&bob, None, at(0)).unwrap();
        begin(&ledger, "bob", &session(&bob, 0), at(-10));
        for n in 0..=MOST_OF_ONE {
            begin(&ledger, &format!("ada{n}"), &session(&ada, i64::from(n)), at(-10));
        }
        let is_there = |hash: &str| ledger.session(hash).unwrap().is_some();
        assert!(!is_there("ada0") && is_there("ada1") && is_there("ada32") && is_there("bob"));
    }

    #[test]
    fn a_pass_ends_with_its_session_and_the_next_reservation() {
        let (_folder, ledger, ada) = open();
        begin(&ledger, "s", &session(&ada, 1), at(-10));
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
