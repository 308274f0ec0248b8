//! By what the tailnet says of the peer.

use tokio::time::Instant;

use crate::auth::attempt::Proof;
use crate::auth::guard::Guard;
use crate::auth::people::UNKNOWN;
use crate::auth::{Attempt, Authenticator, Denial, Login, Why};
use crate::config::AuthMethod;
use crate::text::printable;

impl Authenticator {
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
        let outcome = self.finish(guard, account, Proof::by(AuthMethod::Tailnet));
        Some(self.conclude(who, None, outcome, started).await)
    }
}
