//! What people change of their own account: keys, password, second factor.

use jiff::Timestamp;

use super::hasher::Lane;
use super::throttle::{Outcome, Verdict};
use super::{Authenticator, Denial, Identity, authorized_key, password, totp};
use crate::audit::Event;
use crate::error_chain::in_full;
use crate::store::{KeyRecord, Origin, StoreError, UserRecord};

/// The longest password that is taken, in bytes: hashing is not for novels.
pub const MAX_PASSWORD: usize = 1024;
/// The shortest one that people may choose themselves (NIST SP 800-63B section 5.1.1.2).
const MIN_PASSWORD: usize = 8;
/// Keys of one user: people have a handful.
const MAX_KEYS: usize = 64;

/// Why it was not changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnError {
    /// Not a key that can be enrolled.
    Key(authorized_key::KeyError),
    /// They have so many keys already.
    TooManyKeys,
    /// They have so many tokens already.
    TooManyTokens,
    /// They have no such key.
    NoSuchKey,
    /// The old password was not right.
    WrongPassword,
    /// The new password is too short.
    TooShort,
    /// The new password is too long.
    TooLong,
    /// The two new passwords are not the same.
    Unlike,
    /// The password is the university's.
    Directory,
    /// The code was not right.
    WrongCode,
    /// There is no second factor.
    NoFactor,
    /// Try again after this time.
    Later(std::time::Duration),
    /// It could not be written.
    Failed(String),
}

impl From<StoreError> for OwnError {
    fn from(error: StoreError) -> Self {
        Self::Failed(in_full(&error))
    }
}

/// A change of one's password.
#[derive(Clone)]
pub struct PasswordChange {
    /// The old one.
    pub old: String,
    /// The new one.
    pub new: String,
    /// The new one again, where somebody typed it.
    pub again: Option<String>,
}

impl Authenticator {
    /// Enrols keys, one a line.
    ///
    /// # Errors
    /// [`OwnError`]; then none was enrolled.
    pub async fn add_keys(&self, who: &Identity, text: &str) -> Result<Vec<KeyRecord>, OwnError> {
        let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
        let keys = lines.map(authorized_key::parse).collect::<Result<Vec<_>, _>>().map_err(OwnError::Key)?;
        if keys.is_empty() {
            return Err(OwnError::Key(authorized_key::KeyError::NotAKey));
        }
        if self.keys(who).await?.len() + keys.len() > MAX_KEYS {
            return Err(OwnError::TooManyKeys);
        }
        let (user, added) = (who.user().clone(), keys.clone());
        self.inner
            .ledger
            .run(move |l| keys.iter().try_for_each(|key| l.add_key(&user, key, Timestamp::now())))
            .await?;
        for key in &added {
            self.note_account(who, "key added", &key.fingerprint);
        }
        Ok(added)
    }

    /// Their keys.
    ///
    /// # Errors
    /// [`OwnError::Failed`]
    pub async fn keys(&self, who: &Identity) -> Result<Vec<KeyRecord>, OwnError> {
        let user = who.user().clone();
        Ok(self.inner.ledger.run(move |l| l.keys(&user)).await?)
    }

    /// Removes the key with this fingerprint, or the only one with this comment.
    ///
    /// # Errors
    /// [`OwnError`]
    pub async fn remove_key(&self, who: &Identity, word: &str) -> Result<KeyRecord, OwnError> {
        let keys = self.keys(who).await?;
        let mut named = keys.iter().filter(|key| key.fingerprint == word || key.comment == word);
        let (Some(key), None) = (named.next().cloned(), named.next()) else {
            return Err(OwnError::NoSuchKey);
        };
        let (user, fingerprint) = (who.user().clone(), key.fingerprint.clone());
        self.inner.ledger.run(move |l| l.remove_key(&user, &fingerprint)).await?;
        self.note_account(who, "key removed", &key.fingerprint);
        Ok(key)
    }

    /// Changes the account's own password.
    ///
    /// # Errors
    /// [`OwnError`]
    pub async fn change_password(
        &self,
        who: &Identity,
        peer: std::net::IpAddr,
        change: PasswordChange,
    ) -> Result<(), OwnError> {
        let PasswordChange { old, new, again } = change;
        let record = self.own_record(who).await?;
        if record.origin == Origin::Directory {
            return Err(OwnError::Directory);
        }
        check_new(&new, again.as_deref())?;
        if let Some(hash) = record.password {
            self.prove(who, peer, move || password::verify(&old, &hash))
                .await?
                .then_some(())
                .ok_or(OwnError::WrongPassword)?;
        }
        let hash = self.hash(new).await?;
        let user = who.user().clone();
        self.inner.ledger.run(move |l| l.set_password(&user, &hash)).await?;
        self.note_account(who, "password changed", "");
        Ok(())
    }

