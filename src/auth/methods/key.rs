//! By a key, of the ledger or of the directory, whose signature has been verified.

use jiff::Timestamp;
use tokio::time::Instant;

use crate::auth::attempt::Proof;
use crate::auth::authorized_key::demands_verification;
use crate::auth::guard::Guard;
use crate::auth::{Attempt, Authenticator, Denial, Inner, Login, Why, logged};
use crate::config::AuthMethod;
use crate::reservation::UserName;
use crate::store::{KeyRecord, Origin};

impl Authenticator {
    /// Might this key open this account? Says nothing about who holds the key.
    pub async fn key_is_known(&self, name: &str, fingerprint: &str) -> bool {
        let Ok(user) = name.parse::<UserName>() else { return false };
        self.inner.key_is_enrolled(&user, fingerprint).await
            || self.key_is_in_directory(&user, fingerprint).await
    }

    /// Makes an identity from a key whose signature has been verified by the caller.
    pub async fn verified_key(&self, who: Attempt<'_>, fingerprint: &str) -> Login {
        let started = Instant::now();
        let outcome = self.try_key(who, fingerprint).await;
        self.conclude(who, Some(fingerprint), outcome, started).await
    }

    /// Keys cannot be guessed: they are never throttled, whatever others do.
    pub(in crate::auth) async fn try_key(&self, who: Attempt<'_>, fingerprint: &str) -> Result<Login, Why> {
        let user: UserName = who.name.parse().map_err(|_| Why(Denial::Wrong, "no user name"))?;
        let enrolled = self.inner.key_is_enrolled(&user, fingerprint).await;
        if !enrolled && !self.key_is_in_directory(&user, fingerprint).await {
            return Err(Why(Denial::Wrong, "not a key of theirs"));
        }
        let account = self.account(&user).await;
        let guard = Guard::unthrottled(self, who);
        let login = self.finish(guard, account, Proof::by(AuthMethod::PublicKey))?;
        if enrolled {
            self.inner.note_key_use(user, fingerprint.to_owned()).await;
        }
        Ok(login)
    }

    /// Must this FIDO key prove who uses it, and not only that somebody does?
    pub async fn key_demands_verification(&self, name: &str, fingerprint: &str) -> bool {
        let Ok(user) = name.parse::<UserName>() else { return true };
        let keys = self.inner.enrolled_keys(&user).await;
        if let Some(key) = keys.iter().find(|key| key.fingerprint == fingerprint) {
            return demands_verification(&key.line);
        }
        let Some(directory) = &self.inner.directory else { return true };
        let entry = directory.look_up(&user).await.ok().flatten().unwrap_or_default();
        entry
            .keys
            .iter()
            .find(|key| key.fingerprint == fingerprint)
            .is_none_or(|key| key.demands_verification)
    }

    pub(in crate::auth) async fn key_is_in_directory(&self, user: &UserName, fingerprint: &str) -> bool {
        let Some(directory) = &self.inner.directory else { return false };
        // A local account is the ledger's alone: the directory's namesake is somebody else.
        if matches!(self.inner.find(user).await, Ok(Some(record)) if record.origin == Origin::Local) {
            return false;
        }
        let entry = directory.look_up(user).await.ok().flatten();
        entry.is_some_and(|entry| entry.keys.iter().any(|key| key.fingerprint == fingerprint))
    }
}

impl Inner {
    pub(in crate::auth) async fn enrolled_keys(&self, user: &UserName) -> Vec<KeyRecord> {
        let user = user.clone();
        logged(self.ledger.run(move |l| l.keys(&user)).await).unwrap_or_default()
    }

    pub(in crate::auth) async fn key_is_enrolled(&self, user: &UserName, fingerprint: &str) -> bool {
        self.enrolled_keys(user).await.iter().any(|key| key.fingerprint == fingerprint)
    }

    pub(in crate::auth) async fn note_key_use(&self, user: UserName, fingerprint: String) {
        logged(self.ledger.run(move |l| l.key_used(&user, &fingerprint, Timestamp::now())).await);
    }
}
