//! Personal tokens of the API: their hashes, whose they are, what for.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::{Ledger, StoreError, parse};
use crate::reservation::UserName;

/// A token as its owner sees it in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its name: the beginning of its hash.
    pub id: String,
    /// What its owner wrote about it.
    pub label: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last used, to the hour.
    pub last_used: Option<Timestamp>,
}

impl Ledger {
    /// Keeps a new token's hash.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn add_token(&self, user: &UserName, hash: &str, token: &TokenRecord) -> Result<(), StoreError> {
        self.with(|c| {
            c.execute(
                "INSERT INTO tokens (hash, id, user, label, created) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![hash, token.id, user.as_str(), token.label, token.created.to_string()],
            )?;
            Ok(())
        })
    }

    /// Whose token has this hash; notes that it was used, where the last note is older than `noted_before`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn token_user(
        &self,
        hash: &str,
        now: Timestamp,
        noted_before: Timestamp,
    ) -> Result<Option<UserName>, StoreError> {
        self.with(|c| {
            let mut query = c.prepare("SELECT user, last_used FROM tokens WHERE hash = ?1")?;
            let row: Option<(String, Option<String>)> =
                query.query_row([hash], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            let Some((user, used)) = row else { return Ok(None) };
            if used.map(|used| parse::<Timestamp>(&used)).transpose()?.is_none_or(|used| used < noted_before)
            {
                c.execute(
                    "UPDATE tokens SET last_used = ?2 WHERE hash = ?1",
                    params![hash, now.to_string()],
                )?;
            }
            parse(&user).map(Some)
        })
    }

    /// A user's tokens, oldest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn tokens(&self, user: &UserName) -> Result<Vec<TokenRecord>, StoreError> {
        self.with(|c| {
            let mut query = c.prepare(
                "SELECT id, label, created, last_used FROM tokens WHERE user = ?1 ORDER BY created, id",
            )?;
            let rows = query
                .query_map([user.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
                .collect::<Result<Vec<(String, String, String, Option<String>)>, _>>()?;
            rows.into_iter()
                .map(|(id, label, created, used)| {
                    let last_used = used.map(|used| parse(&used)).transpose()?;
                    Ok(TokenRecord { id, label, created: parse(&created)?, last_used })
                })
                .collect()
        })
    }

    /// Forgets a token. False when the user has none of this name.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn remove_token(&self, user: &UserName, id: &str) -> Result<bool, StoreError> {
        self.with(|c| {
            let gone =
                c.execute("DELETE FROM tokens WHERE user = ?1 AND id = ?2", params![user.as_str(), id])?;
            Ok(gone > 0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_by_their_hash_and_go_with_their_owner() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("l.db")).unwrap();
        let at = |s: i64| Timestamp::from_second(1_800_000_000 + s).unwrap();
        let (ada, bob): (UserName, UserName) = ("ada".parse().unwrap(), "bob".parse().unwrap());
        ledger.add_user(&ada, None, at(0)).unwrap();
        let token = TokenRecord { id: "t1".into(), label: "cron".into(), created: at(1), last_used: None };
        ledger.add_token(&ada, "hash", &token).unwrap();
        assert_eq!(ledger.token_user("hash", at(5), at(4)).unwrap(), Some(ada.clone()));
        assert_eq!(ledger.token_user("hash", at(6), at(4)).unwrap(), Some(ada.clone()));
        assert_eq!(ledger.tokens(&ada).unwrap()[0].last_used, Some(at(5)), "not noted at each use");
        assert_eq!(ledger.token_user("other", at(5), at(4)).unwrap(), None);
        assert!(!ledger.remove_token(&bob, "t1").unwrap());
        ledger.remove_user(&ada).unwrap();
        assert_eq!(ledger.token_user("hash", at(7), at(4)).unwrap(), None);
    }
}
