//! Who are you: a credential → an [`Identity`], which nothing else can make.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

use self::authorized_key::demands_verification;
use self::certificate::{Authorities, Shown, Unfit, decide};
use self::permissions::Permissions;
use crate::error_chain::in_full;
use crate::reservation::UserName;
use crate::store::{Ledger, StoreError, UserRecord};

pub mod authorized_key;
pub mod certificate;
pub mod fido;
pub mod password;
pub mod permissions;
pub mod reservation_password;

pub use reservation_password::ReservationPassword;

/// Argon2 uses memory and a core each: so many at once, the others wait their turn.
const HASHES_AT_ONCE: usize = 2;
/// Waiting for one's turn has an end: a flood of logins is refused, not stored.
const TURN_LIMIT: Duration = Duration::from_secs(20);
/// A refusal takes at least this long, whatever was wrong.
const REFUSAL_TIME: Duration = Duration::from_millis(400);

/// Somebody who has proved who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    user: UserName,
    uid: u32,
}

impl Identity {
    /// Login name.
    #[must_use]
    pub fn user(&self) -> &UserName {
        &self.user
    }

    /// User id in containers.
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.uid
    }
}

impl From<UserRecord> for Identity {
    fn from(record: UserRecord) -> Self {
        Self { user: record.name, uid: record.uid }
    }
}

/// Checks credentials against the ledger.
#[derive(Debug, Clone)]
pub struct Authenticator {
    ledger: Ledger,
    authorities: Arc<Authorities>,
    turns: Arc<Semaphore>,
    /// Verified when there is nobody, so that unknown and wrong take the same time.
    decoy: Arc<str>,
}

impl Authenticator {
    /// Over a ledger.
    ///
    /// # Errors
    /// When hashing does not work at all.
    pub fn new(ledger: Ledger) -> Result<Self, password::HashError> {
        let decoy = password::hash("nobody has this password")?.into();
        let (authorities, turns) = (Arc::default(), Arc::new(Semaphore::new(HASHES_AT_ONCE)));
        Ok(Self { ledger, authorities, turns, decoy })
    }

    /// The same, which also takes the certificates of these authorities.
    #[must_use]
    pub fn trusting(self, authorities: Authorities) -> Self {
        Self { authorities: Arc::new(authorities), ..self }
    }

    /// Checks a password. `None` is all that anybody learns: unknown and wrong look alike, in time too.
    pub async fn password(&self, name: &str, password: &str) -> Option<Identity> {
        let refusal_due = Instant::now() + REFUSAL_TIME;
        let identity = self.check_password(name, password).await;
        if identity.is_none() {
            sleep_until(refusal_due).await;
        }
        identity
    }

    async fn check_password(&self, name: &str, password: &str) -> Option<Identity> {
        let record = self.find(name).await;
        let own = record.as_ref().and_then(|r| r.password.clone());
        let lent = self.reservation_password(name).await;
        let right = self.opens(password.to_owned(), [own, lent]).await;
        record.filter(|_| right).map(Identity::from)
    }

    /// The hash of the user's live reservation; an impossible name costs the same look-up.
    async fn reservation_password(&self, name: &str) -> Option<String> {
        let user = name.parse::<UserName>().ok();
        let found = self.ledger.run(move |l| match &user {
            Some(user) => l.live_password(user, Timestamp::now()),
            None => Ok(None),
        });
        logged(found.await).flatten()
    }

    /// Does the password fit one of these? All are tried, with the decoy where there is none: neither
    /// who exists, nor who has a reservation, nor which one fitted shows in the time it takes.
    async fn opens(&self, password: String, hashes: [Option<String>; 2]) -> bool {
        let Ok(Ok(turn)) = tokio::time::timeout(TURN_LIMIT, self.turns.clone().acquire_owned()).await else {
            tracing::warn!("too many logins at once: one was refused unchecked");
            return false;
        };
        let decoy = self.decoy.clone();
        let work = move || {
            let _turn = turn;
            hashes.iter().fold(false, |opened, hash| {
                let fits = password::verify(&password, hash.as_deref().unwrap_or(&decoy));
                opened | (fits && hash.is_some())
            })
        };
        tokio::task::spawn_blocking(work).await.unwrap_or(false)
    }

    /// Might this key open this account? Says nothing about who holds the key.
    pub async fn key_is_known(&self, name: &str, fingerprint: &str) -> bool {
        self.find_by_key(name, fingerprint).await.is_some()
    }

    /// Makes an identity from a key whose signature has been verified by the caller.
    pub async fn verified_key(&self, name: &str, fingerprint: &str) -> Option<Identity> {
        let record = self.find_by_key(name, fingerprint).await?;
        let (user, fingerprint) = (record.name.clone(), fingerprint.to_owned());
        let noted = self.ledger.run(move |l| l.key_used(&user, &fingerprint, Timestamp::now())).await;
        if let Err(e) = noted {
            tracing::warn!("last use of a key not noted: {}", in_full(&e));
        }
        Some(record.into())
    }

