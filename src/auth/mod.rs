//! Who are you: a credential → an [`Identity`], which nothing else can make.
//!
//! Every try goes the same way: the throttle lets it through or says when, the credential is checked, the account
//! must be open, a second factor may be asked for; what came of it is noted in the throttle and in the audit log.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep, sleep_until};

use crate::audit::{Audit, Event, Outcome as Noted};
use crate::config::{Auth as Rules, AuthMethod};
use crate::error_chain::in_full;
use crate::reservation::UserName;
use crate::store::{KeyRecord, Ledger, Origin, StoreError, UserRecord};
use crate::text::printable;

pub mod account;
pub mod authorized_key;
pub mod certificate;
pub mod directory;
pub mod fido;
mod guard;
pub mod hasher;
mod own;
pub mod password;
pub mod permissions;
pub mod reservation_password;
pub mod tailnet;
pub mod throttle;
mod token;
pub mod totp;

pub use reservation_password::ReservationPassword;

pub use own::{MAX_PASSWORD, OwnError, PasswordChange, check_new as check_new_password};

use account::{Factor, Shut};
use authorized_key::demands_verification;
use certificate::{Authorities, AuthorityError, Shown, decide};
use directory::{Directory, Entry, SetupError};
use guard::Guard;
use hasher::{Hasher, Lane};
use permissions::Permissions;
use tailnet::Tailnet;
use throttle::{Outcome, Source, Throttle, Verdict};

/// A refusal takes at least this long, whatever was wrong; one that takes longer takes a multiple of it.
const REFUSAL_TIME: Duration = Duration::from_millis(400);
/// Names are kept in memory by this much of them.
const NAME_CHARS: usize = 64;
/// Good addresses that are read from the ledger at the start.
const GOOD_SOURCES: usize = 16_384;

/// Somebody who has proved who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
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
        self.admin
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
    /// They are in.
    In(Identity),
    /// The first factor was right.
    Half(Half),
    /// They are not in.
    Out(Denial),
}

/// Somebody whose first factor was right.
#[derive(Debug, Clone)]
pub struct Half {
    identity: Identity,
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

/// An open account, and whether it is an administrator's by what is known now.
#[derive(Debug)]
struct Account {
    record: UserRecord,
    admin: bool,
}

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

    /// Checks a password: the ledger's, or the directory's.
    pub async fn password(&self, who: Attempt<'_>, password: &str) -> Login {
        let started = Instant::now();
        let outcome = self.try_password(who, password).await;
        self.conclude(who, None, outcome, started).await
    }

    async fn try_password(&self, who: Attempt<'_>, password: &str) -> Result<Login, Why> {
        let guard = self.admit(who).await?;
        let lane = if guard.is_good() { Lane::Known } else { Lane::Stranger };
        let checked = self.check_password(who.name, password, lane).await;
        self.finish(guard, checked, AuthMethod::Password, Permissions::ALL)
    }

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
    async fn try_key(&self, who: Attempt<'_>, fingerprint: &str) -> Result<Login, Why> {
        let user: UserName = who.name.parse().map_err(|_| Why(Denial::Wrong, "no user name"))?;
        let enrolled = self.inner.key_is_enrolled(&user, fingerprint).await;
        if !enrolled && !self.key_is_in_directory(&user, fingerprint).await {
            return Err(Why(Denial::Wrong, "not a key of theirs"));
        }
        let account = self.account(&user).await;
        let guard = Guard::unthrottled(self, who);
        let login = self.finish(guard, account, AuthMethod::PublicKey, Permissions::ALL)?;
        if enrolled {
            self.inner.note_key_use(user, fingerprint.to_owned()).await;
        }
        Ok(login)
    }

    /// Might this certificate open this account? Says nothing about who holds it.
    pub async fn certificate_is_fit(&self, who: Attempt<'_>, shown: &Shown<'_>) -> bool {
        let Ok(user) = who.name.parse::<UserName>() else { return false };
        self.permissions_of(who, shown).is_ok() && self.account(&user).await.is_ok()
    }

    /// Makes an identity from a certificate whose signatures, the authority's and the holder's, have been verified by
    /// the caller.
    pub async fn verified_certificate(&self, who: Attempt<'_>, shown: &Shown<'_>, key: &str) -> Login {
        let started = Instant::now();
        let outcome = self.try_certificate(who, shown).await;
        self.conclude(who, Some(key), outcome, started).await
    }

