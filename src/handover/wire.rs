//! What gateways say to each other. New fields need a default, new questions a new version.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::auth::{Identity, ReservationPassword};
use crate::frontdoor::Answer;
use crate::reservation::view::WaitingView;
use crate::reservation::{Cause, EndReason, Picture, Refusal, Reservation, ReservationId, Target, UserName};
use crate::text::Lang;

/// Raised when an older gateway could not understand a newer one.
pub(super) const VERSION: u32 = 1;

/// The first line of a conversation.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Question {
    /// A new gateway wants to take over.
    Inherit { version: u32, pid: u32 },
    /// A front-door command on a connection of the elder's.
    Command(Box<Asked>),
    /// Somebody on a connection of the elder's needs a slot.
    Reserve { who: Box<Identity>, target: Target, cause: Cause },
    /// Somebody there gives up what they have.
    End { id: ReservationId, reason: EndReason },
    /// Somebody there joins the queue or leaves it.
    Queue(Waits),
    /// What came of something that the elder had under way.
    Told { id: ReservationId, fate: Fate },
    /// The elder wants to know what is held.
    Follow { pid: u32 },
    /// Start the binary anew and let it take over.
    Reload,
}

/// What comes back.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Reply {
    /// The listening sockets, in the order of the descriptors that come along.
    Offer { pid: u32, places: Vec<Place> },
    /// Everything else.
    Estate(Box<Estate>),
    /// The new gateway is the owner.
    Yours,
    /// Of a command.
    Answer(Box<Answer>),
    /// Of a reservation.
    Reserved(Box<Result<Granted, Refusal>>),
    /// Of a place in the queue.
    Queued(Result<Option<WaitingView>, Refusal>),
    /// It has been noted.
    Noted,
    /// What is held now.
    Picture(Box<Picture>),
    /// The owner has been told to stop, and so are those before it.
    Stop,
    /// The new gateway has taken over.
    Reloaded { pid: u32 },
    /// It was not done, and why.
    Refused(String),
}

/// The heir's further lines.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Word {
    Take,
    Taken,
}

/// A listening socket: what it is for and the address as the configuration writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// `ssh`, or another service of the gateway.
    pub service: String,
    /// With port 0 where the system chose one.
    pub address: SocketAddr,
}

/// What an owner leaves.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Estate {
    /// What its book holds.
    pub picture: Picture,
    /// Starts under way, and the processes that carry them out.
    pub starters: Vec<(ReservationId, u32)>,
}

/// What somebody wants of the queue.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Waits {
    /// A place in it.
    Joins {
        /// Who.
        who: Box<Identity>,
        /// For what.
        target: Target,
    },
    /// Not to wait any more.
    Leaves {
        /// Who.
        user: UserName,
    },
}

impl Waits {
    /// Who.
    #[must_use]
    pub fn user(&self) -> &UserName {
        match self {
            Self::Joins { who, .. } => who.user(),
            Self::Leaves { user } => user,
        }
    }
}

/// What came of a start or an end that another gateway had under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// The container runs.
    Active,
    /// There is no container any more.
    Ended {
        /// Unless another was given before.
        reason: EndReason,
        /// In more words.
        detail: Option<String>,
    },
    /// It is not known: the owner must look for itself.
    Left,
}

/// A front-door command, and who asks.
#[derive(Debug, Serialize, Deserialize)]
pub struct Asked {
    /// Who.
    pub who: Identity,
    /// From where.
    pub from: IpAddr,
    /// After `clusteria`.
    pub words: Vec<String>,
    /// Lines that it reads.
    pub input: Vec<String>,
    /// In which language to answer.
    pub lang: Lang,
}

/// A container that is ready.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Granted {
    pub(super) reservation: Reservation,
    pub(super) password: Option<ReservationPassword>,
}
