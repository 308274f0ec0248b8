//! What the menu says of the reader's own reservation, of its keys, and of itself.

use std::time::Duration;

use super::menu::Until;
use super::{Lang, Say, span};
use crate::reservation::SlotId;

/// A text of the menu. Text from outside in it has been made printable by the one who says it.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "each variant stands beside its two renderings below")]
pub enum Mine<'a> {
    Heading { slot: &'a SlotId },
    StartingHeading { slot: &'a SlotId },
    TimeLeft { until: Until },
    NoPassword { jupyter: bool },
    Memory,
    DoShell,
    DoWays,
    DoPassword,
    DoKeys,
    DoMachines,
    DoRelease,
    AskRelease { slot: &'a SlotId },
    AskRemoveKey { fingerprint: &'a str },
    Released { slot: &'a SlotId },
    Password { password: &'a str },
    WaysHeading { slot: &'a SlotId },
    CardHeading { slot: &'a SlotId },
    Shell,
    Files,
    ThenOpen,
    ConfigHeading,
    KeysHeading,
    KeysLoading,
    NoKeys,
    PasteHeading,
    PasteHint,
    Elapsed { elapsed: Duration },
    JustStarting,
    Filter { text: &'a str },
    NothingFound,
    KeyChoose,
    KeyShell,
    KeyMine,
    KeyToMine,
    KeyAdd,
    KeyRemove,
    KeyDone,
    KeyCancel,
    KeyHelp,
    KeyFind,
    KeyYes,
    KeyNo,
    KeyClose,
    HelpHeading,
    Restarts,
    PlainPrompt,
    PlainBusy,
    PlainAwaits,
    PlainText,
}

impl Say for Mine<'_> {
    fn say(&self, lang: Lang) -> String {
        match lang {
            Lang::En => self.english(),
            Lang::Fr => self.french(),
        }
    }
}

impl Mine<'_> {
    fn english(&self) -> String {
        match self {
            Self::Heading { slot } => format!("Your reservation: {slot}"),
            Self::StartingHeading { slot } => format!("Your reservation: {slot} (starting)"),
            Self::TimeLeft { until } if until.left().is_zero() => "It ends any moment now".to_owned(),
            Self::TimeLeft { until } => format!("{} left, until {}", span(until.left()), until.at()),
            Self::Memory => "memory".to_owned(),
            Self::NoPassword { jupyter: true } => {
                "It has no password yet; JupyterLab asks for one".to_owned()
            }
            Self::NoPassword { jupyter: false } => "It has no password yet".to_owned(),
            Self::DoShell => "Open a shell".to_owned(),
            Self::DoWays => "Connect VS Code, JupyterLab, scp …".to_owned(),
            Self::DoPassword => "Make a new password (the old one ends)".to_owned(),
            Self::DoKeys => "Your SSH keys".to_owned(),
            Self::DoMachines => "See all machines".to_owned(),
            Self::DoRelease => "Release it".to_owned(),
            Self::AskRelease { slot } => {
                format!("Release {slot}? Its programs end, and everything outside /storage is deleted. y/n")
            }
            Self::AskRemoveKey { fingerprint } => {
                format!("Remove the key {fingerprint}? It will not open your account any more. y/n")
            }
            Self::Released { slot } => format!("{slot} is released."),
            Self::Password { password } => format!("Password (SSH, JupyterLab), shown only now: {password}"),
            Self::WaysHeading { slot } => format!("From your own machine to {slot}"),
            Self::CardHeading { slot } => format!("{slot} is yours"),
            Self::Shell => "Shell".to_owned(),
            Self::Files => "Files".to_owned(),
            Self::ThenOpen => "then open http://localhost:8888".to_owned(),
            Self::ConfigHeading => "In ~/.ssh/config, to type less:".to_owned(),
            Self::KeysHeading => "Your SSH keys".to_owned(),
            Self::KeysLoading => "…".to_owned(),
            Self::NoKeys => "You have none. With one you log in without a password.".to_owned(),
            Self::PasteHeading => "Paste your public key (the line of a .pub file), then Enter:".to_owned(),
            Self::PasteHint => "On your own machine: cat ~/.ssh/id_ed25519.pub".to_owned(),
            Self::Elapsed { elapsed } => span(*elapsed),
            Self::JustStarting => "asking the machine".to_owned(),
            Self::Filter { text } => format!("find: {text}"),
            Self::NothingFound => "Nothing is called so.".to_owned(),
            Self::KeyChoose => "Enter choose".to_owned(),
            Self::KeyShell => "Enter shell".to_owned(),
            Self::KeyMine => "Esc back".to_owned(),
            Self::KeyToMine => "m yours".to_owned(),
            Self::KeyAdd => "a add".to_owned(),
            Self::KeyRemove => "d remove".to_owned(),
            Self::KeyDone => "Enter add it".to_owned(),
            Self::KeyCancel => "Esc cancel".to_owned(),
            Self::KeyHelp => "? help".to_owned(),
            Self::KeyFind => "/ find".to_owned(),
            Self::KeyYes => "y yes".to_owned(),
            Self::KeyNo => "n no".to_owned(),
            Self::KeyClose => "any key closes".to_owned(),
            Self::HelpHeading => "Help".to_owned(),
            Self::Restarts => "The gateway restarts: log in again in a moment. What runs goes on.".to_owned(),
            Self::PlainPrompt => "A number, b back, ? help, q quit, Enter reads again: ".to_owned(),
            Self::PlainBusy => "Starting. q cancels.".to_owned(),
            Self::PlainAwaits => "Starting. q goes back; the start goes on.".to_owned(),
            Self::PlainText => "Paste the line, or an empty one to go back: ".to_owned(),
        }
    }

    fn french(&self) -> String {
        match self {
            Self::Heading { slot } => format!("Votre réservation : {slot}"),
            Self::StartingHeading { slot } => format!("Votre réservation : {slot} (en démarrage)"),
            Self::TimeLeft { until } if until.left().is_zero() => {
                "Elle se termine d'un instant à l'autre".to_owned()
            }
            Self::TimeLeft { until } => format!("Encore {}, jusqu'à {}", span(until.left()), until.at()),
            Self::Memory => "mémoire".to_owned(),
            Self::NoPassword { jupyter: true } => {
                "Elle n'a pas encore de mot de passe ; JupyterLab en demande un".to_owned()
            }
            Self::NoPassword { jupyter: false } => "Elle n'a pas encore de mot de passe".to_owned(),
            Self::DoShell => "Ouvrir un shell".to_owned(),
            Self::DoWays => "Connecter VS Code, JupyterLab, scp …".to_owned(),
            Self::DoPassword => "Nouveau mot de passe (l'ancien expire)".to_owned(),
            Self::DoKeys => "Vos clés SSH".to_owned(),
            Self::DoMachines => "Voir toutes les machines".to_owned(),
            Self::DoRelease => "La rendre".to_owned(),
            Self::AskRelease { slot } => format!(
                "Rendre {slot} ? Ses programmes s'arrêtent, et tout ce qui n'est pas dans /storage est supprimé. o/n"
            ),
            Self::AskRemoveKey { fingerprint } => {
                format!("Supprimer la clé {fingerprint} ? Elle n'ouvrira plus votre compte. o/n")
            }
            Self::Released { slot } => format!("{slot} est rendue."),
            Self::Password { password } => {
                format!("Mot de passe (SSH, JupyterLab), affiché cette fois seulement : {password}")
            }
            Self::WaysHeading { slot } => format!("Depuis votre machine vers {slot}"),
            Self::CardHeading { slot } => format!("{slot} est à vous"),
            Self::Shell => "Shell".to_owned(),
            Self::Files => "Fichiers".to_owned(),
            Self::ThenOpen => "puis ouvrez http://localhost:8888".to_owned(),
            Self::ConfigHeading => "Dans ~/.ssh/config, pour taper moins :".to_owned(),
            Self::KeysHeading => "Vos clés SSH".to_owned(),
            Self::KeysLoading => "…".to_owned(),
            Self::NoKeys => "Vous n'en avez pas. Avec une clé, plus de mot de passe à taper.".to_owned(),
            Self::PasteHeading => {
                "Collez votre clé publique (la ligne d'un fichier .pub), puis Entrée :".to_owned()
            }
            Self::PasteHint => "Sur votre machine : cat ~/.ssh/id_ed25519.pub".to_owned(),
            Self::Elapsed { elapsed } => span(*elapsed),
            Self::JustStarting => "demande à la machine".to_owned(),
            Self::Filter { text } => format!("chercher : {text}"),
            Self::NothingFound => "Rien ne s'appelle ainsi.".to_owned(),
            Self::KeyChoose => "Entrée choisir".to_owned(),
            Self::KeyShell => "Entrée shell".to_owned(),
            Self::KeyMine => "Échap retour".to_owned(),
            Self::KeyToMine => "m la vôtre".to_owned(),
            Self::KeyAdd => "a ajouter".to_owned(),
            Self::KeyRemove => "d supprimer".to_owned(),
            Self::KeyDone => "Entrée l'ajouter".to_owned(),
            Self::KeyCancel => "Échap annuler".to_owned(),
            Self::KeyHelp => "? aide".to_owned(),
            Self::KeyFind => "/ chercher".to_owned(),
            Self::KeyYes => "o oui".to_owned(),
            Self::KeyNo => "n non".to_owned(),
            Self::KeyClose => "une touche ferme".to_owned(),
            Self::HelpHeading => "Aide".to_owned(),
            Self::Restarts => {
                "La passerelle redémarre : reconnectez-vous dans un instant. Ce qui tourne continue."
                    .to_owned()
            }
            Self::PlainPrompt => "Un numéro, b retour, ? aide, q quitter, Entrée relit : ".to_owned(),
            Self::PlainBusy => "Démarrage. q annule.".to_owned(),
            Self::PlainAwaits => "Démarrage. q revient ; le démarrage continue.".to_owned(),
            Self::PlainText => "Collez la ligne, ou une ligne vide pour revenir : ".to_owned(),
        }
    }
}

/// The help page, line by line.
#[must_use]
pub fn help(lang: Lang) -> &'static [&'static str] {
    match lang {
        Lang::En => &[
            "↑ ↓  j k  Tab      move",
            "Enter  →  l        open, choose, reserve",
            "← Esc h Backspace  back",
            "1 … 9              open or reserve that number at once",
            "Home End PgUp PgDn far moves",
            "/                  find: type part of a name; Esc ends it",
            "m                  your reservation; back to the machines",
            "L                  français",
            "mouse              a click chooses, a second one does; Shift selects text",
            "q  Ctrl-C          leave (what runs goes on)",
            "",
            "● is free. A reservation is yours until its deadline, whether you are connected or not.",
            "What is not in /storage is deleted when it ends.",
            "For a screen reader: ssh -t HOST clusteria menu --plain",
            "The same without a menu: ssh HOST clusteria help",
        ],
        Lang::Fr => &[
            "↑ ↓  j k  Tab      se déplacer",
            "Entrée  →  l       ouvrir, choisir, réserver",
            "← Échap h Retour   revenir",
            "1 … 9              ouvrir ou réserver ce numéro d'un coup",
            "Début Fin Pg↑ Pg↓  aller loin",
            "/                  chercher : une partie d'un nom ; Échap termine",
            "m                  votre réservation ; retour aux machines",
            "L                  English",
            "souris             un clic choisit, un second valide ; Maj sélectionne du texte",
            "q  Ctrl-C          quitter (ce qui tourne continue)",
            "",
            "● est libre. Une réservation est à vous jusqu'à son échéance, connecté ou non.",
            "Ce qui n'est pas dans /storage est supprimé à la fin.",
            "Pour un lecteur d'écran : ssh -t HÔTE clusteria menu --plain",
            "Sans menu : ssh HÔTE clusteria help",
        ],
    }
}
