//! People: their ids, password hashes and keys.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Ledger, StoreError, parse};
use crate::reservation::UserName;

/// A user as the ledger knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// Login name.
    pub name: UserName,
    /// User id in every container, the same on all machines.
    pub uid: u32,
    /// Argon2id in PHC format, or none: then no password opens.
    pub password: Option<String>,
    /// When they were added.
    pub created: Timestamp,
    /// Made an administrator here.
    pub admin: bool,
    /// Locked out by an administrator.
    pub disabled: bool,
    /// From when on they do not get in any more.
    pub expires: Option<Timestamp>,
    /// Who has the last word on them.
    pub origin: Origin,
    /// The second factor's secret, in base32.
    pub totp: Option<String>,
}

/// Who has the last word on a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The ledger.
    Local,
    /// The university's directory.
    Directory,
}

/// A public key of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// `SHA256:…` as `ssh-keygen -l` prints it.
    pub fingerprint: String,
    /// As in `authorized_keys`, without the comment.
    pub line: String,
    /// Its comment.
    pub comment: String,
    /// When it last opened a session.
    pub last_used: Option<Timestamp>,
}

impl Ledger {
    /// One user.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn user(&self, name: &UserName) -> Result<Option<UserRecord>, StoreError> {
        self.with(|c| find(c, name))
    }

    /// All users by name.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn users(&self) -> Result<Vec<UserRecord>, StoreError> {
        self.with(|c| {
            let mut query = c.prepare(&format!("SELECT {COLUMNS} FROM users ORDER BY name"))?;
            let rows = query.query_map([], raw_user)?.collect::<Result<Vec<_>, _>>()?;
            rows.into_iter().map(user).collect()
        })
    }

    /// Adds a user with the next free user id.
    ///
    /// # Errors
    /// [`StoreError::UserExists`] and others.
    pub fn add_user(
        &self,
        name: &UserName,
        password: Option<&str>,
        now: Timestamp,
    ) -> Result<u32, StoreError> {
        self.with(|c| {
            let transaction = c.transaction()?;
            if find(&transaction, name)?.is_some() {
                return Err(StoreError::UserExists(name.to_string()));
            }
            let uid = match known_uid(&transaction, name)? {
                Some(uid) => uid,
                None => next_uid(&transaction)?,
            };
            transaction.execute(
                "INSERT INTO users (name, uid, password, created) VALUES (?1, ?2, ?3, ?4)",
                params![name.as_str(), uid, password, now.to_string()],
            )?;
            transaction.commit()?;
            Ok(uid)
        })
    }

    /// Adds somebody whom the directory knows, with its user id or the next free one.
    ///
    /// # Errors
    /// [`StoreError::UserExists`], [`StoreError::UidTaken`] and others.
    pub fn add_directory_user(
        &self,
        name: &UserName,
        uid: Option<u32>,
        now: Timestamp,
    ) -> Result<UserRecord, StoreError> {
        self.with(|c| {
            let transaction = c.transaction()?;
            if find(&transaction, name)?.is_some() {
                return Err(StoreError::UserExists(name.to_string()));
            }
            let uid = match uid {
                Some(uid) if uid_is_taken(&transaction, uid)? => return Err(StoreError::UidTaken(uid)),
                Some(uid) => uid,
                None => next_uid(&transaction)?,
            };
            transaction.execute(
                "INSERT INTO users (name, uid, created, origin) VALUES (?1, ?2, ?3, 'directory')",
                params![name.as_str(), uid, now.to_string()],
            )?;
            let added = find(&transaction, name)?.ok_or_else(|| StoreError::NoUser(name.to_string()))?;
            transaction.commit()?;
            Ok(added)
        })
    }

    /// Keeps the user id that was found in somebody's container, for the day on which they are added again.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn keep_uid(&self, name: &UserName, uid: u32) -> Result<(), StoreError> {
        self.with(|c| {
            if find(c, name)?.is_none() && !uid_is_taken(c, uid)? {
                let keep = "INSERT INTO known_uids (user, uid) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
                c.execute(keep, params![name.as_str(), uid])?;
            }
            Ok(())
        })
    }

    /// Sets a user's password hash. Who is signed in on the page is asked again.
    ///
    /// # Errors
    /// [`StoreError::NoUser`] and others.
    pub fn set_password(&self, name: &UserName, hash: &str) -> Result<(), StoreError> {
        self.with(|c| {
            let t = c.transaction()?;
            let set = "UPDATE users SET password = ?2 WHERE name = ?1";
            require(t.execute(set, params![name.as_str(), hash])?, name)?;
            t.execute("DELETE FROM sessions WHERE user = ?1", [name.as_str()])?;
            Ok(t.commit()?)
        })
    }

    /// Removes a user and their keys. What runs for them runs on until its deadline.
    ///
    /// # Errors
    /// [`StoreError::NoUser`] and others.
    pub fn remove_user(&self, name: &UserName) -> Result<(), StoreError> {
        self.with(|c| require(c.execute("DELETE FROM users WHERE name = ?1", [name.as_str()])?, name))
    }

    /// A user's keys.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn keys(&self, name: &UserName) -> Result<Vec<KeyRecord>, StoreError> {
        self.with(|c| {
            let mut query = c.prepare(
                "SELECT fingerprint, line, comment, last_used FROM keys WHERE user = ?1 ORDER BY added",
            )?;
            let rows = query
                .query_map([name.as_str()], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, Option<String>>(3)?))
                })?
                .collect::<Result<Vec<_>, _>>()?;
            rows.into_iter()
                .map(|(fingerprint, line, comment, used)| {
                    let last_used = used.as_deref().map(parse).transpose()?;
                    Ok(KeyRecord { fingerprint, line, comment, last_used })
                })
                .collect()
        })
    }

    /// Adds a key; adding it again only changes its comment.
    ///
    /// # Errors
    /// [`StoreError::NoUser`] and others.
    pub fn add_key(&self, name: &UserName, key: &KeyRecord, now: Timestamp) -> Result<(), StoreError> {
        self.with(|c| {
            find(c, name)?.ok_or_else(|| StoreError::NoUser(name.to_string()))?;
            c.execute(
                "INSERT INTO keys (user, fingerprint, line, comment, added) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (user, fingerprint) DO UPDATE SET comment = excluded.comment",
                params![name.as_str(), key.fingerprint, key.line, key.comment, now.to_string()],
            )?;
            Ok(())
        })
    }

    /// Removes a key. False when there was none.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn remove_key(&self, name: &UserName, fingerprint: &str) -> Result<bool, StoreError> {
        self.with(|c| {
            let removed = c.execute(
                "DELETE FROM keys WHERE user = ?1 AND fingerprint = ?2",
                [name.as_str(), fingerprint],
            )?;
            Ok(removed > 0)
        })
    }

    /// Notes that a key has opened a session.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn key_used(&self, name: &UserName, fingerprint: &str, now: Timestamp) -> Result<(), StoreError> {
        self.with(|c| {
            c.execute(
                "UPDATE keys SET last_used = ?3 WHERE user = ?1 AND fingerprint = ?2",
                params![name.as_str(), fingerprint, now.to_string()],
            )?;
            Ok(())
        })
    }
}

