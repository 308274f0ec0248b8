//! One reservation: its facts, its states and how it ended.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::names::{ReservationId, SlotId, UserName};

/// One user's lease on one slot until a deadline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// Its id.
    pub id: ReservationId,
    /// Whose it is.
    pub user: UserName,
    /// Which slot.
    pub slot: SlotId,
    /// When it was claimed.
    pub started: Timestamp,
    /// When it ends at the latest.
    pub deadline: Timestamp,
    /// Where it is in its life.
    pub state: State,
}

impl Reservation {
    /// Time left at `now`; zero when past.
    #[must_use]
    pub fn left(&self, now: Timestamp) -> std::time::Duration {
        std::time::Duration::try_from(self.deadline.duration_since(now)).unwrap_or_default()
    }

    /// Can its holder work in it, now or in a moment?
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self.state, State::Starting | State::Active)
    }
}

/// Where a reservation is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its container is being made.
    Starting,
    /// Its container runs.
    Active,
    /// Its container is being ended.
    Ending(EndReason),
}

/// Why a reservation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// Its holder gave it back.
    Released,
    /// Its time was over.
    Expired,
    /// Nothing happened in it.
    Idle,
    /// Its container could not start, or stopped by itself.
    Failed,
    /// Its machine lost it.
    MachineLost,
    /// An administrator ended it.
    Admin,
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Idle => "idle",
            Self::Failed => "failed",
            Self::MachineLost => "machine-lost",
            Self::Admin => "admin",
        })
    }
}

impl FromStr for EndReason {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Released, Self::Expired, Self::Idle, Self::Failed, Self::MachineLost, Self::Admin]
            .into_iter()
            .find(|reason| reason.to_string() == text)
            .ok_or_else(|| format!("`{text}` is no reason for an end"))
    }
}

/// A reservation that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Its id.
    pub id: ReservationId,
    /// Whose it was.
    pub user: UserName,
    /// Which slot.
    pub slot: SlotId,
    /// When it ended.
    pub at: Timestamp,
    /// Why.
    pub reason: EndReason,
    /// Why, in more words (from an engine or the system: escape before showing).
    pub detail: Option<String>,
}

/// Who asks for a reservation: a person who chose, or a client that just connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// The menu, the page or the command.
    Explicit,
    /// Section 5's "anything else": VS Code, scp, a forward.
    Automatic,
}
