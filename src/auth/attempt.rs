//! The course of a try, the same for every method: admitted by the throttle, finished by the account's standing and the
//! factors, concluded in the audit log; a refusal is told when it is due.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep, sleep_until};

use super::account::{self, Factor, Shut};
use super::guard::Guard;
use super::people::Account;
use super::throttle::{Outcome, Source, Verdict};
use super::{
    Attempt, Authenticator, Denial, Half, Identity, Inner, Login, Permissions, Why, logged, short, totp,
};
use crate::audit::{Event, Outcome as Noted};
use crate::config::AuthMethod;
use crate::reservation::{ReservationId, UserName};
use crate::store::Checked;
use crate::text::printable;

/// A refusal takes at least this long, whatever was wrong; one that takes longer takes a multiple of it.
pub(super) const REFUSAL_TIME: Duration = Duration::from_millis(400);

/// What was proved, and how.
pub(super) struct Proof {
    method: AuthMethod,
    checked: Checked,
    permissions: Permissions,
    /// No second factor is asked, whatever the rules.
    is_enough: bool,
}

impl Proof {
    /// By one of the account's own credentials.
    pub(super) fn by(method: AuthMethod) -> Self {
        Self { method, checked: Checked::Elsewhere, permissions: Permissions::ALL, is_enough: false }
    }

    /// By the account's password, which had this hash; without one, by the directory's.
    pub(super) fn by_password(hash: Option<String>) -> Self {
        Self { checked: Checked::Account(hash), ..Self::by(AuthMethod::Password) }
    }

    /// By a certificate with these permissions.
    pub(super) fn by_certificate(permissions: Permissions) -> Self {
        Self { permissions, ..Self::by(AuthMethod::PublicKey) }
    }

    /// By a reservation's password, which had this hash: who was shown it had logged in before, with every factor that was
    /// asked.
    pub(super) fn by_reservation((id, hash): (ReservationId, String)) -> Self {
        let checked = Checked::Reservation(id, hash);
        Self { method: AuthMethod::Password, checked, permissions: Permissions::RESERVATION, is_enough: true }
    }
}

impl Authenticator {
    /// Asks the throttle, and waits where it says so.
    pub(in crate::auth) async fn admit<'a>(&self, who: Attempt<'a>) -> Result<Guard, Why> {
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

    /// The account must be open; then the factors are counted.
    pub(in crate::auth) fn finish(
        &self,
        guard: Guard,
        account: Result<Account, Why>,
        proof: Proof,
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
        let Account { record, admin, must_have_two } = account;
        let Proof { method, checked, permissions, is_enough } = proof;
        let identity = Identity { user: record.name, uid: record.uid, admin, by: method, permissions };
        let factor = if is_enough {
            Factor::Enough
        } else {
            let must = must_have_two || account::must_have_two(&self.inner.rules.totp, admin);
            account::second_factor(&self.inner.rules.totp, method, record.totp.is_some(), must)
        };
        match (factor, record.totp) {
            (Factor::Code, Some(secret)) => {
                guard.neither();
                Ok(Login::Half(Half { identity, checked, secret, fresh: false }))
            }
            (Factor::Enrol, _) => {
                guard.neither();
                let secret = totp::new_secret().map_err(|_| Why(Denial::Busy, "no randomness"))?;
                Ok(Login::Half(Half { identity, checked, secret, fresh: true }))
            }
            (Factor::Enough | Factor::Code, _) => {
                guard.right();
                Ok(Login::In(identity, checked))
            }
        }
    }

    /// Notes what came of it; a refusal comes when it is due, whatever it was for.
    pub(in crate::auth) async fn conclude(
        &self,
        who: Attempt<'_>,
        key: Option<&str>,
        outcome: Result<Login, Why>,
        started: Instant,
    ) -> Login {
        let user = printable(&short(who.name));
        let (noted, reason) = match &outcome {
            Ok(Login::In(..)) => (Noted::Ok, None),
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

impl Inner {
    /// A try is over. Addresses that turn out good are remembered beyond a restart.
    pub(in crate::auth) fn end(self: &Arc<Self>, name: &str, source: Source, outcome: Outcome) {
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
}

/// When a refusal is told: at the end of the span of [`REFUSAL_TIME`] in which it was ready.
pub(super) fn due(started: Instant, ready: Instant) -> Instant {
    let spans = ready.duration_since(started).as_millis() / REFUSAL_TIME.as_millis() + 1;
    started + REFUSAL_TIME * u32::try_from(spans).unwrap_or(1)
}
