//! What decides on who gets in: flags, second factors, charters, good addresses; and which machines drain.

use jiff::Timestamp;
use rusqlite::params;

use super::users::require;
use super::{Ledger, StoreError, parse};
use crate::reservation::{MachineName, UserName};

/// Addresses kept for each user: the newest. People have few; a list of all would only grow.
const GOOD_SOURCES: u32 = 16;

impl Ledger {
    /// Makes somebody an administrator, or not.
    ///
    /// # Errors
    /// [`StoreError::NoUser`] and others.
    pub fn set_admin(&self, name: &UserName, admin: bool) -> Result<(), StoreError> {
        self.with(|c| {
            let set = "UPDATE users SET admin = ?2 WHERE name = ?1";
            require(c.execute(set, params![name.as_str(), admin])?, name)
        })
    }

    /// Locks somebody out, or lets them in again: to sign in anew. What runs for them runs on.
    ///
    /// # Errors
    /// [`StoreError::NoUser`] and others.
    pub fn set_disabled(&self, name: &UserName, disabled: bool) -> Result<(), StoreError> {
        self.with(|c| {
            let t = c.transaction()?;
            let set = "UPDATE users SET disabled = ?2 WHERE name = ?1";
            require(t.execute(set, params![name.as_str(), disabled])?, name)?;
            t.execute("DELETE FROM sessions WHERE user = ?1", [name.as_str()])?;
            Ok(t.commit()?)
        })
    }

    /// Sets from when on somebody does not get in any more.
    ///
    /// # Errors
    /// [`StoreError::NoUser`] and others.
    pub fn set_expires(&self, name: &UserName, expires: Option<Timestamp>) -> Result<(), StoreError> {
        self.with(|c| {
            let set = "UPDATE users SET expires = ?2 WHERE name = ?1";
            let expires = expires.map(|time| time.to_string());
            require(c.execute(set, params![name.as_str(), expires])?, name)
        })
    }

