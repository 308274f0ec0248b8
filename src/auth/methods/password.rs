//! By password: the ledger's, the directory's, or the reservation's own.

use jiff::Timestamp;
use tokio::time::Instant;

use crate::auth::attempt::Proof;
use crate::auth::hasher::Lane;
use crate::auth::people::{Account, UNKNOWN};
use crate::auth::{Attempt, Authenticator, Denial, Inner, Login, Why, logged, password};
use crate::config::AuthMethod;
use crate::reservation::{ReservationId, UserName};
use crate::store::Origin;

impl Authenticator {
    /// Checks a password: the ledger's, or the directory's.
    pub async fn password(&self, who: Attempt<'_>, password: &str) -> Login {
        let started = Instant::now();
        let outcome = self.try_password(who, password).await;
        self.conclude(who, None, outcome, started).await
    }

    pub(in crate::auth) async fn try_password(&self, who: Attempt<'_>, password: &str) -> Result<Login, Why> {
        let guard = self.admit(who).await?;
        let lane = if guard.is_good() { Lane::Known } else { Lane::Stranger };
        match self.check_password(who.name, password, lane).await {
            Ok((account, proof)) => self.finish(guard, Ok(account), proof),
            Err(why) => self.finish(guard, Err(why), Proof::by(AuthMethod::Password)),
        }
    }

    pub(in crate::auth) async fn check_password(
        &self,
        name: &str,
        password: &str,
        lane: Lane,
    ) -> Result<(Account, Proof), Why> {
        // An impossible name costs the same steps as an unknown one.
        let user = name.parse::<UserName>().ok();
        let record = match &user {
            Some(user) => self.inner.find(user).await?,
            None => None,
        };
        let own = record.as_ref().and_then(|record| record.password.clone());
        let has_own = own.is_some();
        let lent = self.inner.reservation_password(user.clone()).await;
        let hashes = [own.clone(), lent.as_ref().map(|(_, hash)| hash.clone())];
        let [is_own, is_lent] = self.opens(password.to_owned(), hashes, lane).await?;
        let (by_own, by_lent) = (Proof::by_password(own), lent.map(Proof::by_reservation));
        match (record, user, by_lent) {
            // Also of somebody from the directory whom an administrator has given a password: they must still be in it.
            (Some(_), Some(user), _) if is_own => Ok((self.account(&user).await?, by_own)),
            (Some(_), Some(user), Some(by_lent)) if is_lent => Ok((self.account(&user).await?, by_lent)),
            (Some(record), ..) if record.origin == Origin::Local || has_own => {
                Err(Why(Denial::Wrong, "wrong password"))
            }
            (record, Some(user), _) => Ok((self.check_in_directory(record, &user, password).await?, by_own)),
            (None | Some(_), None, _) => Err(Why(Denial::Wrong, UNKNOWN)),
        }
    }

    /// Which of these does the password fit? All are tried, with the decoy where there is none: neither
    /// who exists, nor who has a reservation, nor which one fitted shows in the time it takes.
    pub(in crate::auth) async fn opens(
        &self,
        password: String,
        hashes: [Option<String>; 2],
        lane: Lane,
    ) -> Result<[bool; 2], Why> {
        let decoy = self.inner.decoy.clone();
        let work = move || {
            hashes.map(|hash| {
                let fits = password::verify(&password, hash.as_deref().unwrap_or(&decoy));
                fits && hash.is_some()
            })
        };
        self.inner.hasher.run(lane, work).await.map_err(|_| Why(Denial::Busy, "too many logins at once"))
    }
}

impl Inner {
    /// The hash of the user's live reservation; an impossible name costs the same look-up.
    pub(in crate::auth) async fn reservation_password(
        &self,
        user: Option<UserName>,
    ) -> Option<(ReservationId, String)> {
        let found = self.ledger.run(move |l| match &user {
            Some(user) => l.live_password(user, Timestamp::now()),
            None => Ok(None),
        });
        logged(found.await).flatten()
    }
}
