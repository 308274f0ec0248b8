//! Personal tokens: 256 bits that let a program act as its owner, kept as hashes. They cannot be guessed, so they are
//! not throttled; they open no SSH, and cannot change what opens the account.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::permissions::Permissions;
use super::{Authenticator, Identity, OwnError, account};
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
    pub async fn by_token(&self, peer: SocketAddr, token: &str) -> Option<Identity> {
        let found = self.owner(token).await;
        if found.is_none() {
            let (user, outcome, reason) = (String::new(), Outcome::Refused, Some("no token of ours"));
            self.inner.audit.note(Event::Login {
                user,
                source: peer,
                method: "token",
                outcome,
                reason,
                key: None,
            });
        }
        found
    }

    async fn owner(&self, token: &str) -> Option<Identity> {
        if !token.starts_with(PREFIX) || token.len() > 128 {
            return None;
        }
        let (hash, now) = (hash(token), Timestamp::now());
        let found = self.inner.ledger.run(move |l| l.token_user(&hash, now, now - NOTED)).await;
        let account = self.account(&super::logged(found)??).await.ok()?;
        account::standing(&account.record, now).ok()?;
        let permissions = Permissions { enrolment: false, ..Permissions::ALL };
        let (user, uid) = (account.record.name, account.record.uid);
        Some(Identity { user, uid, admin: account.admin, by: AuthMethod::PublicKey, permissions })
    }
}
