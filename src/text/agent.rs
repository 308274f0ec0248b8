//! What the agent says on the terminals of its container.

use std::time::Duration;

use super::usage::alarm;
use super::{Lang, Say, span};
use crate::agent::usage::alarm::Alarm;

/// A notice.
#[derive(Debug)]
pub enum Notice<'a> {
    /// The deadline comes near.
    EndsIn {
        /// Where.
        slot: &'a str,
        /// How near.
        left: Duration,
    },
    /// The deadline is here.
    Expired {
        /// Where.
        slot: &'a str,
        /// Time to save.
        grace: Duration,
    },
    /// Nothing happens in it.
    IdleEndsIn {
        /// Where.
        slot: &'a str,
        /// How long it has left.
        left: Duration,
    },
    /// Somebody ended it.
    Released {
        /// Where.
        slot: &'a str,
    },
    /// Something of what the container uses.
    Alarm(&'a Alarm),
    /// `clusteria …` inside the container found no gateway.
    GatewayUnreachable,
}

impl Say for Notice<'_> {
    fn say(&self, lang: Lang) -> String {
        match self {
            Self::EndsIn { slot, left } => {
                let left = span(*left);
                lang.pick(
                    format!("{slot} ends in {left}. Copy what you want to keep to /storage"),
                    format!("{slot} prend fin dans {left}. Copiez dans /storage ce que vous voulez garder"),
                )
            }
            Self::Expired { slot, grace } => {
                let grace = span(*grace);
                lang.pick(
                    format!("{slot}: time is over. Your programs have {grace} to save"),
                    format!("{slot} : le temps est écoulé. Vos programmes ont {grace} pour enregistrer"),
                )
            }
            Self::IdleEndsIn { slot, left } => {
                let left = span(*left);
                lang.pick(
                    format!("{slot}: nothing happens here. It ends in {left} unless something does. Copy what you want to keep to /storage"),
                    format!("{slot} : il ne se passe rien ici. Fin dans {left} si rien ne change. Copiez dans /storage ce que vous voulez garder"),
                )
            }
            Self::Released { slot } => {
                lang.pick(format!("{slot} is being ended"), format!("{slot} est en cours d'arrêt"))
            }
            Self::Alarm(alarm) => self::alarm(alarm, lang),
            Self::GatewayUnreachable => lang.pick(
                "clusteria: the gateway cannot be reached now; your container goes on. Try again later".into(),
                "clusteria : la passerelle est injoignable pour l'instant ; votre conteneur continue. Réessayez plus tard".into(),
            ),
        }
    }
}