    /// Makes an identity from a certificate whose signatures, the authority's and the holder's, have been
    /// verified by the caller; and what it allows.
    pub async fn verified_certificate(
        &self,
        name: &str,
        shown: &Shown<'_>,
        source: IpAddr,
    ) -> Result<Option<(Identity, Permissions)>, Unfit> {
        let now = u64::try_from(Timestamp::now().as_second()).unwrap_or_default();
        let permissions = decide(shown, &self.authorities, name, source, now)?;
        Ok(self.find(name).await.map(|record| (record.into(), permissions)))
    }

    /// Must this enrolled FIDO key prove who uses it, and not only that somebody does?
    pub async fn key_demands_verification(&self, name: &str, fingerprint: &str) -> bool {
        let Ok(user) = name.parse::<UserName>() else { return true };
        let keys = logged(self.ledger.run(move |l| l.keys(&user)).await).unwrap_or_default();
        keys.iter()
            .find(|key| key.fingerprint == fingerprint)
            .is_none_or(|key| demands_verification(&key.line))
    }

    async fn find_by_key(&self, name: &str, fingerprint: &str) -> Option<UserRecord> {
        let record = self.find(name).await?;
        let user = record.name.clone();
        let keys = logged(self.ledger.run(move |l| l.keys(&user)).await)?;
        keys.iter().any(|key| key.fingerprint == fingerprint).then_some(record)
    }

    async fn find(&self, name: &str) -> Option<UserRecord> {
        // An impossible name costs the same look-up as an unknown one.
        let user = name.parse::<UserName>().ok();
        let record = self.ledger.run(move |l| match &user {
            Some(user) => l.user(user),
            None => Ok(None),
        });
        logged(record.await).flatten()
    }
}

fn logged<T>(outcome: Result<T, StoreError>) -> Option<T> {
    outcome.inspect_err(|e| tracing::error!("login: {}", in_full(&e))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_the_right_password_of_the_right_user_opens() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("l.db")).unwrap();
        let now = Timestamp::now();
        let hash = password::hash("right").unwrap();
        ledger.add_user(&"ada".parse().unwrap(), Some(&hash), now).unwrap();
        ledger.add_user(&"bob".parse().unwrap(), None, now).unwrap();
        let auth = Authenticator::new(ledger).unwrap();
        let ada = auth.password("ada", "right").await.unwrap();
        assert_eq!(ada.user().as_str(), "ada");
        for (name, password) in [
            ("ada", "wrong"),
            ("ada", ""),
            ("bob", ""),
            ("bob", "nobody has this password"),
            ("eve", "nobody has this password"),
            ("../ada", "right"),
            ("ADA", "right"),
        ] {
            let began = Instant::now();
            assert_eq!(auth.password(name, password).await, None, "{name}");
            assert!(began.elapsed() >= REFUSAL_TIME);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reservations_password_opens_beside_the_accounts_own_until_it_ends() {
        use crate::reservation::{Reservation, ReservationId, State};
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("l.db")).unwrap();
        let now = Timestamp::now();
        let ada: UserName = "ada".parse().unwrap();
        ledger.add_user(&ada, Some(&password::hash("own").unwrap()), now).unwrap();
        ledger.add_user(&"bob".parse().unwrap(), None, now).unwrap();
        let reservation = Reservation {
            id: ReservationId::new(),
            user: ada.clone(),
            slot: "gpu1/1".parse().unwrap(),
            started: now,
            deadline: now + Duration::from_secs(3600),
            state: State::Active,
        };
        ledger.note_reservation(&reservation).unwrap();
        let lent = ReservationPassword::generate().unwrap();
        ledger.set_reservation_password(&reservation.id, &lent.hash().unwrap()).unwrap();
        let auth = Authenticator::new(ledger.clone()).unwrap();
        assert!(auth.password("ada", lent.reveal()).await.is_some());
        assert!(auth.password("ada", "own").await.is_some());
        assert!(auth.password("ada", "nobody has this password").await.is_none());
        assert!(auth.password("bob", lent.reveal()).await.is_none(), "it is ada's");
        ledger.forget_reservation_password(&reservation.id).unwrap();
        assert!(auth.password("ada", lent.reveal()).await.is_none());
        assert!(auth.password("ada", "own").await.is_some());
    }

    #[tokio::test]
    async fn a_key_opens_its_own_account_only() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("l.db")).unwrap();
        let now = Timestamp::now();
        let ada: UserName = "ada".parse().unwrap();
        ledger.add_user(&ada, None, now).unwrap();
        ledger.add_user(&"bob".parse().unwrap(), None, now).unwrap();
        let key = crate::store::KeyRecord {
            fingerprint: "SHA256:k".into(),
            line: String::new(),
            comment: String::new(),
            last_used: None,
        };
        ledger.add_key(&ada, &key, now).unwrap();
        let auth = Authenticator::new(ledger).unwrap();
        assert!(auth.key_is_known("ada", "SHA256:k").await);
        assert!(auth.verified_key("bob", "SHA256:k").await.is_none());
        assert!(auth.verified_key("eve", "SHA256:k").await.is_none());
        assert!(auth.verified_key("ada", "SHA256:other").await.is_none());
        assert!(auth.verified_key("ada", "SHA256:k").await.is_some());
    }
}
