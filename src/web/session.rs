//! Who is signed in: cookies' secrets, kept as hashes. The ledger has the last word on who is, so that a gateway that
//! restarts or is replaced signs out nobody, and that a session ends with what opened it, whoever changes that. What is
//! to be said or shown once is in memory only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::auth::{Half, Identity, ReservationPassword};
use crate::complaint::Complaint;
use crate::error_chain::in_full;
use crate::reservation::{ReservationId, SlotId};
use crate::store::{Checked, Ledger, SessionRecord};

/// What is remembered of sessions: as many as the ledger keeps.
const MOST: usize = 20_000;
/// A second factor is asked for within this time.
const HALF_LIFE: Duration = Duration::from_secs(300);
const MOST_HALVES: usize = 2048;
/// A password that was just made can be read again for so long: a reload must not lose it.
const SHOWN: Duration = Duration::from_secs(900);
/// 256 bits.
const SECRET_BYTES: usize = 32;
/// What a form's token says of the cookie's secret.
const FORMS: &[u8] = b"clusteria form";

/// What a cookie holds.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(String);

impl Secret {
    /// `None` when the system has no randomness.
    pub(super) fn new() -> Option<Self> {
        let mut bytes = [0; SECRET_BYTES];
        getrandom::fill(&mut bytes).ok()?;
        Some(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// As it came; anything that we cannot have made is none.
    pub(super) fn read(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() == SECRET_BYTES).then(|| Self(text.to_owned()))
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    pub(super) fn key(&self) -> Key {
        Sha256::digest(&self.0).into()
    }
}

/// A secret's hash.
pub(super) type Key = [u8; 32];

/// As the ledger has it.
pub(super) fn hex(key: Key) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What forms carry: made of the cookie's secret, which who sends a form from elsewhere does not know. Nothing of the
/// gateway's is in it, so that a form is good also after a restart.
impl Secret {
    fn mac(&self) -> Option<Hmac<Sha256>> {
        Some(Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).ok()?.chain_update(FORMS))
    }

    pub(super) fn form_token(&self) -> String {
        self.mac().map(|mac| URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())).unwrap_or_default()
    }

    pub(super) fn is_form_token(&self, token: &str) -> bool {
        let given = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
        self.mac().is_some_and(|mac| mac.verify_slice(&given).is_ok())
    }
}

/// Somebody's session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) who: Identity,
    /// Whose password opened it, if it was a reservation's.
    pub(super) lent_by: Option<ReservationId>,
    began: Timestamp,
    until: Instant,
    memory: Mutex<Memory>,
    /// Rings when there is a password to show.
    bell: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Memory {
    /// What opened it, while the ledger has not taken it.
    unkept: Option<Checked>,
    wish: Option<SlotId>,
    notices: Vec<Notice>,
    shown: Option<(ReservationId, ReservationPassword, Instant)>,
}

/// Said once on the next page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) text: String,
    pub(super) bad: bool,
}

impl Session {
    fn new(who: Identity, lent_by: Option<ReservationId>, began: Timestamp, until: Instant) -> Self {
        let (memory, bell) = (Mutex::default(), watch::Sender::new(()));
        Self { who, lent_by, began, until, memory, bell }
    }

    fn is_over(&self) -> bool {
        self.until <= Instant::now()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What they wanted when they had to prove first who they are.
    pub(super) fn take_wish(&self) -> Option<SlotId> {
        self.memory().wish.take()
    }

    pub(super) fn wish(&self, slot: SlotId) {
        self.memory().wish = Some(slot);
    }

    pub(super) fn has_wish(&self) -> bool {
        self.memory().wish.is_some()
    }

    pub(super) fn say(&self, text: String, bad: bool) {
        let notices = &mut self.memory().notices;
        if notices.len() < 8 {
            notices.push(Notice { text, bad });
        }
    }

    pub(super) fn take_notices(&self) -> Vec<Notice> {
        std::mem::take(&mut self.memory().notices)
    }

    pub(super) fn show(&self, id: ReservationId, password: ReservationPassword) {
        self.memory().shown = Some((id, password, Instant::now()));
        self.bell.send_replace(());
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.bell.subscribe()
    }

    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// The password of this reservation, where it was made in this session a moment ago.
    pub(super) fn shown(&self, id: &ReservationId) -> Option<ReservationPassword> {
        let mut memory = self.memory();
        let is_fresh = |since: &Instant| since.elapsed() < SHOWN;
        memory.shown = memory.shown.take().filter(|(of, _, since)| of == id && is_fresh(since));
        memory.shown.as_ref().map(|(_, password, _)| password.clone())
    }
}

/// Has the ledger taken a session?
enum Kept {
    Yes,
    /// It could not write.
    NotNow,
    /// What opened it opens no more.
    Never,
}

/// Whose first factor was right, which slot they had chosen, and since when.
type Halves = HashMap<Key, (Half, Option<SlotId>, Instant)>;

/// All sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    ledger: Ledger,
    lifetime: Duration,
    /// What is remembered of those that have asked. Short sections, none awaits.
    open: Mutex<HashMap<Key, Arc<Session>>>,
    halves: Mutex<Halves>,
    unread: Complaint,
    unkept: Complaint,
}