const COLUMNS: &str = "name, uid, password, created, admin, disabled, expires, origin, totp";

/// A row as it is: what its texts mean is checked outside of SQLite's own error type.
struct RawUser {
    name: String,
    uid: u32,
    password: Option<String>,
    created: String,
    admin: bool,
    disabled: bool,
    expires: Option<String>,
    origin: String,
    totp: Option<String>,
}

fn raw_user(row: &Row<'_>) -> rusqlite::Result<RawUser> {
    Ok(RawUser {
        name: row.get(0)?,
        uid: row.get(1)?,
        password: row.get(2)?,
        created: row.get(3)?,
        admin: row.get(4)?,
        disabled: row.get(5)?,
        expires: row.get(6)?,
        origin: row.get(7)?,
        totp: row.get(8)?,
    })
}

fn user(raw: RawUser) -> Result<UserRecord, StoreError> {
    Ok(UserRecord {
        name: parse(&raw.name)?,
        uid: raw.uid,
        password: raw.password,
        created: parse(&raw.created)?,
        admin: raw.admin,
        disabled: raw.disabled,
        expires: raw.expires.as_deref().map(parse).transpose()?,
        origin: if raw.origin == "local" { Origin::Local } else { Origin::Directory },
        totp: raw.totp,
    })
}