    async fn try_certificate(&self, who: Attempt<'_>, shown: &Shown<'_>) -> Result<Login, Why> {
        let user: UserName = who.name.parse().map_err(|_| Why(Denial::Wrong, "no user name"))?;
        let permissions = self.permissions_of(who, shown)?;
        let account = self.account(&user).await;
        self.finish(Guard::unthrottled(self, who), account, AuthMethod::PublicKey, permissions)
    }

    fn permissions_of(&self, who: Attempt<'_>, shown: &Shown<'_>) -> Result<Permissions, Why> {
        let now = u64::try_from(Timestamp::now().as_second()).unwrap_or_default();
        decide(shown, &self.inner.authorities, who.name, who.peer.ip(), now).map_err(|unfit| {
            let user = printable(&short(who.name));
            tracing::info!(client = %who.peer, user, "certificate refused: {}", printable(&unfit.to_string()));
            Why(Denial::Wrong, "the certificate is not fit")
        })
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

    /// Who the tailnet says that the peer is; nothing is noted of those whom it does not know.
    pub async fn tailnet(&self, who: Attempt<'_>) -> Option<Login> {
        let tailnet = self.inner.tailnet.as_ref()?;
        let user = tailnet.ask(who.peer).await?;
        let started = Instant::now();
        if user.as_str() != who.name {
            tracing::info!(client = %who.peer, user = printable(who.name), %user, "the tailnet knows them by another name");
            return None;
        }
        let mut account = self.account(&user).await;
        if tailnet.rules().new_users && matches!(account, Err(Why(Denial::Wrong, UNKNOWN))) {
            account = self.inner.add_from_tailnet(&user).await;
        }
        let guard = Guard::unthrottled(self, who);
        let outcome = self.finish(guard, account, AuthMethod::Tailnet, Permissions::ALL);
        Some(self.conclude(who, None, outcome, started).await)
    }

    /// Checks the code that follows a first factor.
    pub async fn code(&self, who: Attempt<'_>, half: Half, code: &str) -> Login {
        let started = Instant::now();
        let outcome = self.try_code(who, half, code).await;
        self.conclude(who, None, outcome, started).await
    }

    async fn try_code(&self, who: Attempt<'_>, half: Half, code: &str) -> Result<Login, Why> {
        let guard = self.admit(who).await?;
        let now = u64::try_from(Timestamp::now().as_second()).unwrap_or_default();
        let Some(step) = totp::step_of(&half.secret, code, now) else {
            return Err(guard.wrong("wrong code"));
        };
        let (user, secret) = (half.identity.user.clone(), half.fresh.then(|| half.secret.clone()));
        let taken = self.inner.ledger.run(move |l| {
            let enrolled = secret.is_none_or(|secret| l.enrol_totp(&user, &secret).unwrap_or(false));
            Ok(enrolled && l.take_totp_step(&user, step)?)
        });
        match logged(taken.await) {
            Some(true) => {
                guard.right();
                Ok(Login::In(half.identity))
            }
            Some(false) => Err(guard.wrong("a code that was taken before")),
            None => Err(Why(Denial::Busy, "the ledger failed")),
        }
    }

    /// Is somebody who has logged in an administrator still?
    pub async fn is_admin(&self, who: &Identity) -> bool {
        let account = self.account(&who.user).await;
        account.is_ok_and(|account| {
            account.admin && account::standing(&account.record, Timestamp::now()).is_ok()
        })
    }

    /// How long logins from there are refused now, to be told before they try.
    #[must_use]
    pub fn refused_for(&self, name: Option<&str>, address: IpAddr) -> Option<Duration> {
        let name = name.map(short);
        self.inner.throttle().refused_for(name.as_deref(), address.into(), self.inner.now())
    }

    /// Asks the throttle, and waits where it says so.
    async fn admit<'a>(&self, who: Attempt<'a>) -> Result<Guard, Why> {
        let (name, source) = (short(who.name), Source::from(who.peer.ip()));
        let verdict = self.inner.throttle().begin(&name, source, self.inner.now());
        match verdict {
            Verdict::Refuse(time) => Err(Why(Denial::Later(time), "throttled")),
            Verdict::Check(wait) => {
                let guard = Guard::throttled(self, name, source);
                sleep(wait).await;
                Ok(guard)
            }
        }
    }