impl Sessions {
    pub(super) fn new(ledger: Ledger, lifetime: Duration) -> Self {
        let (open, halves) = (Mutex::default(), Mutex::default());
        Self { ledger, lifetime, open, halves, unread: Complaint::default(), unkept: Complaint::default() }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Key, Arc<Session>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What began then is over.
    pub(super) fn too_old(&self) -> Timestamp {
        let lifetime = SignedDuration::try_from(self.lifetime).unwrap_or(SignedDuration::MAX);
        Timestamp::now().checked_sub(lifetime).unwrap_or(Timestamp::MIN)
    }

    /// By what was checked; `None` when that opens no more.
    pub(super) async fn begin(
        &self,
        secret: &Secret,
        who: Identity,
        checked: &Checked,
        wish: Option<SlotId>,
    ) -> Option<Arc<Session>> {
        // As exactly as the ledger has it, so that it is known again.
        let now = Timestamp::now().as_microsecond();
        let began = Timestamp::from_microsecond(now).unwrap_or(Timestamp::UNIX_EPOCH);
        let lent_by = checked.lent_by().cloned();
        let session = Session::new(who, lent_by, began, Instant::now() + self.lifetime);
        let unkept = match self.keep(secret, &session, checked).await {
            Kept::Yes => None,
            Kept::NotNow => Some(checked.clone()),
            Kept::Never => return None,
        };
        *session.memory() = Memory { unkept, wish, ..Memory::default() };
        Some(self.remember(secret.key(), session))
    }

    /// Writes it down. Until that is done it holds in this process only.
    async fn keep(&self, secret: &Secret, session: &Session, checked: &Checked) -> Kept {
        let Ok(identity) = serde_json::to_string(&session.who) else { return Kept::NotNow };
        let (user, lent_by) = (session.who.user().clone(), session.lent_by.clone());
        let record = SessionRecord { user, identity, began: session.began, lent_by };
        let (hash, checked, too_old) = (hex(secret.key()), checked.clone(), self.too_old());
        match self.ledger.run(move |l| l.begin_session(&hash, &record, &checked, too_old)).await {
            Ok(true) => Kept::Yes,
            Ok(false) => Kept::Never,
            Err(e) => {
                if let Some(unsaid) = self.unkept.again(std::time::Instant::now()) {
                    tracing::warn!(unsaid, "a session of the page is not kept: {}", in_full(&e));
                }
                Kept::NotNow
            }
        }
    }

    /// One that could not be written down when it began; one that could has been ended.
    async fn keep_again(&self, secret: &Secret, session: Arc<Session>) -> Option<Arc<Session>> {
        let unkept = session.memory().unkept.clone();
        let Some(checked) = unkept else {
            // Another request of theirs may have written it since we looked.
            let hash = hex(secret.key());
            let there = self.ledger.run(move |l| l.session(&hash)).await;
            return (!matches!(there, Ok(None))).then_some(session);
        };
        match self.keep(secret, &session, &checked).await {
            Kept::Yes => session.memory().unkept = None,
            Kept::NotNow => return Some(session),
            Kept::Never => return None,
        }
        let is_open = self.open().get(&secret.key()).is_some_and(|open| Arc::ptr_eq(open, &session));
        if !is_open {
            // It was ended while it was written.
            self.end(secret).await;
        }
        is_open.then_some(session)
    }

    /// What is there already is the same to all who ask: what is said or shown once is in it.
    fn remember(&self, key: Key, session: Session) -> Arc<Session> {
        let session = Arc::new(session);
        let mut open = self.open();
        if let Some(there) = open.get(&key).filter(|there| there.began == session.began) {
            return there.clone();
        }
        if open.len() >= MOST {
            open.retain(|_, other| !other.is_over());
        }
        if open.len() >= MOST {
            let oldest = open.iter().min_by_key(|(_, other)| other.began).map(|(key, _)| *key);
            oldest.and_then(|key| open.remove(&key));
        }
        open.insert(key, session.clone());
        session
    }

    pub(super) async fn find(&self, secret: &Secret) -> Option<Arc<Session>> {
        let (key, hash) = (secret.key(), hex(secret.key()));
        let found = self.ledger.run(move |l| l.session(&hash)).await;
        let remembered = self.open().get(&key).cloned();
        let session = match found {
            Ok(Some(record)) => match remembered.filter(|session| session.began == record.began) {
                Some(session) => Some(session),
                None => self.resume(key, &record),
            },
            Ok(None) => match remembered {
                Some(session) => self.keep_again(secret, session).await,
                None => None,
            },
            // When the ledger cannot say, what runs goes on.
            Err(e) => {
                if let Some(unsaid) = self.unread.again(std::time::Instant::now()) {
                    tracing::error!(unsaid, "the page's sessions cannot be read: {}", in_full(&e));
                }
                remembered
            }
        };
        let session = session.filter(|session| !session.is_over());
        if session.is_none() {
            self.open().remove(&key);
        }
        session
    }

    /// One that another process has begun.
    fn resume(&self, key: Key, record: &SessionRecord) -> Option<Arc<Session>> {
        let who = serde_json::from_str(&record.identity).ok()?;
        // Not if it is from the future: the clock has been set.
        let age = Duration::try_from(Timestamp::now().duration_since(record.began)).ok()?;
        let until = Instant::now() + self.lifetime.checked_sub(age)?;
        Some(self.remember(key, Session::new(who, record.lent_by.clone(), record.began, until)))
    }

    pub(super) async fn end(&self, secret: &Secret) {
        self.open().remove(&secret.key());
        let hash = hex(secret.key());
        let ended = self.ledger.run(move |l| l.end_session(&hash)).await;
        let _ = ended.inspect_err(|e| tracing::error!("a session of the page goes on: {}", in_full(e)));
    }

    fn halves(&self) -> MutexGuard<'_, Halves> {
        self.halves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn keep_half(&self, secret: &Secret, half: Half, wish: Option<SlotId>) {
        let mut halves = self.halves();
        if halves.len() >= MOST_HALVES {
            halves.retain(|_, (_, _, since)| since.elapsed() < HALF_LIFE);
        }
        if halves.len() < MOST_HALVES {
            halves.insert(secret.key(), (half, wish, Instant::now()));
        }
    }

    pub(super) fn half(&self, secret: &Secret) -> Option<(Half, Option<SlotId>)> {
        let halves = self.halves();
        let (half, wish, since) = halves.get(&secret.key())?;
        (since.elapsed() < HALF_LIFE).then(|| (half.clone(), wish.clone()))
    }

    pub(super) fn forget_half(&self, secret: &Secret) {
        self.halves().remove(&secret.key());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::auth::permissions::Permissions;
    use crate::config::AuthMethod;

    struct Fixture {
        sessions: Sessions,
        secret: Secret,
        ada: Identity,
        folder: tempfile::TempDir,
    }

    fn fixture() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("l.db")).unwrap();
        ledger.add_user(&"ada".parse().unwrap(), Some("own"), Timestamp::now()).unwrap();
        let ada = json!({ "user": "ada", "uid": 1000, "admin": false, "by": AuthMethod::Password,
            "permissions": Permissions::ALL });
        let sessions = Sessions::new(ledger, Duration::from_secs(3600));
        Fixture {
            sessions,
            secret: Secret::new().unwrap(),
            ada: serde_json::from_value(ada).unwrap(),
            folder,
        }
    }

