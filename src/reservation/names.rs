//! Names that have been checked once and are then safe everywhere: in labels, paths and on screens.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a machine's name.
    #[error(
        "`{0}` is not a machine name: 1 to 32 lower-case letters, digits and hyphens, starting with a letter"
    )]
    Machine(String),
    /// Not a slot's name.
    #[error("`{0}` is not a slot: write it MACHINE/NUMBER, like gpu1/2")]
    Slot(String),
    /// Not a user's name.
    #[error(
        "`{0}` is not a user name: 1 to 32 lower-case letters, digits, dots, hyphens and underscores, starting with a letter"
    )]
    User(String),
    /// Not a reservation's id.
    #[error("`{0}` is not a reservation id")]
    Reservation(String),
}

fn is_name(text: &str, extra: &[char]) -> bool {
    let mut chars = text.chars();
    text.len() <= 32
        && chars.next().is_some_and(|c| c.is_ascii_lowercase())
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || extra.contains(&c))
}

macro_rules! text_newtype {
    ($name:ident, $error:ident, $valid:expr, $doc:literal) => {
        #[doc = $doc]
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(NameError::$error(text.chars().take(64).collect()))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

text_newtype!(MachineName, Machine, |t| is_name(t, &['-']), "A machine: a host with an engine.");
text_newtype!(UserName, User, |t| is_name(t, &['-', '_', '.']), "A user.");
text_newtype!(
    ReservationId,
    Reservation,
    |t| ulid::Ulid::from_string(t).is_ok(),
    "A reservation's id: a ULID, so that ids sort by time."
);

impl ReservationId {
    /// A new id.
    #[must_use]
    pub fn new() -> Self {
        Self(ulid::Ulid::generate().to_string())
    }
}

impl Default for ReservationId {
    fn default() -> Self {
        Self::new()
    }
}

/// A slot: one reservable place on a machine, `gpu1/2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SlotId {
    /// Its machine.
    pub machine: MachineName,
    /// Its number on the machine, from 1.
    pub number: u16,
}

impl fmt::Display for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.machine, self.number))
    }
}

impl FromStr for SlotId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let wrong = || NameError::Slot(text.chars().take(64).collect());
        let (machine, number) = text.split_once('/').ok_or_else(wrong)?;
        let number: u16 = number.parse().map_err(|_| wrong())?;
        if number == 0 {
            return Err(wrong());
        }
        Ok(Self { machine: machine.parse()?, number })
    }
}

impl TryFrom<String> for SlotId {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<SlotId> for String {
    fn from(slot: SlotId) -> Self {
        slot.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_narrow() {
        assert!("ada".parse::<UserName>().is_ok());
        assert!("jean-luc.p_2".parse::<UserName>().is_ok());
        for bad in ["", "Ada", "2ada", "a b", "a/b", "a\n", "..", "é", &"a".repeat(33)] {
            assert!(bad.parse::<UserName>().is_err(), "{bad:?}");
        }
        assert_eq!("gpu1/2".parse::<SlotId>().unwrap().to_string(), "gpu1/2");
        for bad in ["gpu1", "gpu1/0", "gpu1/x", "/1", "gpu1/99999", "gpu1/1/1"] {
            assert!(bad.parse::<SlotId>().is_err(), "{bad:?}");
        }
    }
}
