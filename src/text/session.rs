//! What a session says before its shell starts, and when it is cut.

use std::time::Duration;

use jiff::Timestamp;

use super::refusal::clock;
use super::{Lang, Say, printable, span};
use crate::auth::ReservationPassword;
use crate::engine::Stage;
use crate::reservation::{EndReason, Ended, SlotId};

/// What is the matter with an agent.
#[derive(Debug, Clone, Copy)]
pub enum AgentTrouble<'a> {
    /// It cannot be reached, or does not answer.
    Silent,
    /// It says what no agent says.
    Odd,
    /// It would not, in its words (from the container: already printable).
    Refused(&'a str),
}

/// Lines around a session.
#[derive(Debug)]
pub enum Line<'a> {
    /// The one line before the shell.
    Welcome {
        /// Where.
        slot: &'a SlotId,
        /// How long it lasts at most.
        left: Duration,
    },
    /// How the last reservation ended.
    LastEnded(&'a Ended),
    /// A step of a start.
    Starting(&'a Stage),
    /// The container has ended under the session.
    ContainerEnded(&'a SlotId),
    /// The container's agent did not do it.
    AgentFailed {
        /// Where.
        slot: &'a SlotId,
        /// Why.
        trouble: AgentTrouble<'a>,
    },
    /// The password of a reservation that was made just now.
    Password(&'a ReservationPassword),
    /// A front-door command or the menu that needs a terminal.
    NeedsTerminal,
    /// Too many connections of one user.
    TooManyConnections,
    /// Too many menus of one user.
    TooManyMenus,
    /// To somebody who has typed a password and has no key.
    KeyTip,
}

impl Say for Line<'_> {
    fn say(&self, lang: Lang) -> String {
        match self {
            Self::Welcome { slot, left } => {
                let left = span(*left);
                lang.pick(
                    format!("{slot} · {left} left · other machines and help: clusteria help"),
                    format!("{slot} · encore {left} · autres machines et aide : clusteria help"),
                )
            }
            Self::LastEnded(ended) => last_ended(ended, lang),
            Self::Starting(stage) => starting(stage, lang),
            Self::ContainerEnded(slot) => lang.pick(
                format!("The container on {slot} has ended. Log in again to see why, or to get a new one."),
                format!("Le conteneur sur {slot} a pris fin. Reconnectez-vous pour savoir pourquoi ou en obtenir un autre."),
            ),
            Self::AgentFailed { slot, trouble } => agent_failed(slot, *trouble, lang),
            Self::Password(password) => {
                let password = password.reveal();
                lang.pick(
                    format!("Password of this reservation (SSH, JupyterLab), shown only now: {password}"),
                    format!("Mot de passe de cette réservation (SSH, JupyterLab), affiché cette fois seulement : {password}"),
                )
            }
            Self::NeedsTerminal => lang.pick(
                "The menu needs a terminal: ssh -t".into(),
                "Le menu a besoin d'un terminal : ssh -t".into(),
            ),
            Self::KeyTip => lang.pick(
                "To log in without a password, once: cat ~/.ssh/id_ed25519.pub | ssh HOST clusteria key add".into(),
                "Pour vous connecter sans mot de passe, une fois : cat ~/.ssh/id_ed25519.pub | ssh HÔTE clusteria key add".into(),
            ),
            Self::TooManyMenus => lang.pick(
                "You have too many menus open: close some and try again".into(),
                "Vous avez trop de menus ouverts : fermez-en et réessayez".into(),
            ),
            Self::TooManyConnections => lang.pick(
                "You have too many connections open: close some and try again".into(),
                "Vous avez trop de connexions ouvertes : fermez-en et réessayez".into(),
            ),
        }
    }
}

fn agent_failed(slot: &SlotId, trouble: AgentTrouble<'_>, lang: Lang) -> String {
    match trouble {
        AgentTrouble::Silent => lang.pick(
            format!(
                "{slot}: your container does not answer at the moment. Your reservation and what runs in it go on; \
                 try again in a minute."
            ),
            format!(
                "{slot} : votre conteneur ne répond pas pour le moment. Votre réservation et ce qui y tourne continuent ; \
                 réessayez dans une minute."
            ),
        ),
        AgentTrouble::Odd => lang.pick(
            format!(
                "{slot}: your container answers with what cannot be understood. Save what you need by JupyterLab if it \
                 still runs, then 'clusteria release' and reserve again; if it comes back, tell an administrator."
            ),
            format!(
                "{slot} : votre conteneur donne une réponse incompréhensible. Sauvegardez par JupyterLab s'il tourne \
                 encore, puis « clusteria release » et réservez de nouveau ; si cela se répète, prévenez un administrateur."
            ),
        ),
        AgentTrouble::Refused(detail) => {
            lang.pick(format!("{slot}: {detail}"), format!("{slot} : {detail}"))
        }
    }
}

fn last_ended(ended: &Ended, lang: Lang) -> String {
    let (slot, at) = (&ended.slot, clock(ended.at));
    let why = match ended.reason {
        EndReason::Released => lang.pick("you released it", "vous l'avez rendue"),
        EndReason::Expired => lang.pick("its time was over", "son temps était écoulé"),
        EndReason::Idle => lang.pick("nothing was happening in it", "il ne s'y passait rien"),
        EndReason::Failed => lang
            .pick("its container stopped or did not start", "son conteneur s'est arrêté ou n'a pas démarré"),
        EndReason::MachineLost => lang.pick("its machine was lost", "sa machine a été perdue"),
        EndReason::Admin => lang.pick("an administrator ended it", "un administrateur y a mis fin"),
    };
    let detail = ended.detail.as_deref().map(|d| format!(" ({})", printable(d))).unwrap_or_default();
    lang.pick(
        format!("Your last reservation, {slot}, ended at {at}: {why}{detail}."),
        format!("Votre dernière réservation, {slot}, a pris fin à {at} : {why}{detail}."),
    )
}

fn starting(stage: &Stage, lang: Lang) -> String {
    match stage {
        Stage::Pulling { layers_done, layers, bytes } => {
            let megabytes = bytes / 1_000_000;
            lang.pick(
                format!("fetching the image: layer {layers_done} of {layers}, {megabytes} MB"),
                format!("récupération de l'image : couche {layers_done} sur {layers}, {megabytes} Mo"),
            )
        }
        Stage::Creating => lang.pick("creating the container", "création du conteneur").into(),
        Stage::Starting => lang.pick("starting it", "démarrage").into(),
        Stage::Agent => lang.pick("waiting for its agent", "attente de son agent").into(),
    }
}

/// A moment as front-door commands print it: `2026-01-02 14:05 UTC`.
#[must_use]
pub fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
