//! The languages that people have chosen.

use rusqlite::params;

use super::users::require;
use super::{Ledger, StoreError, parse};
use crate::reservation::UserName;

impl Ledger {
    /// Everybody's choice, by its code.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn languages(&self) -> Result<Vec<(UserName, String)>, StoreError> {
        self.with(|c| {
            let mut query = c.prepare("SELECT name, lang FROM users WHERE lang IS NOT NULL")?;
            let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let rows = rows.collect::<Result<Vec<(String, String)>, _>>()?;
            rows.into_iter().map(|(name, lang)| Ok((parse(&name)?, lang))).collect()
        })
    }

    /// Notes somebody's choice.
    ///
    /// # Errors
    /// [`StoreError::NoUser`] and others.
    pub fn set_language(&self, name: &UserName, code: &str) -> Result<(), StoreError> {
        self.with(|c| {
            let set = "UPDATE users SET lang = ?2 WHERE name = ?1";
            require(c.execute(set, params![name.as_str(), code])?, name)
        })
    }
}