    async fn check_password(&self, name: &str, password: &str, lane: Lane) -> Result<Account, Why> {
        // An impossible name costs the same steps as an unknown one.
        let user = name.parse::<UserName>().ok();
        let record = match &user {
            Some(user) => self.inner.find(user).await?,
            None => None,
        };
        let own = record.as_ref().and_then(|record| record.password.clone());
        let has_own = own.is_some();
        let lent = self.inner.reservation_password(user.clone()).await;
        let right = self.opens(password.to_owned(), [own, lent], lane).await?;
        match (record, user) {
            // Also of somebody from the directory whom an administrator has given a password: they must still be in it.
            (Some(_), Some(user)) if right => self.account(&user).await,
            (Some(record), _) if record.origin == Origin::Local || has_own => {
                Err(Why(Denial::Wrong, "wrong password"))
            }
            (record, Some(user)) => self.check_in_directory(record, &user, password).await,
            (None | Some(_), None) => Err(Why(Denial::Wrong, UNKNOWN)),
        }
    }

    /// Does the password fit one of these? All are tried, with the decoy where there is none: neither
    /// who exists, nor who has a reservation, nor which one fitted shows in the time it takes.
    async fn opens(&self, password: String, hashes: [Option<String>; 2], lane: Lane) -> Result<bool, Why> {
        let decoy = self.inner.decoy.clone();
        let work = move || {
            hashes.iter().fold(false, |opened, hash| {
                let fits = password::verify(&password, hash.as_deref().unwrap_or(&decoy));
                opened | (fits && hash.is_some())
            })
        };
        self.inner.hasher.run(lane, work).await.map_err(|_| Why(Denial::Busy, "too many logins at once"))
    }

    async fn check_in_directory(
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

    async fn key_is_in_directory(&self, user: &UserName, fingerprint: &str) -> bool {
        let Some(directory) = &self.inner.directory else { return false };
        // A local account is the ledger's alone: the directory's namesake is somebody else.
        if matches!(self.inner.find(user).await, Ok(Some(record)) if record.origin == Origin::Local) {
            return false;
        }
        let entry = directory.look_up(user).await.ok().flatten();
        entry.is_some_and(|entry| entry.keys.iter().any(|key| key.fingerprint == fingerprint))
    }

    /// The account of somebody who has proved by other means than a password who they are.
    async fn account(&self, user: &UserName) -> Result<Account, Why> {
        let record = self.inner.find(user).await?;
        if let Some(record) = record.as_ref().filter(|record| record.origin == Origin::Local) {
            return Ok(Account { admin: record.admin, record: record.clone() });
        }
        let looked_up = match &self.inner.directory {
            Some(directory) => Some(directory.look_up(user).await),
            None => None,
        };
        match (looked_up, record) {
            (Some(Ok(Some(entry))), record) => self.inner.member(record, user, &entry).await,
            (Some(Ok(None)), Some(_)) => Err(Why(Denial::Wrong, "not in the directory any more")),
            // It does not answer: who came in by it before goes on coming in.
            (Some(Err(_)) | None, Some(record)) => Ok(Account { admin: record.admin, record }),
            (Some(Ok(None) | Err(_)) | None, None) => Err(Why(Denial::Wrong, UNKNOWN)),
        }
    }

    /// The account must be open; then the factors are counted.
    fn finish(
        &self,
        guard: Guard,
        account: Result<Account, Why>,
        method: AuthMethod,
        permissions: Permissions,
    ) -> Result<Login, Why> {
        let account = match account {
            Ok(account) => account,
            Err(Why(Denial::Wrong, reason)) => return Err(guard.wrong(reason)),
            Err(why) => {
                guard.neither();
                return Err(why);
            }
        };
        match account::standing(&account.record, Timestamp::now()) {
            Ok(()) => {}
            Err(Shut::Disabled) => return Err(guard.wrong("the account is disabled")),
            Err(Shut::Expired) => return Err(guard.wrong("the account has expired")),
        }
        let Account { record, admin } = account;
        let identity = Identity { user: record.name, uid: record.uid, admin, by: method, permissions };
        let factor = account::second_factor(&self.inner.rules.totp, method, record.totp.is_some(), admin);
        match (factor, record.totp) {
            (Factor::Code, Some(secret)) => {
                guard.neither();
                Ok(Login::Half(Half { identity, secret, fresh: false }))
            }
            (Factor::Enrol, _) => {
                guard.neither();
                let secret = totp::new_secret().map_err(|_| Why(Denial::Busy, "no randomness"))?;
                Ok(Login::Half(Half { identity, secret, fresh: true }))
            }
            (Factor::Enough | Factor::Code, _) => {
                guard.right();
                Ok(Login::In(identity))
            }
        }
    }

    /// Notes what came of it; a refusal comes when it is due, whatever it was for.
    async fn conclude(
        &self,
        who: Attempt<'_>,
        key: Option<&str>,
        outcome: Result<Login, Why>,
        started: Instant,
    ) -> Login {
        let user = printable(&short(who.name));
        let (noted, reason) = match &outcome {
            Ok(Login::In(_)) => (Noted::Ok, None),
            Ok(Login::Half(_)) => (Noted::Partial, None),
            Ok(Login::Out(_)) => (Noted::Refused, None),
            Err(Why(_, reason)) => (Noted::Refused, Some(*reason)),
        };
        tracing::info!(client = %who.peer, user, method = who.method, outcome = ?noted, reason, "login");
        self.inner.audit.note(Event::Login {
            user,
            source: who.peer,
            method: who.method,
            outcome: noted,
            reason,
            key: key.map(str::to_owned),
        });
        match outcome {
            Ok(login) => login,
            Err(Why(denial, _)) => {
                sleep_until(due(started, Instant::now())).await;
                Login::Out(denial)
            }
        }
    }
}

const UNKNOWN: &str = "no such user";

impl Inner {
    fn throttle(&self) -> std::sync::MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hash of the user's live reservation; an impossible name costs the same look-up.
    async fn reservation_password(&self, user: Option<UserName>) -> Option<String> {
        let found = self.ledger.run(move |l| match &user {
            Some(user) => l.live_password(user, Timestamp::now()),
            None => Ok(None),
        });
        logged(found.await).flatten()
    }

