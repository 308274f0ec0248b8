//! Who are you: a credential → an [`Identity`], which nothing else can make.
//!
//! Every try goes the same way: the throttle lets it through or says when, the credential is checked, the account
//! must be open, a second factor may be asked for; what came of it is noted in the throttle and in the audit log.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::audit::Audit;
use crate::config::{Auth as Rules, AuthMethod};
use crate::error_chain::in_full;
use crate::reservation::UserName;
use crate::store::{Checked, Ledger, StoreError};

pub mod account;
mod attempt;
pub mod authorized_key;
pub mod certificate;
pub mod directory;
pub mod fido;
mod guard;
pub mod hasher;
mod methods;
mod own;
pub mod password;
mod people;
pub mod permissions;
pub mod reservation_password;
pub mod tailnet;
pub mod throttle;
mod token;
pub mod totp;

pub use reservation_password::ReservationPassword;

pub use own::{MAX_PASSWORD, OwnError, PasswordChange, check_new as check_new_password};

use certificate::{Authorities, AuthorityError};
use directory::{Directory, SetupError};
use hasher::Hasher;
use permissions::Permissions;
use tailnet::Tailnet;
use throttle::Throttle;

/// Names are kept in memory by this much of them.
const NAME_CHARS: usize = 64;
/// Good addresses that are read from the ledger at the start.
const GOOD_SOURCES: usize = 16_384;

/// Somebody who has proved who they are. Only a gateway that is being replaced tells its successor of one, over a
/// socket that is root's alone (`handover`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    user: UserName,
    uid: u32,
    admin: bool,
    by: AuthMethod,
    permissions: Permissions,
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

    /// How they have proved it, first of all.
    #[must_use]
    pub fn by(&self) -> AuthMethod {
        self.by
    }

    /// What the credential allows them.
    #[must_use]
    pub fn permissions(&self) -> &Permissions {
        &self.permissions
    }

    /// Were they an administrator when they logged in?
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.admin && self.permissions.administration
    }
}

/// Who tries, from where, how.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// As the client says it: nothing is known of it.
    pub name: &'a str,
    /// From where.
    pub peer: SocketAddr,
    /// By which of SSH's methods; for the logs.
    pub method: &'static str,
}

/// What came of a try.
#[derive(Debug)]
pub enum Login {
    /// They are in, by what was compared with this.
    In(Identity, Checked),
    /// The first factor was right.
    Half(Half),
    /// They are not in.
    Out(Denial),
}

/// Somebody whose first factor was right.
#[derive(Debug, Clone)]
pub struct Half {
    identity: Identity,
    checked: Checked,
    secret: String,
    /// The secret was made just now: it becomes theirs with the first right code.
    fresh: bool,
}

impl Half {
    /// Whose login it is: a client may change the name between two steps.
    #[must_use]
    pub fn user(&self) -> &UserName {
        &self.identity.user
    }

    /// A secret that they must put into their application now.
    #[must_use]
    pub fn to_enrol(&self) -> Option<&str> {
        self.fresh.then_some(self.secret.as_str())
    }
}

/// What they are told when they are not in. Wrong, unknown and locked look alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// It was not right.
    Wrong,
    /// It was not looked at: try again after this time.
    Later(Duration),
    /// It could not be checked: the directory does not answer.
    DirectoryDown,
    /// It could not be checked: too many are trying.
    Busy,
}

/// A denial, with what only administrators may know.
#[derive(Debug, Clone, Copy)]
struct Why(Denial, &'static str);

/// Checks credentials.
#[derive(Debug, Clone)]
pub struct Authenticator {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    rules: Rules,
    ledger: Ledger,
    authorities: Authorities,
    audit: Audit,
    hasher: Hasher,
    directory: Option<Directory>,
    tailnet: Option<Tailnet>,
    /// Short sections, none awaits.
    throttle: Mutex<Throttle>,
    began: Instant,
    /// Verified when there is nobody, so that unknown and wrong take the same time.
    decoy: Arc<str>,
}

/// Why nobody could log in.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Hashing.
    #[error(transparent)]
    Hash(#[from] password::HashError),
    /// Its threads.
    #[error("no threads for hashing: {0}")]
    Threads(#[from] std::io::Error),
    /// The directory.
    #[error(transparent)]
    Directory(#[from] SetupError),
    /// The authorities of certificates.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] StoreError),
}

impl Authenticator {
    /// Over a ledger, by the site's rules.
    ///
    /// # Errors
    /// [`AuthError`]
    pub fn new(ledger: Ledger, rules: &Rules, audit: Audit) -> Result<Self, AuthError> {
        let decoy = password::hash("nobody has this password")?.into();
        let mut throttle = Throttle::new(rules.throttle);
        // The newest last, so that they are the last to be forgotten.
        for (user, source) in ledger.good_sources(GOOD_SOURCES)?.into_iter().rev() {
            if let Ok(source) = source.parse::<IpAddr>() {
                throttle.note_good(&user, source.into());
            }
        }
        let tailnet =
            rules.methods.contains(&AuthMethod::Tailnet).then(|| Tailnet::new(rules.tailnet.clone()));
        let inner = Inner {
            authorities: Authorities::load(&rules.user_ca)?,
            directory: rules.ldap.clone().map(Directory::new).transpose()?,
            tailnet,
            rules: rules.clone(),
            ledger,
            audit,
            hasher: Hasher::start()?,
            throttle: Mutex::new(throttle),
            began: Instant::now(),
            decoy,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Is this method switched on? The SSH library asks for any that a client tries.
    #[must_use]
    pub fn allows(&self, method: AuthMethod) -> bool {
        self.inner.rules.methods.contains(&method)
    }

    /// Is somebody who has logged in an administrator still?
    pub async fn is_admin(&self, who: &Identity) -> bool {
        let account = self.account(&who.user).await;
        account.is_ok_and(|account| {
            who.permissions.administration
                && account.admin
                && account::standing(&account.record, Timestamp::now()).is_ok()
        })
    }

    /// How long logins from there are refused now, to be told before they try.
    #[must_use]
    pub fn refused_for(&self, name: Option<&str>, address: IpAddr) -> Option<Duration> {
        let name = name.map(short);
        self.inner.throttle().refused_for(name.as_deref(), address.into(), self.inner.now())
    }
}

impl Inner {
    fn throttle(&self) -> std::sync::MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        // Not zero: what was never tried was last tried at zero.
        self.began.elapsed() + self.rules.throttle.forget + Duration::from_secs(1)
    }
}

fn short(name: &str) -> String {
    name.chars().take(NAME_CHARS).collect()
}

fn logged<T>(outcome: Result<T, StoreError>) -> Option<T> {
    outcome.inspect_err(|e| tracing::error!("login: {}", in_full(e))).ok()
}

#[cfg(test)]
mod tests;
