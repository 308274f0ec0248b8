//! What the front-door commands print.

use std::time::Duration;

use super::{Lang, Say, span};
use crate::agent::protocol::JupyterState;
use crate::reservation::{SlotId, State};

/// Lines of `clusteria …`.
#[derive(Debug)]
pub enum Door<'a> {
    /// `status` with a reservation.
    Holding {
        /// Where.
        slot: &'a SlotId,
        /// In which state.
        state: State,
        /// For how long.
        left: Duration,
        /// Until when.
        until: &'a str,
    },
    /// `status` without one.
    Nothing,
    /// `reserve` that worked.
    Reserved {
        /// Where.
        slot: &'a SlotId,
        /// For how long.
        left: Duration,
        /// Until when.
        until: &'a str,
    },
    /// Nothing happens in the container, and it will be ended for that.
    Idle {
        /// For how long.
        quiet: Duration,
        /// What is left.
        left: Duration,
    },
    /// How JupyterLab does (its words are printable already).
    Jupyter(&'a JupyterState),
    /// The reservation has no password.
    NoPassword {
        /// There is a JupyterLab, which asks for one.
        jupyter: bool,
    },
    /// `password` asked for inside a container.
    PasswordOutsideOnly,
    /// `release` that worked.
    Released(&'a SlotId),
    /// Free slots of a machine.
    Free {
        /// Free.
        free: usize,
        /// In all.
        total: usize,
    },
    /// A word that is no command.
    Unknown(&'a str),
    /// Too many or odd words.
    Usage(&'a str),
    /// `help`.
    Help,
}

const HELP_EN: &str = "\
clusteria: reserve a container on a GPU machine and work in it.

  clusteria status             your reservation and the time left
  clusteria machines           machines, slots, who holds them and until when
  clusteria reserve [TARGET]   get a slot: anywhere, on gpu1, or gpu1/2
  clusteria queue              who waits, and your place; join [TARGET], leave
  clusteria queue wait         join, stay here, and get the slot when it is your turn
  clusteria release            give yours back; everything outside /storage is deleted
  clusteria password           a new password for your reservation (SSH, JupyterLab); the old one ends
  clusteria menu [--plain]     the menu (needs a terminal); --plain: in lines, for screen readers
  clusteria key add            enrol a public key: cat ~/.ssh/id_ed25519.pub | ssh HOST clusteria key add
  clusteria key list           your keys; clusteria key remove FINGERPRINT
  clusteria password --account change your account's password
  clusteria totp               a second factor for your password
  clusteria ssh-config         lines for your ~/.ssh/config: machines by their names
  clusteria charter            the charter; clusteria accept accepts it
  clusteria help               this page

status, machines, reserve, queue, release, password, key and ssh-config print JSON with --json.
From your own machine: ssh HOST clusteria status
Log in as USER+gpu1 or USER+gpu1/2 to land on a machine or slot of your choice.
A reservation made by an editor or by scp has no password until you ask for one: clusteria password
What is not in /storage is gone when the reservation ends.
";

const HELP_FR: &str = "\
clusteria : réservez un conteneur sur une machine GPU et travaillez-y.

  clusteria status             votre réservation et le temps restant
  clusteria machines           les machines, les places, qui les occupe et jusqu'à quand
  clusteria reserve [CIBLE]    obtenir une place : n'importe où, sur gpu1, ou gpu1/2
  clusteria queue              qui attend, et votre place dans la file ; join [CIBLE], leave
  clusteria queue wait         entrer dans la file, y rester, et obtenir la place à votre tour
  clusteria release            rendre la vôtre ; tout ce qui n'est pas dans /storage est supprimé
  clusteria password           un nouveau mot de passe de réservation (SSH, JupyterLab) ; l'ancien expire
  clusteria menu [--plain]     le menu (nécessite un terminal) ; --plain : en lignes, pour lecteurs d'écran
  clusteria key add            ajouter une clé publique : cat ~/.ssh/id_ed25519.pub | ssh HÔTE clusteria key add
  clusteria key list           vos clés ; clusteria key remove EMPREINTE
  clusteria password --account changer le mot de passe de votre compte
  clusteria totp               un second facteur pour votre mot de passe
  clusteria ssh-config         des lignes pour votre ~/.ssh/config : les machines par leurs noms
  clusteria charter            la charte ; clusteria accept l'accepte
  clusteria help               cette page

status, machines, reserve, queue, release, password, key et ssh-config écrivent du JSON avec --json.
Depuis votre machine : ssh HÔTE clusteria status
Connectez-vous en UTILISATEUR+gpu1 ou UTILISATEUR+gpu1/2 pour choisir la machine ou la place.
Une réservation faite par un éditeur ou par scp n'a pas de mot de passe avant : clusteria password
Ce qui n'est pas dans /storage disparaît à la fin de la réservation.
";

impl Say for Door<'_> {
    fn say(&self, lang: Lang) -> String {
        match self {
            Self::Holding { slot, state, left, until } => {
                let left = span(*left);
                let state = match state {
                    State::Starting => lang.pick("starting", "en démarrage"),
                    State::Active => lang.pick("active", "active"),
                    State::Ending(_) => lang.pick("ending", "en cours d'arrêt"),
                };
                lang.pick(
                    format!("{slot}: {state}, {left} left (until {until})"),
                    format!("{slot} : {state}, encore {left} (jusqu'à {until})"),
                )
            }
            Self::Nothing => lang.pick(
                "You have no reservation. To get one: clusteria reserve".into(),
                "Vous n'avez pas de réservation. Pour en obtenir une : clusteria reserve".into(),
            ),
            Self::Reserved { slot, left, until } => {
                let left = span(*left);
                lang.pick(
                    format!("{slot} is yours for {left} (until {until})"),
                    format!("{slot} est à vous pour {left} (jusqu'à {until})"),
                )
            }
            Self::Idle { quiet, left } => {
                let (quiet, left) = (span(*quiet), span(*left));
                lang.pick(
                    format!("Nothing has happened in it for {quiet}: it ends in {left} unless something does"),
                    format!("Il ne s'y passe rien depuis {quiet} : elle prend fin dans {left} si rien ne change"),
                )
            }
            Self::Jupyter(state) => jupyter(state, lang),
            Self::NoPassword { jupyter } => no_password(*jupyter, lang),
            Self::PasswordOutsideOnly => lang.pick(
                "clusteria: a password is given outside only, to somebody who logs in. On your own machine: ssh HOST clusteria password".into(),
                "clusteria : un mot de passe ne se donne qu'à l'extérieur, à qui se connecte. Sur votre machine : ssh HÔTE clusteria password".into(),
            ),
            Self::Released(slot) => lang.pick(
                format!("{slot} is released: its container is being ended"),
                format!("{slot} est rendue : son conteneur est en cours d'arrêt"),
            ),
            Self::Free { free, total } => {
                lang.pick(format!("{free} of {total} free"), format!("{free} sur {total} libres"))
            }
            Self::Unknown(word) => lang.pick(
                format!("clusteria: there is no command `{word}`. See: clusteria help"),
                format!("clusteria : pas de commande « {word} ». Voir : clusteria help"),
            ),
            Self::Usage(word) => lang.pick(
                format!("clusteria: `{word}` makes no sense here. See: clusteria help"),
                format!("clusteria : « {word} » n'a pas de sens ici. Voir : clusteria help"),
            ),
            Self::Help => lang.pick(HELP_EN, HELP_FR).into(),
        }
    }
}

fn no_password(jupyter: bool, lang: Lang) -> String {
    let why = if jupyter { lang.pick(" (JupyterLab needs one)", " (JupyterLab en demande un)") } else { "" };
    lang.pick(
        format!("No password yet for this reservation{why}. To get one: ssh HOST clusteria password"),
        format!("Pas encore de mot de passe pour cette réservation{why}. Pour en obtenir un : ssh HÔTE clusteria password"),
    )
}

fn jupyter(state: &JupyterState, lang: Lang) -> String {
    match state {
        JupyterState::Off => {
            lang.pick("JupyterLab: off on this cluster", "JupyterLab : désactivé sur cette grappe").into()
        }
        JupyterState::Missing => {
            lang.pick("JupyterLab: not in this image", "JupyterLab : absent de cette image").into()
        }
        JupyterState::Starting => lang.pick("JupyterLab: starting", "JupyterLab : en démarrage").into(),
        JupyterState::Running => lang
            .pick(
                "JupyterLab: ssh -L 8888:localhost:8888 HOST, then http://localhost:8888",
                "JupyterLab : ssh -L 8888:localhost:8888 HÔTE, puis http://localhost:8888",
            )
            .into(),
        JupyterState::Failed { why } => lang.pick(
            format!("JupyterLab: ended, is started again soon: {why}"),
            format!("JupyterLab : arrêté, bientôt relancé : {why}"),
        ),
    }
}

/// A slot's state in a list.
#[must_use]
pub fn slot_state(state: &crate::reservation::view::SlotState, now: jiff::Timestamp, lang: Lang) -> String {
    use crate::reservation::view::SlotState as S;
    let left = |deadline: jiff::Timestamp| {
        span(Duration::try_from(deadline.duration_since(now)).unwrap_or_default())
    };
    match state {
        S::Free => lang.pick("free", "libre").into(),
        S::Reserved { user, deadline } => {
            let left = left(*deadline);
            lang.pick(format!("{user}, {left} left"), format!("{user}, encore {left}"))
        }
        S::Starting { user, .. } => lang.pick(format!("{user}, starting"), format!("{user}, en démarrage")),
        S::Ending { user } => lang.pick(format!("{user}, ending"), format!("{user}, en cours d'arrêt")),
        S::Held { user, until } => {
            let left = left(*until);
            lang.pick(format!("held for {user}, {left}"), format!("gardée pour {user}, {left}"))
        }
        S::Offline => lang.pick("offline", "hors ligne").into(),
        S::Draining => lang.pick("maintenance", "maintenance").into(),
    }
}
