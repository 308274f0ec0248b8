//! The university's directory over LDAP: always encrypted, always with a checked certificate, always with an end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

mod session;
mod tls;

use session::Session;

use crate::config::Ldap as Rules;
use crate::error_chain::in_full;
use crate::reservation::UserName;

/// Conversations at once; more wait their turn.
const AT_ONCE: usize = 8;
/// A directory that did not answer is left alone for a while: people are refused at once.
const REST: Duration = Duration::from_secs(5);
/// Entries believed at once.
const MOST_BELIEVED: usize = 1024;
/// Connecting, binding, searching for the entry and for its groups: so many steps have a limit of their own.
const STEPS: u32 = 4;

/// What the directory says of somebody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// The entry's own name.
    pub dn: String,
    /// User id, where the site takes it from there.
    pub uid: Option<u32>,
    /// Their public keys.
    pub keys: Vec<DirectoryKey>,
    /// Is in the group that opens the door, or there is no such group.
    pub member: bool,
    /// Is in the group of administrators.
    pub admin: bool,
    /// Is in the group whose members must have a second factor.
    pub must_have_two: bool,
}

/// A public key of the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryKey {
    /// `SHA256:…`
    pub fingerprint: String,
    /// A FIDO key that must prove who uses it.
    pub demands_verification: bool,
}

/// Why the directory said nothing.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// No server answers.
    #[error("no server answers")]
    Unreachable(#[source] Option<ldap3::LdapError>),
    /// It is left alone for a moment.
    #[error("it did not answer a moment ago")]
    Resting,
    /// It takes too long.
    #[error("it takes too long")]
    Slow,
    /// It does not do what was asked.
    #[error("it refused a step")]
    Refused(#[source] ldap3::LdapError),
    /// Entries cannot be read without a password.
    #[error("it shows no entries to us")]
    Unseen,
    /// Too many are asking.
    #[error("too many logins at once")]
    Busy,
}

/// Why the directory cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A file.
    #[error("cannot read {}", path.display())]
    File {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The certificates.
    #[error("no certificate to check the directory against: {0}")]
    Certificates(String),
}

/// The directory.
#[derive(Debug, Clone)]
pub struct Directory {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    rules: Rules,
    tls: Arc<ClientConfig>,
    /// The searching account's DN and password.
    service: Option<(String, String)>,
    seats: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The server that answered last is asked first.
    first: usize,
    resting_until: Option<Instant>,
    believed: HashMap<UserName, (Instant, Option<Entry>)>,
}

impl Directory {
    /// Reads certificates and the searching account's password.
    ///
    /// # Errors
    /// [`SetupError`]
    pub fn new(rules: Rules) -> Result<Self, SetupError> {
        let tls = tls::config(rules.ca.as_deref())?;
        let service = tls::service(&rules.entry)?;
        let seats = Semaphore::new(AT_ONCE);
        Ok(Self { inner: Arc::new(Inner { rules, tls, service, seats, state: Mutex::default() }) })
    }

    /// The entry whose password this is; `None` for a wrong one and for nobody.
    ///
    /// # Errors
    /// [`DirectoryError`]
    pub async fn check(&self, user: &UserName, password: &str) -> Result<Option<Entry>, DirectoryError> {
        let inner = &self.inner;
        let entry = inner.bounded(async { inner.session().await?.check(user, password).await }).await?;
        if entry.is_some() {
            inner.believe(user, entry.clone());
        }
        Ok(entry)
    }

    /// The entry of somebody, without their password.
    ///
    /// # Errors
    /// [`DirectoryError`]
    pub async fn look_up(&self, user: &UserName) -> Result<Option<Entry>, DirectoryError> {
        let inner = &self.inner;
        if let Some(believed) = inner.believed(user) {
            return Ok(believed);
        }
        let entry = inner.bounded(async { inner.session().await?.look_up(user).await }).await?;
        inner.believe(user, entry.clone());
        Ok(entry)
    }
}

impl Inner {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn believed(&self, user: &UserName) -> Option<Option<Entry>> {
        let state = self.state();
        let (since, entry) = state.believed.get(user)?;
        (since.elapsed() < self.rules.cache).then(|| entry.clone())
    }

    fn believe(&self, user: &UserName, entry: Option<Entry>) {
        let mut state = self.state();
        if state.believed.len() >= MOST_BELIEVED {
            state.believed.clear();
        }
        state.believed.insert(user.clone(), (Instant::now(), entry));
    }

    async fn bounded<T>(
        &self,
        talk: impl Future<Output = Result<T, DirectoryError>>,
    ) -> Result<T, DirectoryError> {
        if self.state().resting_until.is_some_and(|until| Instant::now() < until) {
            return Err(DirectoryError::Resting);
        }
        let seat = timeout(self.rules.timeout, self.seats.acquire()).await;
        let Ok(Ok(_seat)) = seat else { return Err(DirectoryError::Busy) };
        let outcome = match timeout(self.rules.timeout * STEPS, talk).await {
            Ok(outcome) => outcome,
            Err(_) => Err(DirectoryError::Slow),
        };
        if let Err(e) = &outcome {
            tracing::warn!("directory: {}", crate::text::printable(&in_full(e)));
            if matches!(e, DirectoryError::Unreachable(_) | DirectoryError::Slow) {
                self.state().resting_until = Some(Instant::now() + REST);
            }
        }
        outcome
    }

    /// Connects to the first server that answers, beginning with the one that did last.
    async fn session(&self) -> Result<Session<'_>, DirectoryError> {
        let first = self.state().first;
        let count = self.rules.urls.len();
        let mut last = None;
        for n in 0..count {
            let index = (first + n) % count.max(1);
            let Some(url) = self.rules.urls.get(index) else { continue };
            match Session::connect(&self.rules, self.tls.clone(), self.service.as_ref(), url).await {
                Ok(session) => {
                    self.state().first = index;
                    return Ok(session);
                }
                Err(e) => {
                    tracing::warn!("directory {url}: {}", crate::text::printable(&in_full(&e)));
                    last = Some(e);
                }
            }
        }
        Err(DirectoryError::Unreachable(last))
    }
}
