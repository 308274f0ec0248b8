//! What the menu says.

use std::time::Duration;

use jiff::Timestamp;

use super::{Lang, Say, span};
use crate::reservation::{MachineName, SlotId, UserName};

/// When something ends at the latest, as seen at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Until {
    /// The deadline.
    pub deadline: Timestamp,
    /// When it is read.
    pub now: Timestamp,
}

impl Until {
    /// `14:05 UTC`, with the date where the hour alone could be taken for another day's.
    #[must_use]
    pub fn at(&self) -> String {
        let far = self.left().as_secs() >= 20 * 3600;
        self.deadline.strftime(if far { "%Y-%m-%d %H:%M UTC" } else { "%H:%M UTC" }).to_string()
    }

    /// `14:05`, where a clock beside it says of which time zone; with the date as above.
    #[must_use]
    pub fn clock(&self) -> String {
        self.at().trim_end_matches(" UTC").to_owned()
    }

    /// What is left, nothing once it is over.
    #[must_use]
    pub fn left(&self) -> Duration {
        Duration::try_from(self.deadline.duration_since(self.now)).unwrap_or_default()
    }

    fn left_said(&self, lang: Lang) -> String {
        match (self.left(), lang) {
            (Duration::ZERO, Lang::En) => "any moment now".to_owned(),
            (Duration::ZERO, Lang::Fr) => "d'un instant à l'autre".to_owned(),
            (left, Lang::En) => format!("{} left", span(left)),
            (left, Lang::Fr) => format!("encore {}", span(left)),
        }
    }
}

