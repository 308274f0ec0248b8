//! By an OpenSSH user certificate whose signatures have been verified.

use jiff::Timestamp;
use tokio::time::Instant;

use crate::auth::attempt::Proof;
use crate::auth::certificate::{Shown, decide};
use crate::auth::guard::Guard;
use crate::auth::{Attempt, Authenticator, Denial, Login, Permissions, Why, short};
use crate::reservation::UserName;
use crate::text::printable;

impl Authenticator {
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

    pub(in crate::auth) async fn try_certificate(
        &self,
        who: Attempt<'_>,
        shown: &Shown<'_>,
    ) -> Result<Login, Why> {
        let user: UserName = who.name.parse().map_err(|_| Why(Denial::Wrong, "no user name"))?;
        let permissions = self.permissions_of(who, shown)?;
        let account = self.account(&user).await;
        self.finish(Guard::unthrottled(self, who), account, Proof::by_certificate(permissions))
    }

    pub(in crate::auth) fn permissions_of(
        &self,
        who: Attempt<'_>,
        shown: &Shown<'_>,
    ) -> Result<Permissions, Why> {
        let now = u64::try_from(Timestamp::now().as_second()).unwrap_or_default();
        decide(shown, &self.inner.authorities, who.name, who.peer.ip(), now).map_err(|unfit| {
            let user = printable(&short(who.name));
            tracing::info!(client = %who.peer, user, "certificate refused: {}", printable(&unfit.to_string()));
            Why(Denial::Wrong, "the certificate is not fit")
        })
    }
}