    /// Hashes in the lane of those who are in already.
    ///
    /// # Errors
    /// [`OwnError`]
    pub async fn hash(&self, password: String) -> Result<String, OwnError> {
        let hashed = self.inner.hasher.run(Lane::Known, move || password::hash(&password)).await;
        match hashed {
            Ok(Ok(hash)) => Ok(hash),
            Ok(Err(e)) => Err(OwnError::Failed(e.to_string())),
            Err(busy) => Err(OwnError::Failed(busy.to_string())),
        }
    }

    /// Begins a second factor: nothing is kept until [`Authenticator::confirm_factor`].
    ///
    /// # Errors
    /// [`OwnError::Failed`]
    pub fn new_factor(&self) -> Result<String, OwnError> {
        totp::new_secret().map_err(|e| OwnError::Failed(e.to_string()))
    }

    /// Does this account have a second factor?
    ///
    /// # Errors
    /// [`OwnError::Failed`]
    pub async fn has_factor(&self, who: &Identity) -> Result<bool, OwnError> {
        Ok(self.own_record(who).await?.totp.is_some())
    }

    /// Makes the secret theirs, by a code that only who has it can make.
    ///
    /// # Errors
    /// [`OwnError`]
    pub async fn confirm_factor(&self, who: &Identity, secret: &str, code: &str) -> Result<(), OwnError> {
        let step = totp::step_of(secret, code, unix_now()).ok_or(OwnError::WrongCode)?;
        let (user, secret) = (who.user().clone(), secret.to_owned());
        let taken = self
            .inner
            .ledger
            .run(move |l| Ok(l.enrol_totp(&user, &secret)? && l.take_totp_step(&user, step)?));
        taken.await?.then_some(()).ok_or(OwnError::WrongCode)?;
        self.note_account(who, "second factor added", "");
        Ok(())
    }

    /// Removes the second factor, by one of its codes.
    ///
    /// # Errors
    /// [`OwnError`]
    pub async fn remove_factor(
        &self,
        who: &Identity,
        peer: std::net::IpAddr,
        code: &str,
    ) -> Result<(), OwnError> {
        let secret = self.own_record(who).await?.totp.ok_or(OwnError::NoFactor)?;
        let code = code.to_owned();
        let step = self.prove(who, peer, move || totp::step_of(&secret, &code, unix_now()));
        let step = step.await?.ok_or(OwnError::WrongCode)?;
        let user = who.user().clone();
        let done = self.inner.ledger.run(move |l| {
            let fresh = l.take_totp_step(&user, step)?;
            if fresh {
                l.forget_totp(&user)?;
            }
            Ok(fresh)
        });
        done.await?.then_some(()).ok_or(OwnError::WrongCode)?;
        self.note_account(who, "second factor removed", "");
        Ok(())
    }

    /// Checks a secret of somebody who is in: a stolen session must not guess it any faster.
    async fn prove<T: Provable + Send + 'static>(
        &self,
        who: &Identity,
        peer: std::net::IpAddr,
        check: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, OwnError> {
        let name = who.user().as_str();
        let verdict = self.inner.throttle().begin(name, peer.into(), self.inner.now());
        if let Verdict::Refuse(time) = verdict {
            return Err(OwnError::Later(time));
        }
        let proved = self.inner.hasher.run(Lane::Known, check).await;
        let outcome = match &proved {
            Ok(proved) if proved.is_right() => Outcome::Right,
            Ok(_) => Outcome::Wrong,
            Err(_) => Outcome::Neither,
        };
        self.inner.end(name, peer.into(), outcome);
        proved.map_err(|busy| OwnError::Failed(busy.to_string()))
    }

    async fn own_record(&self, who: &Identity) -> Result<UserRecord, OwnError> {
        let user = who.user().clone();
        let record = self.inner.ledger.run(move |l| l.user(&user)).await?;
        record.ok_or_else(|| OwnError::Failed(StoreError::NoUser(who.user().to_string()).to_string()))
    }

    pub(super) fn note_account(&self, who: &Identity, act: &'static str, target: &str) {
        self.inner.audit.note(Event::Account { user: who.user().clone(), act, target: target.to_owned() });
    }
}

/// What a check says.
trait Provable {
    fn is_right(&self) -> bool;
}

impl Provable for bool {
    fn is_right(&self) -> bool {
        *self
    }
}

impl<T> Provable for Option<T> {
    fn is_right(&self) -> bool {
        self.is_some()
    }
}

/// What a new password must be.
///
/// # Errors
/// [`OwnError`]
pub fn check_new(new: &str, again: Option<&str>) -> Result<(), OwnError> {
    if again.is_some_and(|again| again != new) {
        return Err(OwnError::Unlike);
    }
    if new.chars().count() < MIN_PASSWORD {
        return Err(OwnError::TooShort);
    }
    if new.len() > MAX_PASSWORD {
        return Err(OwnError::TooLong);
    }
    Ok(())
}

fn unix_now() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or_default()
}

impl From<Denial> for OwnError {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Later(time) => Self::Later(time),
            Denial::Wrong | Denial::DirectoryDown | Denial::Busy => Self::WrongPassword,
        }
    }
}