    impl Fixture {
        async fn begin(&self, hash: &str) -> Option<Arc<Session>> {
            let checked = Checked::Account(Some(hash.to_owned()));
            self.sessions.begin(&self.secret, self.ada.clone(), &checked, None).await
        }

        fn record(&self) -> Option<SessionRecord> {
            self.sessions.ledger.session(&hex(self.secret.key())).unwrap()
        }

        /// The ledger fails, or works again.
        fn rename(&self, from: &str, to: &str) {
            let other = rusqlite::Connection::open(self.folder.path().join("l.db")).unwrap();
            other.execute(&format!("ALTER TABLE {from} RENAME TO {to}"), []).unwrap();
        }
    }

    #[tokio::test]
    async fn no_session_begins_by_a_password_that_has_just_been_changed() {
        let f = fixture();
        assert!(f.begin("before").await.is_none() && f.sessions.find(&f.secret).await.is_none());
        assert!(f.begin("own").await.is_some() && f.sessions.find(&f.secret).await.is_some());
    }

    #[tokio::test]
    async fn two_first_requests_after_a_restart_share_one_session() {
        let f = fixture();
        f.begin("own").await.unwrap();
        let after = Sessions::new(f.sessions.ledger.clone(), Duration::from_secs(3600));
        let [one, two] = [(); 2].map(|()| after.resume(f.secret.key(), &f.record().unwrap()).unwrap());
        assert!(Arc::ptr_eq(&one, &two));
        assert!(Arc::ptr_eq(&one, &after.find(&f.secret).await.unwrap()));
    }

    #[tokio::test]
    async fn what_the_ledger_could_not_take_it_takes_when_it_can() {
        let f = fixture();
        f.rename("sessions", "elsewhere");
        f.begin("own").await.unwrap();
        assert!(f.sessions.find(&f.secret).await.is_some(), "it holds meanwhile");
        f.rename("elsewhere", "sessions");
        assert!(f.record().is_none());
        assert!(f.sessions.find(&f.secret).await.is_some() && f.record().is_some());
        f.sessions.ledger.end_session(&hex(f.secret.key())).unwrap();
        assert!(f.sessions.find(&f.secret).await.is_none(), "and then its end counts");
    }

    #[tokio::test]
    async fn what_the_ledger_takes_late_must_still_be_right() {
        let f = fixture();
        f.rename("sessions", "elsewhere");
        f.begin("own").await.unwrap();
        f.rename("elsewhere", "sessions");
        f.sessions.ledger.set_password(f.ada.user(), "another").unwrap();
        assert!(f.sessions.find(&f.secret).await.is_none() && f.record().is_none());
    }
}