    /// Sets the second factor of somebody who has none. False when they have one: it is never replaced unasked.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn enrol_totp(&self, name: &UserName, secret: &str) -> Result<bool, StoreError> {
        self.with(|c| {
            let set = "UPDATE users SET totp = ?2, totp_step = 0 WHERE name = ?1 AND totp IS NULL";
            Ok(c.execute(set, params![name.as_str(), secret])? > 0)
        })
    }

    /// Removes the second factor.
    ///
    /// # Errors
    /// [`StoreError::NoUser`] and others.
    pub fn forget_totp(&self, name: &UserName) -> Result<(), StoreError> {
        self.with(|c| {
            require(c.execute("UPDATE users SET totp = NULL WHERE name = ?1", [name.as_str()])?, name)
        })
    }

    /// Takes the code of a time step. False when it or a later one has been taken already.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn take_totp_step(&self, name: &UserName, step: u64) -> Result<bool, StoreError> {
        self.with(|c| {
            let step = i64::try_from(step).unwrap_or(i64::MAX);
            let set = "UPDATE users SET totp_step = ?2 WHERE name = ?1 AND totp_step < ?2";
            Ok(c.execute(set, params![name.as_str(), step])? > 0)
        })
    }

    /// Notes that somebody has accepted a version of the charter.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn accept_charter(&self, name: &UserName, version: &str, now: Timestamp) -> Result<(), StoreError> {
        self.with(|c| {
            c.execute(
                "INSERT INTO charter (user, version, accepted) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                params![name.as_str(), version, now.to_string()],
            )?;
            Ok(())
        })
    }

    /// Everybody who has accepted a version.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn charter_accepted(&self, version: &str) -> Result<Vec<UserName>, StoreError> {
        self.with(|c| {
            let mut query = c.prepare("SELECT user FROM charter WHERE version = ?1")?;
            let names = query.query_map([version], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
            names.iter().map(|name| parse(name)).collect()
        })
    }

    /// Notes an address from which somebody has logged in.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn note_good_source(&self, name: &UserName, source: &str, now: Timestamp) -> Result<(), StoreError> {
        self.with(|c| {
            let transaction = c.transaction()?;
            transaction.execute(
                "INSERT INTO good_sources (user, source, seen) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET seen = excluded.seen",
                params![name.as_str(), source, now.to_string()],
            )?;
            transaction.execute(
                "DELETE FROM good_sources WHERE user = ?1 AND source NOT IN
                 (SELECT source FROM good_sources WHERE user = ?1 ORDER BY seen DESC LIMIT ?2)",
                params![name.as_str(), GOOD_SOURCES],
            )?;
            transaction.commit()?;
            Ok(())
        })
    }

    /// Users and addresses from which they have logged in, the newest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn good_sources(&self, most: usize) -> Result<Vec<(String, String)>, StoreError> {
        self.with(|c| {
            let mut query = c.prepare("SELECT user, source FROM good_sources ORDER BY seen DESC LIMIT ?1")?;
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            Ok(query.query_map([most], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
        })
    }

    /// Machines that take no new reservations.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn draining(&self) -> Result<Vec<MachineName>, StoreError> {
        self.with(|c| {
            let mut query = c.prepare("SELECT machine FROM draining")?;
            let names = query.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
            names.iter().map(|name| parse(name)).collect()
        })
    }

    /// Notes that a machine drains, or that it does not any more.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn set_draining(
        &self,
        machine: &MachineName,
        draining: bool,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.with(|c| {
            if draining {
                let add = "INSERT INTO draining (machine, since) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
                c.execute(add, params![machine.as_str(), now.to_string()])?;
            } else {
                c.execute("DELETE FROM draining WHERE machine = ?1", [machine.as_str()])?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decides_on_who_gets_in_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("l.db")).unwrap();
        let at = |s: i64| Timestamp::from_second(1_800_000_000 + s).unwrap();
        let ada: UserName = "ada".parse().unwrap();
        assert!(matches!(ledger.set_admin(&ada, true), Err(StoreError::NoUser(_))));
        let added = ledger.add_directory_user(&ada, Some(5001), at(0)).unwrap();
        assert_eq!((added.uid, added.admin, added.disabled), (5001, false, false));
        let eve: UserName = "eve".parse().unwrap();
        assert!(matches!(
            ledger.add_directory_user(&eve, Some(5001), at(0)),
            Err(StoreError::UidTaken(5001))
        ));
        ledger.set_admin(&ada, true).unwrap();
        ledger.set_disabled(&ada, true).unwrap();
        ledger.set_expires(&ada, Some(at(9))).unwrap();
        assert!(ledger.enrol_totp(&ada, "SECRET").unwrap());
        assert!(!ledger.enrol_totp(&ada, "OTHER").unwrap());
        let known = ledger.user(&ada).unwrap().unwrap();
        assert!(known.admin && known.disabled && known.expires == Some(at(9)));
        assert!(ledger.take_totp_step(&ada, 7).unwrap());
        assert!(!ledger.take_totp_step(&ada, 7).unwrap() && !ledger.take_totp_step(&ada, 6).unwrap());
        ledger.accept_charter(&ada, "v1", at(1)).unwrap();
        assert_eq!(ledger.charter_accepted("v1").unwrap(), vec![ada.clone()]);
        assert!(ledger.charter_accepted("v2").unwrap().is_empty());
        for n in 0..40 {
            ledger.note_good_source(&ada, &format!("192.0.2.{n}"), at(n)).unwrap();
        }
        let good = ledger.good_sources(100).unwrap();
        assert_eq!(good.len(), GOOD_SOURCES as usize);
        assert_eq!(good[0], ("ada".into(), "192.0.2.39".into()));
        let gpu1: MachineName = "gpu1".parse().unwrap();
        ledger.set_draining(&gpu1, true, at(0)).unwrap();
        assert_eq!(ledger.draining().unwrap(), vec![gpu1.clone()]);
        ledger.set_draining(&gpu1, false, at(0)).unwrap();
        assert!(ledger.draining().unwrap().is_empty());
    }

    #[test]
    fn ids_that_the_directory_gave_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("l.db")).unwrap();
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let first = ledger.add_user(&"ada".parse().unwrap(), None, now).unwrap();
        ledger.add_directory_user(&"bob".parse().unwrap(), Some(first + 1), now).unwrap();
        assert_eq!(ledger.add_user(&"eve".parse().unwrap(), None, now).unwrap(), first + 2);
    }
}
