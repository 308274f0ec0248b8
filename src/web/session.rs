//! Who is signed in: cookies' secrets, kept as hashes and in memory only. A gateway that restarts asks everybody to
//! sign in again; what they have reserved goes on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::auth::{Half, Identity, ReservationPassword};
use crate::reservation::{ReservationId, SlotId, UserName};

/// Sessions in all, and of one user: the oldest give way.
const MOST: usize = 20_000;
const MOST_OF_ONE: usize = 32;
/// A second factor is asked for within this time.
const HALF_LIFE: Duration = Duration::from_secs(300);
const MOST_HALVES: usize = 2048;
/// A password that was just made can be read again for so long: a reload must not lose it.
const SHOWN: Duration = Duration::from_secs(900);
/// 256 bits.
const SECRET_BYTES: usize = 32;

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

/// Proves that a form was made by us for this cookie.
pub(super) struct Seal([u8; SECRET_BYTES]);

impl Seal {
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        let mut key = [0; SECRET_BYTES];
        getrandom::fill(&mut key)?;
        Ok(Self(key))
    }

    fn mac(&self, secret: &Secret) -> Option<Hmac<Sha256>> {
        Some(Hmac::<Sha256>::new_from_slice(&self.0).ok()?.chain_update(secret.0.as_bytes()))
    }

    pub(super) fn token(&self, secret: &Secret) -> String {
        self.mac(secret).map(|mac| URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())).unwrap_or_default()
    }

    pub(super) fn is_right(&self, secret: &Secret, token: &str) -> bool {
        let given = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
        self.mac(secret).is_some_and(|mac| mac.verify_slice(&given).is_ok())
    }
}

/// Somebody's session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) who: Identity,
    began: Instant,
    until: Instant,
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
    lifetime: Duration,
    /// Short sections, none awaits.
    open: Mutex<HashMap<Key, Arc<Session>>>,
    halves: Mutex<Halves>,
}

impl Sessions {
    pub(super) fn new(lifetime: Duration) -> Self {
        Self { lifetime, open: Mutex::default(), halves: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Key, Arc<Session>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self, secret: &Secret, who: Identity, wish: Option<SlotId>) -> Arc<Session> {
        let began = Instant::now();
        let memory = Mutex::new(Memory { wish, ..Memory::default() });
        let session = Arc::new(Session {
            who,
            began,
            until: began + self.lifetime,
            memory,
            bell: watch::Sender::new(()),
        });
        let mut open = self.open();
        if open.len() >= MOST {
            open.retain(|_, session| session.until > began);
        }
        let oldest = |open: &HashMap<Key, Arc<Session>>, user: Option<&UserName>| {
            let mine = open.iter().filter(|(_, s)| user.is_none_or(|user| s.who.user() == user));
            mine.min_by_key(|(_, session)| session.began).map(|(key, _)| *key)
        };
        let user = session.who.user();
        let full = open.len() >= MOST;
        let crowded = open.values().filter(|other| other.who.user() == user).count() >= MOST_OF_ONE;
        if let Some(key) = (full || crowded).then(|| oldest(&open, crowded.then_some(user))).flatten() {
            open.remove(&key);
        }
        open.insert(secret.key(), session.clone());
        session
    }

    pub(super) fn find(&self, secret: &Secret) -> Option<Arc<Session>> {
        let mut open = self.open();
        let key = secret.key();
        if open.get(&key)?.until <= Instant::now() {
            open.remove(&key);
        }
        open.get(&key).cloned()
    }

    pub(super) fn end(&self, secret: &Secret) {
        self.open().remove(&secret.key());
    }

    pub(super) fn count(&self) -> usize {
        self.open().len()
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
