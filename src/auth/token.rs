//! Personal tokens: 256 bits that let a program act as its owner, kept as hashes. They cannot be guessed, so one that is
//! right is never held up; what is wrong is throttled, so that nobody fills the audit log. They open no SSH, and cannot
//! change what opens the account.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::permissions::Permissions;
use super::{Attempt, Authenticator, Denial, Identity, OwnError, Why, account};
use crate::audit::{Event, Outcome};
use crate::config::AuthMethod;
use crate::store::TokenRecord;

/// So that leaks are found by those who look for them.
const PREFIX: &str = "clusteria_";
const BYTES: usize = 32;
const MOST: usize = 32;
const LABEL_CHARS: usize = 64;
/// Characters of the hash that name a token.
const ID_CHARS: usize = 12;
/// How exactly its last use is noted.
const NOTED: SignedDuration = SignedDuration::from_hours(1);

/// As the audit log has it.
const METHOD: &str = "token";

fn hash(token: &str) -> String {
    Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Authenticator {
    /// Makes a token: shown now and never again.
    ///
    /// # Errors
    /// [`OwnError`]
    pub async fn make_token(&self, who: &Identity, label: &str) -> Result<(String, TokenRecord), OwnError> {
        if self.tokens(who).await?.len() >= MOST {
            return Err(OwnError::TooManyTokens);
        }
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).map_err(|e| OwnError::Failed(e.to_string()))?;
        let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
        let hash = hash(&token);
        let label: String = crate::text::printable(label.trim()).chars().take(LABEL_CHARS).collect();
        let id: String = hash.chars().take(ID_CHARS).collect();
        let record = TokenRecord { id, label, created: Timestamp::now(), last_used: None };
        let (user, kept) = (who.user().clone(), record.clone());
        self.inner.ledger.run(move |l| l.add_token(&user, &hash, &kept)).await?;
        self.note_account(who, "token made", &record.id);
        Ok((token, record))
    }

    /// Their tokens.
    ///
    /// # Errors
    /// [`OwnError::Failed`]
    pub async fn tokens(&self, who: &Identity) -> Result<Vec<TokenRecord>, OwnError> {
        let user = who.user().clone();
        Ok(self.inner.ledger.run(move |l| l.tokens(&user)).await?)
    }

    /// Removes a token; false when there is none of this name.
    ///
    /// # Errors
    /// [`OwnError::Failed`]
    pub async fn remove_token(&self, who: &Identity, id: &str) -> Result<bool, OwnError> {
        let (user, name) = (who.user().clone(), id.to_owned());
        let gone = self.inner.ledger.run(move |l| l.remove_token(&user, &name)).await?;
        if gone {
            self.note_account(who, "token removed", id);
        }
        Ok(gone)
    }

    /// Who a token stands for, while their account is open.
    ///
    /// # Errors
    /// [`Denial::Wrong`]; [`Denial::Later`] where many wrong ones have come from, and then nothing is noted;
    /// [`Denial::Busy`] when the ledger does not answer.
    pub async fn by_token(&self, peer: SocketAddr, token: &str) -> Result<Identity, Denial> {
        match self.owner(token).await {
            Err(Denial::Wrong) => Err(self.wrong_token(peer).await),
            other => other,
        }
    }

    /// Charged to the address: the throttle knows no name for it.
    async fn wrong_token(&self, peer: SocketAddr) -> Denial {
        let guard = match self.admit(Attempt { name: "", peer, method: METHOD }).await {
            Ok(guard) => guard,
            Err(Why(denial, _)) => return denial,
        };
        let Why(denial, reason) = guard.wrong("no token of ours");
        self.inner.audit.note(Event::Login {
            user: String::new(),
            source: peer,
            method: METHOD,
            outcome: Outcome::Refused,
            reason: Some(reason),
            key: None,
        });
        denial
    }

    async fn owner(&self, token: &str) -> Result<Identity, Denial> {
        if !token.starts_with(PREFIX) || token.len() > 128 {
            return Err(Denial::Wrong);
        }
        let (hash, now) = (hash(token), Timestamp::now());
        let found = self.inner.ledger.run(move |l| l.token_user(&hash, now, now - NOTED)).await;
        let user = super::logged(found).ok_or(Denial::Busy)?.ok_or(Denial::Wrong)?;
        let account = self.account(&user).await.map_err(|Why(denial, _)| denial)?;
        account::standing(&account.record, now).map_err(|_| Denial::Wrong)?;
        let permissions = Permissions { enrolment: false, ..Permissions::ALL };
        let (user, uid) = (account.record.name, account.record.uid);
        Ok(Identity { user, uid, admin: account.admin, by: AuthMethod::PublicKey, permissions })
    }
}
