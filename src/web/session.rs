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
use crate::error_chain::in_full;
use crate::reservation::{ReservationId, SlotId};
use crate::store::{Ledger, SessionRecord};

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
    /// Is it in the ledger?
    kept: bool,
    memory: Mutex<Memory>,
    /// Rings when there is a password to show.
    bell: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Memory {
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
        Self { who, lent_by, began, until, kept: true, memory, bell }
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
}

impl Sessions {
    pub(super) fn new(ledger: Ledger, lifetime: Duration) -> Self {
        Self { ledger, lifetime, open: Mutex::default(), halves: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Key, Arc<Session>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What began then is over.
    pub(super) fn too_old(&self) -> Timestamp {
        let lifetime = SignedDuration::try_from(self.lifetime).unwrap_or(SignedDuration::MAX);
        Timestamp::now().checked_sub(lifetime).unwrap_or(Timestamp::MIN)
    }

    pub(super) async fn begin(
        &self,
        secret: &Secret,
        who: Identity,
        lent_by: Option<ReservationId>,
        wish: Option<SlotId>,
    ) -> Arc<Session> {
        // As exactly as the ledger has it, so that it is known again.
        let now = Timestamp::now().as_microsecond();
        let began = Timestamp::from_microsecond(now).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut session = Session::new(who, lent_by, began, Instant::now() + self.lifetime);
        session.kept = self.keep(secret, &session).await;
        session.memory().wish = wish;
        self.remember(secret.key(), session)
    }

    /// Writes it down, also again after something has ended it. When that fails it holds until the gateway restarts.
    pub(super) async fn keep(&self, secret: &Secret, session: &Session) -> bool {
        let Ok(identity) = serde_json::to_string(&session.who) else { return false };
        let (user, lent_by) = (session.who.user().clone(), session.lent_by.clone());
        let record = SessionRecord { user, identity, began: session.began, lent_by };
        let (hash, too_old) = (hex(secret.key()), self.too_old());
        let kept = self.ledger.run(move |l| l.begin_session(&hash, &record, too_old)).await;
        kept.inspect_err(|e| tracing::warn!("a session of the page is not kept: {}", in_full(e))).is_ok()
    }

    fn remember(&self, key: Key, session: Session) -> Arc<Session> {
        let session = Arc::new(session);
        let mut open = self.open();
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
            // It has been ended, if it was there.
            Ok(None) => remembered.filter(|session| !session.kept),
            // When the ledger cannot say, what runs goes on.
            Err(_) => remembered,
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
