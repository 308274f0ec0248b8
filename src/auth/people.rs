//! Whose account it is: the ledger's people, the directory's, and who comes in for the first time.

use jiff::Timestamp;

use super::directory::{self, Entry};
use super::{Authenticator, Denial, Inner, Why, logged};
use crate::error_chain::in_full;
use crate::reservation::UserName;
use crate::store::{Origin, StoreError, UserRecord};

/// An open account, and whether it is an administrator's by what is known now.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) record: UserRecord,
    pub(super) admin: bool,
    /// Is in the directory's group whose members must have a second factor, or may be: it does not answer.
    pub(super) must_have_two: bool,
}

pub(super) const UNKNOWN: &str = "no such user";

impl Authenticator {
    /// The account of somebody who has proved by other means than a password who they are.
    pub(in crate::auth) async fn account(&self, user: &UserName) -> Result<Account, Why> {
        let record = self.inner.find(user).await?;
        if let Some(record) = record.as_ref().filter(|record| record.origin == Origin::Local) {
            return Ok(Account { admin: record.admin, record: record.clone(), must_have_two: false });
        }
        let looked_up = match &self.inner.directory {
            Some(directory) => Some(directory.look_up(user).await),
            None => None,
        };
        match (looked_up, record) {
            (Some(Ok(Some(entry))), record) => self.inner.member(record, user, &entry).await,
            (Some(Ok(None)), Some(_)) => Err(Why(Denial::Wrong, "not in the directory any more")),
            // It does not answer: who came in by it before goes on coming in.
            (looked_up @ (Some(Err(_)) | None), Some(record)) => {
                let must_have_two = looked_up.is_some() && self.inner.has_group_with_two();
                Ok(Account { admin: record.admin, record, must_have_two })
            }
            (Some(Ok(None) | Err(_)) | None, None) => Err(Why(Denial::Wrong, UNKNOWN)),
        }
    }

    pub(in crate::auth) async fn check_in_directory(
        &self,
        record: Option<UserRecord>,
        user: &UserName,
        password: &str,
    ) -> Result<Account, Why> {
        let Some(directory) = &self.inner.directory else { return Err(Why(Denial::Wrong, UNKNOWN)) };
        match directory.check(user, password).await {
            Ok(Some(entry)) => self.inner.member(record, user, &entry).await,
            Ok(None) => Err(Why(Denial::Wrong, "refused by the directory")),
            Err(directory::DirectoryError::Busy) => Err(Why(Denial::Busy, "too many logins at once")),
            Err(_) => Err(Why(Denial::DirectoryDown, "the directory does not answer")),
        }
    }
}

impl Inner {
    pub(in crate::auth) async fn find(&self, user: &UserName) -> Result<Option<UserRecord>, Why> {
        let user = user.clone();
        logged(self.ledger.run(move |l| l.user(&user)).await).ok_or(Why(Denial::Busy, "the ledger failed"))
    }

    /// Somebody whom the directory knows. At their first login they get their place in the ledger.
    pub(in crate::auth) async fn member(
        &self,
        record: Option<UserRecord>,
        user: &UserName,
        entry: &Entry,
    ) -> Result<Account, Why> {
        if !entry.member {
            return Err(Why(Denial::Wrong, "not in the directory's group"));
        }
        let record = match record {
            Some(record) => record,
            None => self.add_from_directory(user, entry.uid).await?,
        };
        Ok(Account { admin: record.admin || entry.admin, record, must_have_two: entry.must_have_two })
    }

    pub(in crate::auth) async fn add_from_directory(
        &self,
        user: &UserName,
        uid: Option<u32>,
    ) -> Result<UserRecord, Why> {
        let name = user.clone();
        let added = self.ledger.run(move |l| match l.add_directory_user(&name, uid, Timestamp::now()) {
            // Two first logins at once.
            Err(StoreError::UserExists(_)) => l.user(&name)?.ok_or(StoreError::NoUser(name.to_string())),
            added => added,
        });
        match added.await {
            Ok(record) => {
                tracing::info!(%user, uid = record.uid, "added from the directory");
                Ok(record)
            }
            Err(e) => {
                tracing::error!(%user, "not added from the directory: {}", in_full(&e));
                Err(Why(Denial::Wrong, "the ledger did not take them"))
            }
        }
    }

    pub(in crate::auth) async fn add_from_tailnet(&self, user: &UserName) -> Result<Account, Why> {
        let name = user.clone();
        let added = self.ledger.run(move |l| {
            match l.add_user(&name, None, Timestamp::now()) {
                Ok(_) | Err(StoreError::UserExists(_)) => {}
                Err(e) => return Err(e),
            }
            l.user(&name)?.ok_or(StoreError::NoUser(name.to_string()))
        });
        let record = logged(added.await).ok_or(Why(Denial::Busy, "the ledger failed"))?;
        tracing::info!(%user, uid = record.uid, "added from the tailnet");
        Ok(Account { admin: record.admin, record, must_have_two: false })
    }

    fn has_group_with_two(&self) -> bool {
        self.rules.ldap.as_ref().is_some_and(|rules| rules.totp_group.is_some())
    }
}
