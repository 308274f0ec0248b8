//! Refusals in words: what happened, why, and what to do next.

use jiff::Timestamp;

use super::{Lang, Say, printable, span};
use crate::reservation::Refusal;

/// A refusal told at a moment: times are given as time left too.
#[derive(Debug)]
pub struct Refused<'a> {
    /// What was refused.
    pub refusal: &'a Refusal,
    /// When it is told.
    pub now: Timestamp,
}

impl Refused<'_> {
    fn at(&self, time: Timestamp) -> String {
        let left = std::time::Duration::try_from(time.duration_since(self.now)).unwrap_or_default();
        format!("{} ({})", span(left), clock(time))
    }
}

/// A time of day, `14:05 UTC`.
#[must_use]
pub fn clock(time: Timestamp) -> String {
    time.strftime("%H:%M UTC").to_string()
}

impl Say for Refused<'_> {
    fn say(&self, lang: Lang) -> String {
        match self.refusal {
            Refusal::HoldsAnother { slot, deadline } => {
                let left = self.at(*deadline);
                lang.pick(
                    format!("You already hold {slot} for {left}. Work there, or give it back first: clusteria release"),
                    format!("Vous occupez déjà {slot} pour {left}. Travaillez-y, ou rendez-la d'abord : clusteria release"),
                )
            }
            Refusal::Taken { slot, by, frees: Some(frees) } => {
                let left = self.at(*frees);
                lang.pick(
                    format!("{slot} is taken by {by}. It frees in {left} at the latest. Pick another: clusteria machines. Or wait in line: clusteria queue join {slot}"),
                    format!("{slot} est occupée par {by}. Elle se libère dans {left} au plus tard. Choisissez-en une autre : clusteria machines. Ou entrez dans la file : clusteria queue join {slot}"),
                )
            }
            Refusal::Taken { slot, frees: None, .. } => lang.pick(
                format!("{slot} is being freed right now. Try again in a few seconds."),
                format!("{slot} est en train de se libérer. Réessayez dans quelques secondes."),
            ),
            Refusal::Full { machine, frees } => self.full(lang, machine.as_ref(), frees.as_ref()),
            Refusal::Held { slot, user, until } => {
                let left = self.at(*until);
                lang.pick(
                    format!("{slot} is held for {user}, whose turn it is, for {left}. To wait in line: clusteria queue join"),
                    format!("{slot} est gardée pour {user}, dont c'est le tour, pour {left}. Pour entrer dans la file : clusteria queue join"),
                )
            }
            Refusal::NotQueued => lang.pick(
                "You are not in the queue. To join it: clusteria queue join".into(),
                "Vous n'êtes pas dans la file. Pour y entrer : clusteria queue join".into(),
            ),
            Refusal::QueueFull => lang.pick(
                "The queue takes nobody more. Tell your administrator".into(),
                "La file n'accepte plus personne. Prévenez l'administrateur".into(),
            ),
            Refusal::UnknownMachine(name) => {
                let name = printable(name);
                lang.pick(
                    format!("There is no machine {name}. See which there are: clusteria machines"),
                    format!("Il n'y a pas de machine {name}. Voyez lesquelles existent : clusteria machines"),
                )
            }
            Refusal::UnknownSlot(slot) => lang.pick(
                format!("There is no slot {slot}. See which there are: clusteria machines"),
                format!("Il n'y a pas de place {slot}. Voyez lesquelles existent : clusteria machines"),
            ),
            Refusal::Offline { machine, reason } => {
                let reason = printable(reason);
                lang.pick(
                    format!("{machine} is offline: {reason}. The others go on: clusteria machines"),
                    format!("{machine} est hors ligne : {reason}. Les autres fonctionnent : clusteria machines"),
                )
            }
            Refusal::Draining(machine) => lang.pick(
                format!("{machine} takes no new reservations (maintenance). Pick another: clusteria machines"),
                format!("{machine} n'accepte plus de réservations (maintenance). Choisissez-en une autre : clusteria machines"),
            ),
            Refusal::ExpiredBefore { slot, at } => {
                let at = clock(*at);
                lang.pick(
                    format!("Your reservation of {slot} ended at {at}, and a program that reconnects by itself gets no new one. To go on: ssh in a terminal, or `clusteria reserve`"),
                    format!("Votre réservation de {slot} a pris fin à {at}, et un programme qui se reconnecte seul n'en reçoit pas de nouvelle. Pour continuer : ssh dans un terminal, ou « clusteria reserve »"),
                )
            }
            Refusal::AutoReserveOff => lang.pick(
                "You have no reservation, and here it must be chosen: ssh in a terminal, or `clusteria reserve`".into(),
                "Vous n'avez pas de réservation, et ici il faut la choisir : ssh dans un terminal, ou « clusteria reserve »".into(),
            ),
            Refusal::MenuIsOpen => lang.pick(
                "You have no reservation yet: choose one in the menu that is open on this connection".into(),
                "Vous n'avez pas encore de réservation : choisissez-la dans le menu ouvert sur cette connexion".into(),
            ),
            Refusal::NothingReserved => lang.pick(
                "You have no reservation. To get one: clusteria reserve".into(),
                "Vous n'avez pas de réservation. Pour en obtenir une : clusteria reserve".into(),
            ),
            Refusal::StartFailed { slot, detail } => {
                let detail = printable(detail);
                lang.pick(
                    format!("The container on {slot} could not be started: {detail}. The slot is free again; try another, and tell your administrator"),
                    format!("Le conteneur sur {slot} n'a pas pu démarrer : {detail}. La place est de nouveau libre ; essayez-en une autre et prévenez l'administrateur"),
                )
            }
            Refusal::GpusMissing { slot, wanted, found, detail } => {
                let detail = printable(detail);
                let detail = if detail.is_empty() { detail } else { format!(" ({detail})") };
                lang.pick(
                    format!("{slot}: {found} of {wanted} GPUs answer{detail}. The slot is free again; try another, and tell your administrator"),
                    format!("{slot} : {found} GPU sur {wanted} répondent{detail}. La place est de nouveau libre ; essayez-en une autre et prévenez l'administrateur"),
                )
            }
            Refusal::Cancelled => lang.pick(
                "The reservation was ended before its container had started".into(),
                "La réservation a pris fin avant le démarrage de son conteneur".into(),
            ),
            Refusal::LedgerFailed { detail } => {
                let detail = printable(detail);
                lang.pick(
                    format!("No new reservations right now: {detail}. What runs goes on; tell your administrator"),
                    format!("Pas de nouvelles réservations pour l'instant : {detail}. Ce qui tourne continue ; prévenez l'administrateur"),
                )
            }
            Refusal::CharterNotAccepted => lang.pick(
                "You have not accepted the charter yet. Log in with a terminal (ssh -t) and read it there, or: ssh HOST clusteria charter, then ssh HOST clusteria accept".into(),
                "Vous n'avez pas encore accepté la charte. Connectez-vous avec un terminal (ssh -t) pour la lire, ou : ssh HÔTE clusteria charter, puis ssh HÔTE clusteria accept".into(),
            ),
            Refusal::TooMuchAtOnce => lang.pick(
                "That is already being done for you. Try again in a few seconds".into(),
                "Cela est déjà en cours pour vous. Réessayez dans quelques secondes".into(),
            ),
            Refusal::ShuttingDown => lang.pick(
                "The gateway is restarting. Try again in a few seconds; what runs goes on".into(),
                "La passerelle redémarre. Réessayez dans quelques secondes ; ce qui tourne continue".into(),
            ),
        }
    }
}

impl Refused<'_> {
    fn full(
        &self,
        lang: Lang,
        machine: Option<&crate::reservation::MachineName>,
        frees: Option<&(crate::reservation::SlotId, Timestamp)>,
    ) -> String {
        let place = machine.map_or_else(|| lang.pick("The cluster", "La grappe").into(), ToString::to_string);
        let wanted = machine.map(|machine| format!(" {machine}")).unwrap_or_default();
        match frees {
            Some((slot, time)) => {
                let left = self.at(*time);
                lang.pick(
                    format!("{place} is full. {slot} frees in {left} at the latest. To wait in line: clusteria queue join{wanted}"),
                    format!("{place} : complet. {slot} se libère dans {left} au plus tard. Pour entrer dans la file : clusteria queue join{wanted}"),
                )
            }
            None => lang.pick(
                format!("{place} has no slot that can be used now. See why: clusteria machines"),
                format!(
                    "{place} : aucune place utilisable pour l'instant. Voyez pourquoi : clusteria machines"
                ),
            ),
        }
    }
}