fn find(connection: &Connection, name: &UserName) -> Result<Option<UserRecord>, StoreError> {
    let query = format!("SELECT {COLUMNS} FROM users WHERE name = ?1");
    connection.query_row(&query, [name.as_str()], raw_user).optional()?.map(user).transpose()
}

fn uid_is_taken(connection: &Connection, uid: u32) -> Result<bool, StoreError> {
    Ok(connection
        .query_row("SELECT count(*) FROM users WHERE uid = ?1", [uid], |row| row.get::<_, u32>(0))?
        > 0)
}

/// Found in somebody's container: kept for them.
fn is_known(connection: &Connection, uid: u32) -> Result<bool, StoreError> {
    let count = "SELECT count(*) FROM known_uids WHERE uid = ?1";
    Ok(connection.query_row(count, [uid], |row| row.get::<_, u32>(0))? > 0)
}

/// The next id that neither the directory nor a ledger before this one has given to somebody.
fn next_uid(connection: &Connection) -> Result<u32, StoreError> {
    loop {
        let uid =
            connection.query_row("UPDATE next_uid SET value = value + 1 RETURNING value - 1", [], |row| {
                row.get(0)
            })?;
        if !uid_is_taken(connection, uid)? && !is_known(connection, uid)? {
            return Ok(uid);
        }
    }
}

/// What was found in a container of theirs, unless somebody has been given it meanwhile.
fn known_uid(connection: &Connection, name: &UserName) -> Result<Option<u32>, StoreError> {
    let mut query = connection
        .prepare("SELECT uid FROM known_uids WHERE user = ?1 AND uid NOT IN (SELECT uid FROM users)")?;
    Ok(query.query_row([name.as_str()], |row| row.get(0)).optional()?)
}

pub(super) fn require(changed: usize, name: &UserName) -> Result<(), StoreError> {
    if changed == 0 { Err(StoreError::NoUser(name.to_string())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-01-02T03:04:05Z".parse().unwrap()
    }

    #[test]
    fn ids_that_were_found_in_containers_are_given_to_their_owners_again() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("l.db")).unwrap();
        let name = |name: &str| name.parse::<UserName>().unwrap();
        let first = ledger.add_user(&name("ada"), None, now()).unwrap();
        ledger.keep_uid(&name("ada"), first + 7).unwrap();
        ledger.keep_uid(&name("bob"), first + 1).unwrap();
        ledger.keep_uid(&name("bob"), first + 5).unwrap();
        ledger.keep_uid(&name("eve"), first).unwrap();
        assert_eq!(ledger.add_user(&name("eve"), None, now()).unwrap(), first + 2, "passes over bob's");
        assert_eq!(ledger.add_user(&name("bob"), None, now()).unwrap(), first + 1);
        assert_eq!(ledger.user(&name("ada")).unwrap().unwrap().uid, first);
    }

    #[test]
    fn users_and_keys_come_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/ledger.db");
        let ledger = Ledger::open(&path).unwrap();
        let ada: UserName = "ada".parse().unwrap();
        let first = ledger.add_user(&ada, Some("hash"), now()).unwrap();
        assert!(matches!(ledger.add_user(&ada, None, now()), Err(StoreError::UserExists(_))));
        let bob = ledger.add_user(&"bob".parse().unwrap(), None, now()).unwrap();
        assert_eq!(bob, first + 1);
        let key = KeyRecord {
            fingerprint: "SHA256:x".into(),
            line: "ssh-ed25519 AAAA".into(),
            comment: "laptop".into(),
            last_used: None,
        };
        ledger.add_key(&ada, &key, now()).unwrap();
        ledger.key_used(&ada, "SHA256:x", now()).unwrap();
        drop(ledger);
        let ledger = Ledger::open(&path).unwrap();
        assert_eq!(ledger.keys(&ada).unwrap()[0].last_used, Some(now()));
        ledger.remove_user(&"bob".parse().unwrap()).unwrap();
        let eve = ledger.add_user(&"eve".parse().unwrap(), None, now()).unwrap();
        assert_eq!(eve, first + 2, "a freed id is never given again");
        ledger.remove_user(&ada).unwrap();
        assert!(ledger.keys(&ada).unwrap().is_empty());
        assert!(matches!(ledger.remove_user(&ada), Err(StoreError::NoUser(_))));
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        drop(Ledger::open(&path).unwrap());
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(Ledger::open(&path), Err(StoreError::TooNew { found: 99, .. })));
    }
}
