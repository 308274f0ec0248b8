//! Who has chosen which language: it goes before what their terminal says.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error_chain::in_full;
use crate::reservation::UserName;
use crate::store::{Ledger, StoreError};
use crate::text::Lang;

/// The choices. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Languages {
    ledger: Ledger,
    /// Short sections, none awaits.
    chosen: Arc<Mutex<HashMap<UserName, Lang>>>,
}

impl Languages {
    /// Reads what was chosen. What cannot be read is as if nobody had chosen: no reason not to serve.
    #[must_use]
    pub fn open(ledger: &Ledger) -> Self {
        let chosen = ledger.languages().unwrap_or_else(|e| {
            tracing::warn!("nobody's language is known: {}", in_full(&e));
            Vec::new()
        });
        let known = |(user, code): (UserName, String)| Some((user, Lang::from_code(&code)?));
        let chosen = chosen.into_iter().filter_map(known).collect();
        Self { ledger: ledger.clone(), chosen: Arc::new(Mutex::new(chosen)) }
    }

    /// What somebody has chosen.
    #[must_use]
    pub fn of(&self, user: &UserName) -> Option<Lang> {
        self.chosen.lock().unwrap_or_else(PoisonError::into_inner).get(user).copied()
    }

    /// Remembers a choice.
    ///
    /// # Errors
    /// [`StoreError`]: then it holds until the gateway starts again.
    pub async fn choose(&self, user: &UserName, lang: Lang) -> Result<(), StoreError> {
        self.chosen.lock().unwrap_or_else(PoisonError::into_inner).insert(user.clone(), lang);
        let user = user.clone();
        self.ledger.run(move |l| l.set_language(&user, lang.code())).await
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[tokio::test]
    async fn a_choice_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("l.db")).unwrap();
        let (ada, bob): (UserName, UserName) = ("ada".parse().unwrap(), "bob".parse().unwrap());
        ledger.add_user(&ada, None, Timestamp::now()).unwrap();
        let languages = Languages::open(&ledger);
        assert_eq!(languages.of(&ada), None);
        languages.choose(&ada, Lang::En).await.unwrap();
        languages.choose(&ada, Lang::Fr).await.unwrap();
        assert!(matches!(languages.choose(&bob, Lang::Fr).await, Err(StoreError::NoUser(_))));
        let again = Languages::open(&ledger);
        assert_eq!((again.of(&ada), again.of(&bob)), (Some(Lang::Fr), None));
    }
}