/// A text of the menu. Text from outside in it has been made printable by the one who says it.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "each variant stands beside its two renderings below")]
pub enum Menu<'a> {
    ChooseMachine,
    ChooseSlot { machine: &'a MachineName },
    FreeOf { free: usize, total: usize },
    Frees { slot: &'a SlotId, until: Until },
    MachineOffline { reason: &'a str },
    MachineDraining,
    Free,
    Taken { user: &'a UserName, until: Until },
    TakenShort { user: &'a UserName, until: Until },
    Starting { user: &'a UserName, until: Until },
    StartingShort { user: &'a UserName },
    Ending { user: &'a UserName },
    Held { user: &'a UserName, until: Until },
    HeldShort { user: &'a UserName },
    HeldForYou { until: Until },
    Offline,
    Draining,
    HintHeld { slot: &'a SlotId, user: &'a UserName, until: Until },
    HintTaken { slot: &'a SlotId, user: &'a UserName, until: Until },
    HintStarting { slot: &'a SlotId, user: &'a UserName, until: Until },
    HintEnding { slot: &'a SlotId, user: &'a UserName },
    HintOffline { machine: &'a MachineName, reason: Option<&'a str> },
    HintDraining { machine: &'a MachineName },
    FullUntil { slot: &'a SlotId, until: Until },
    FullSoon { slot: &'a SlotId },
    NothingUsable,
    NoMachines,
    NoSlots,
    Reserving { slot: &'a SlotId },
    Awaiting { slot: &'a SlotId },
    Queue,
    NotWaiting,
    KeepsPlace,
    KeyWait,
    KeyPlace,
    KeyLeave,
    KeyEscape,
    KeyOpen,
    KeyReserve,
    KeyBack,
    KeyMove,
    KeyDirect,
    KeyQuit,
    KeyCancel,
    KeyStopWaiting,
    CharterHeading,
    KeyAccept,
    KeyRefuse,
    KeyScroll,
}

impl Say for Menu<'_> {
    fn say(&self, lang: Lang) -> String {
        match lang {
            Lang::En => self.english(),
            Lang::Fr => self.french(),
        }
    }
}

impl Menu<'_> {
    fn english(&self) -> String {
        let left = |until: &Until| until.left_said(Lang::En);
        match self {
            Self::ChooseMachine => "Choose a machine".to_owned(),
            Self::ChooseSlot { machine } => format!("Choose a slot on {machine}"),
            Self::FreeOf { free, total } => format!("{free}/{total} free"),
            Self::Frees { slot, until } if until.left().is_zero() => format!("{slot} frees any moment now"),
            Self::Frees { slot, until } => format!("{slot} frees in {}", span(until.left())),
            Self::MachineOffline { reason } => format!("offline: {reason}"),
            Self::MachineDraining => "no new reservations".to_owned(),
            Self::Free => "free".to_owned(),
            Self::Taken { user, until } => format!("by {user} until {} ({})", until.at(), left(until)),
            Self::TakenShort { user, until } => format!("{user} until {}", until.at()),
            Self::Starting { user, until } => format!("starting for {user}, until {}", until.at()),
            Self::StartingShort { user } => format!("starting for {user}"),
            Self::Ending { user } => format!("ending, was {user}'s"),
            Self::Held { user, until } => format!("held for {user} until {} ({})", until.at(), left(until)),
            Self::HeldShort { user } => format!("held for {user}"),
            Self::HeldForYou { until } => format!("held for you until {}", until.at()),
            Self::HintHeld { slot, user, until } => {
                format!(
                    "It is {user}'s turn: {slot} is held for them until {}. Press w to wait in line.",
                    until.at()
                )
            }
            Self::Queue => "The queue".to_owned(),
            Self::NotWaiting => "You are not in the queue.".to_owned(),
            Self::KeepsPlace => {
                "Go where you like: you keep your place, and a slot is held for you when it is your turn."
                    .to_owned()
            }
            Self::KeyWait => "w wait in line".to_owned(),
            Self::KeyPlace => "w your place".to_owned(),
            Self::KeyLeave => "x leave the queue".to_owned(),
            Self::KeyEscape => "Esc back".to_owned(),
            Self::Offline => "offline".to_owned(),
            Self::Draining => "no new reservations".to_owned(),
            Self::HintTaken { slot, user, until } => {
                format!("{slot} is taken by {user} until {} at the latest ({}).", until.at(), left(until))
            }
            Self::HintStarting { slot, user, until } => {
                format!("{slot} is being started for {user}, until {} at the latest.", until.at())
            }
            Self::HintEnding { slot, user } => {
                format!("{slot} was {user}'s and is being cleaned up: it is free in a moment.")
            }
            Self::HintOffline { machine, reason: Some(reason) } => {
                format!("{machine} does not answer: {reason}. Choose another machine.")
            }
            Self::HintOffline { machine, reason: None } => {
                format!("{machine} does not answer. Choose another machine.")
            }
            Self::HintDraining { machine } => {
                format!("{machine} takes no new reservations at present. Choose another machine.")
            }
            Self::FullUntil { slot, until } => format!(
                "Everything is taken. {slot} frees first, at {} at the latest ({}).",
                until.at(),
                left(until)
            ),
            Self::FullSoon { slot } => format!("Everything is taken. {slot} frees first, in a moment."),
            Self::NothingUsable => "Nothing can be reserved at present.".to_owned(),
            Self::NoMachines => "There are no machines.".to_owned(),
            Self::NoSlots => "This machine has no slots.".to_owned(),
            Self::Reserving { slot } => format!("Reserving {slot}"),
            Self::Awaiting { slot } => format!("{slot} is starting"),
            Self::KeyOpen => "Enter open".to_owned(),
            Self::KeyReserve => "Enter reserve".to_owned(),
            Self::KeyBack => "← back".to_owned(),
            Self::KeyMove => "↑↓ choose".to_owned(),
            Self::KeyDirect => "1-9 at once".to_owned(),
            Self::KeyQuit => "q quit".to_owned(),
            Self::KeyCancel => "Esc cancel".to_owned(),
            Self::KeyStopWaiting => "Esc back (the start goes on)".to_owned(),
            Self::CharterHeading => "Please read and accept before you work:".to_owned(),
            Self::KeyAccept => "a accept".to_owned(),
            Self::KeyRefuse => "q leave".to_owned(),
            Self::KeyScroll => "↑↓ read".to_owned(),
        }
    }

    fn french(&self) -> String {
        let left = |until: &Until| until.left_said(Lang::Fr);
        match self {
            Self::ChooseMachine => "Choisissez une machine".to_owned(),
            Self::ChooseSlot { machine } => format!("Choisissez une place sur {machine}"),
            Self::FreeOf { free, total } => {
                format!("{free}/{total} {}", if *free > 1 { "libres" } else { "libre" })
            }
            Self::Frees { slot, until } if until.left().is_zero() => {
                format!("{slot} se libère d'un instant à l'autre")
            }
            Self::Frees { slot, until } => format!("{slot} se libère dans {}", span(until.left())),
            Self::MachineOffline { reason } => format!("hors ligne : {reason}"),
            Self::MachineDraining => "plus de réservations".to_owned(),
            Self::Free => "libre".to_owned(),
            Self::Taken { user, until } => {
                format!("par {user} jusqu'à {} ({})", until.at(), left(until))
            }
            Self::TakenShort { user, until } => format!("{user} jusqu'à {}", until.at()),
            Self::Starting { user, until } => format!("démarre pour {user}, jusqu'à {}", until.at()),
            Self::StartingShort { user } => format!("démarre pour {user}"),
            Self::Ending { user } => format!("se termine, était à {user}"),
            Self::Held { user, until } => {
                format!("gardée pour {user} jusqu'à {} ({})", until.at(), left(until))
            }
            Self::HeldShort { user } => format!("gardée pour {user}"),
            Self::HeldForYou { until } => format!("gardée pour vous jusqu'à {}", until.at()),
            Self::HintHeld { slot, user, until } => format!(
                "C'est le tour de {user} : {slot} lui est gardée jusqu'à {}. Tapez w pour entrer dans la file.",
                until.at()
            ),
            Self::Queue => "La file".to_owned(),
            Self::NotWaiting => "Vous n'êtes pas dans la file.".to_owned(),
            Self::KeepsPlace => {
                "Vous pouvez partir : vous gardez votre rang, et une place vous est gardée à votre tour."
                    .to_owned()
            }
            Self::KeyWait => "w file d'attente".to_owned(),
            Self::KeyPlace => "w la file".to_owned(),
            Self::KeyLeave => "x quitter la file".to_owned(),
            Self::KeyEscape => "Échap retour".to_owned(),
            Self::Offline => "hors ligne".to_owned(),
            Self::Draining => "plus de réservations".to_owned(),
            Self::HintTaken { slot, user, until } => {
                format!("{slot} est prise par {user}, au plus tard jusqu'à {} ({}).", until.at(), left(until))
            }
            Self::HintStarting { slot, user, until } => {
                format!("{slot} démarre pour {user}, au plus tard jusqu'à {}.", until.at())
            }
            Self::HintEnding { slot, user } => {
                format!("{slot} était à {user} et se nettoie : elle sera libre dans un instant.")
            }
            Self::HintOffline { machine, reason: Some(reason) } => {
                format!("{machine} ne répond pas : {reason}. Choisissez une autre machine.")
            }
            Self::HintOffline { machine, reason: None } => {
                format!("{machine} ne répond pas. Choisissez une autre machine.")
            }
            Self::HintDraining { machine } => {
                format!(
                    "{machine} n'accepte plus de réservations pour l'instant. Choisissez une autre machine."
                )
            }
            Self::FullUntil { slot, until } => format!(
                "Tout est pris. {slot} se libère en premier, à {} au plus tard ({}).",
                until.at(),
                left(until)
            ),
            Self::FullSoon { slot } => {
                format!("Tout est pris. {slot} se libère en premier, dans un instant.")
            }
            Self::NothingUsable => "Rien ne peut être réservé pour l'instant.".to_owned(),
            Self::NoMachines => "Il n'y a aucune machine.".to_owned(),
            Self::NoSlots => "Cette machine n'a aucune place.".to_owned(),
            Self::Reserving { slot } => format!("Réservation de {slot}"),
            Self::Awaiting { slot } => format!("{slot} démarre"),
            Self::KeyOpen => "Entrée ouvrir".to_owned(),
            Self::KeyReserve => "Entrée réserver".to_owned(),
            Self::KeyBack => "← retour".to_owned(),
            Self::KeyMove => "↑↓ choisir".to_owned(),
            Self::KeyDirect => "1-9 d'un coup".to_owned(),
            Self::KeyQuit => "q quitter".to_owned(),
            Self::KeyCancel => "Échap annuler".to_owned(),
            Self::KeyStopWaiting => "Échap retour (le démarrage continue)".to_owned(),
            Self::CharterHeading => "Avant de travailler, lisez et acceptez :".to_owned(),
            Self::KeyAccept => "a accepter".to_owned(),
            Self::KeyRefuse => "q partir".to_owned(),
            Self::KeyScroll => "↑↓ lire".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(deadline: &str) -> Until {
        Until { deadline: deadline.parse().unwrap(), now: "2026-08-01T10:53:00Z".parse().unwrap() }
    }

    #[test]
    fn times_are_absolute_and_relative() {
        let user: UserName = "ada".parse().unwrap();
        let said = |deadline, lang| Menu::Taken { user: &user, until: until(deadline) }.say(lang);
        assert_eq!(said("2026-08-01T14:05:00Z", Lang::En), "by ada until 14:05 UTC (3 h 12 min left)");
        assert_eq!(said("2026-08-01T14:05:00Z", Lang::Fr), "par ada jusqu'à 14:05 UTC (encore 3 h 12 min)");
        assert_eq!(said("2026-08-01T10:00:00Z", Lang::En), "by ada until 10:00 UTC (any moment now)");
        assert_eq!(until("2026-08-02T11:00:00Z").at(), "2026-08-02 11:00 UTC");
        assert_eq!(until("2026-08-02T02:00:00Z").at(), "02:00 UTC");
    }
}
