//! The code of the second factor, after a first one.

use jiff::Timestamp;
use tokio::time::Instant;

use crate::auth::{Attempt, Authenticator, Denial, Half, Login, Why, logged, totp};

impl Authenticator {
    /// Checks the code that follows a first factor.
    pub async fn code(&self, who: Attempt<'_>, half: Half, code: &str) -> Login {
        let started = Instant::now();
        let outcome = self.try_code(who, half, code).await;
        self.conclude(who, None, outcome, started).await
    }

    pub(in crate::auth) async fn try_code(
        &self,
        who: Attempt<'_>,
        half: Half,
        code: &str,
    ) -> Result<Login, Why> {
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
                Ok(Login::In(half.identity, half.checked))
            }
            Some(false) => Err(guard.wrong("a code that was taken before")),
            None => Err(Why(Denial::Busy, "the ledger failed")),
        }
    }
}
