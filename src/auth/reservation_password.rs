//! The reservation's own password: made by us, shown once, kept as a hash.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::password::{self, HashError};

/// Letters and digits that cannot be taken for one another when read, typed or dictated.
const ALPHABET: &[u8; 31] = b"23456789abcdefghjkmnpqrstuvwxyz";
/// 31 to the power of 12: 59 bits.
const SYMBOLS: usize = 12;
const GROUP: usize = 4;

/// A password that opens SSH and JupyterLab for one reservation: `k7mp-w3xz-9hfa`. Written only to the gateway that is
/// being replaced, for the one on its connection who asked for it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationPassword(String);

impl fmt::Debug for ReservationPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReservationPassword(…)")
    }
}

impl ReservationPassword {
    /// A fresh one.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn generate() -> Result<Self, HashError> {
        let mut text = String::with_capacity(SYMBOLS + SYMBOLS / GROUP);
        let mut symbols = 0;
        while symbols < SYMBOLS {
            let mut byte = [0];
            getrandom::fill(&mut byte).map_err(|e| HashError(e.to_string()))?;
            // Five bits; what has no symbol is drawn again, so that all are equally likely.
            let Some(symbol) = ALPHABET.get(usize::from(byte[0] & 31)) else { continue };
            if symbols > 0 && symbols % GROUP == 0 {
                text.push('-');
            }
            text.push(char::from(*symbol));
            symbols += 1;
        }
        Ok(Self(text))
    }

    /// To be shown to its owner, once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Slow by design: call it off the async threads.
    ///
    /// # Errors
    /// [`HashError`]
    pub fn hash(&self) -> Result<String, HashError> {
        password::hash(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_read_well_differ_and_show_in_no_log() {
        let made: Vec<_> = (0..200).map(|_| ReservationPassword::generate().unwrap()).collect();
        for one in &made {
            let groups: Vec<_> = one.reveal().split('-').collect();
            assert_eq!(groups.len(), 3, "{}", one.reveal());
            assert!(groups.iter().all(|g| g.len() == 4 && g.bytes().all(|b| ALPHABET.contains(&b))));
            assert_eq!(format!("{one:?}"), "ReservationPassword(…)");
        }
        let different: std::collections::HashSet<_> = made.iter().map(ReservationPassword::reveal).collect();
        assert_eq!(different.len(), made.len());
        // Every symbol is drawn: the chance that one of 31 misses 2,400 draws is nil.
        let all: String = made.iter().map(ReservationPassword::reveal).collect();
        assert!(ALPHABET.iter().all(|symbol| all.contains(char::from(*symbol))));
    }

    #[test]
    fn its_hash_opens() {
        let one = ReservationPassword::generate().unwrap();
        assert!(password::verify(one.reveal(), &one.hash().unwrap()));
    }
}