    fn now(&self) -> Duration {
        // Not zero: what was never tried was last tried at zero.
        self.began.elapsed() + self.rules.throttle.forget + Duration::from_secs(1)
    }

    /// A try is over. Addresses that turn out good are remembered beyond a restart.
    fn end(self: &Arc<Self>, name: &str, source: Source, outcome: Outcome) {
        let now = self.now();
        let is_news = {
            let mut throttle = self.throttle();
            let was_good = throttle.is_good(name, source);
            throttle.end(name, source, outcome, now);
            outcome == Outcome::Right && !was_good
        };
        if is_news && let Ok(user) = name.parse::<UserName>() {
            let ledger = self.ledger.clone();
            tokio::spawn(async move {
                let source = source.to_string();
                logged(ledger.run(move |l| l.note_good_source(&user, &source, Timestamp::now())).await);
            });
        }
    }

    async fn find(&self, user: &UserName) -> Result<Option<UserRecord>, Why> {
        let user = user.clone();
        logged(self.ledger.run(move |l| l.user(&user)).await).ok_or(Why(Denial::Busy, "the ledger failed"))
    }

    async fn enrolled_keys(&self, user: &UserName) -> Vec<KeyRecord> {
        let user = user.clone();
        logged(self.ledger.run(move |l| l.keys(&user)).await).unwrap_or_default()
    }

    async fn key_is_enrolled(&self, user: &UserName, fingerprint: &str) -> bool {
        self.enrolled_keys(user).await.iter().any(|key| key.fingerprint == fingerprint)
    }

    async fn note_key_use(&self, user: UserName, fingerprint: String) {
        logged(self.ledger.run(move |l| l.key_used(&user, &fingerprint, Timestamp::now())).await);
    }

    /// Somebody whom the directory knows. At their first login they get their place in the ledger.
    async fn member(
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
        Ok(Account { admin: record.admin || entry.admin, record })
    }

    async fn add_from_directory(&self, user: &UserName, uid: Option<u32>) -> Result<UserRecord, Why> {
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

    async fn add_from_tailnet(&self, user: &UserName) -> Result<Account, Why> {
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
        Ok(Account { admin: record.admin, record })
    }
}

fn short(name: &str) -> String {
    name.chars().take(NAME_CHARS).collect()
}

/// When a refusal is told: at the end of the span of [`REFUSAL_TIME`] in which it was ready.
fn due(started: Instant, ready: Instant) -> Instant {
    let spans = ready.duration_since(started).as_millis() / REFUSAL_TIME.as_millis() + 1;
    started + REFUSAL_TIME * u32::try_from(spans).unwrap_or(1)
}

fn logged<T>(outcome: Result<T, StoreError>) -> Option<T> {
    outcome.inspect_err(|e| tracing::error!("login: {}", in_full(e))).ok()
}

#[cfg(test)]
mod tests;
