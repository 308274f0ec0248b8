//! What the page says, besides the menu's words.

use std::time::Duration;

use jiff::Timestamp;

use super::menu::Until;
use super::{Lang, Say, span};
use crate::reservation::SlotId;

/// A text of the page. Text from outside in it has been made printable by the one who says it.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "each variant stands beside its two renderings below")]
pub enum Page<'a> {
    SkipToContent,
    Machines,
    MyReservation,
    Keys,
    Tokens,
    Administration,
    SignIn,
    SignOut,
    SignedInAs,
    OtherLanguage,
    UserName,
    Password,
    PasswordHint { tailnet: bool },
    TailnetOnly,
    Code,
    CodeHeading,
    CodeHelp,
    EnrolHelp,
    Continue,
    WrongLogin,
    Reserve,
    ChooseSlot,
    ChooseFirst,
    TakenUntil { until: Until },
    StartingFor { until: Until },
    EndingSoon,
    HeldUntil { until: Until },
    Queue,
    QueueHelp,
    QueueFor,
    QueueAny,
    QueueJoin,
    QueueLeave,
    Use,
    YoursHere,
    GoToReservation,
    NothingFree,
    CharterHeading,
    CharterAccept,
    CharterAccepted,
    Starting { slot: &'a SlotId },
    Ready { slot: &'a SlotId },
    Left { until: Until },
    PasswordHeading,
    PasswordOnce,
    PasswordUnseen,
    PasswordNone,
    PasswordRenew,
    PasswordRenewed,
    Copy,
    Copied,
    Open,
    OpenJupyter,
    OpenJupyterHelp,
    JupyterNotYet,
    OpenVsCode,
    OpenVsCodeHelp,
    ByHand,
    LineShell,
    LineCopyHere,
    LineJupyter,
    SshConfig,
    SshConfigHelp,
    Release,
    ReleaseSure,
    ReleaseNow,
    Released { slot: &'a SlotId },
    StorageHelp,
    NoReservation,
    KeysHelp,
    NoKeys,
    KeyName,
    LastUsed,
    NeverUsed,
    AddKey,
    KeyToPaste,
    Remove,
    TokensHelp,
    NoTokens,
    TokenLabel,
    TokenMake,
    TokenOnce,
    TokenRemoved,
    Live,
    NotLive,
    Refused,
    NotFound,
    TooLarge,
    FormExpired,
    WrongHost,
    NeedsHttps,
    SomethingFailed,
    WrongTokens,
    BackToMachines,
    ProxySignIn,
    ProxyNoReservation,
    ProxyOtherMachine { slot: &'a SlotId },
    ProxyNotRunning,
}

impl Say for Page<'_> {
    fn say(&self, lang: Lang) -> String {
        match self {
            Self::TakenUntil { until } => {
                let (at, left) = (until.at(), span(until.left()));
                lang.pick(
                    format!("taken until {at} at the latest ({left} left)"),
                    format!("occupée jusqu'à {at} au plus tard (encore {left})"),
                )
            }
            Self::StartingFor { until } => {
                let at = until.at();
                lang.pick(format!("starting, until {at}"), format!("en démarrage, jusqu'à {at}"))
            }
            Self::HeldUntil { until } => {
                let at = until.at();
                lang.pick(format!("held until {at} for the next in the queue"), format!("gardée jusqu'à {at} pour le prochain de la file"))
            }
            Self::Left { until } => {
                let (at, left) = (until.at(), span(until.left()));
                lang.pick(format!("{left} left, until {at}"), format!("encore {left}, jusqu'à {at}"))
            }
            Self::Starting { slot } => {
                lang.pick(format!("{slot} is starting"), format!("{slot} démarre"))
            }
            Self::Ready { slot } => lang.pick(format!("{slot} is yours"), format!("{slot} est à vous")),
            Self::Released { slot } => lang.pick(
                format!("{slot} is released: its container is being ended"),
                format!("{slot} est rendue : son conteneur est en cours d'arrêt"),
            ),
            Self::ProxyOtherMachine { slot } => lang.pick(
                format!("Your reservation is {slot}, which is on another machine. Open its JupyterLab from the page."),
                format!("Votre réservation est {slot}, sur une autre machine. Ouvrez son JupyterLab depuis la page."),
            ),
            plain => {
                let (en, fr) = plain.plain();
                lang.pick(en, fr).to_owned()
            }
        }
    }
}

impl Page<'_> {
    fn plain(&self) -> (&'static str, &'static str) {
        match self {
            Self::SkipToContent => ("Skip to the content", "Aller au contenu"),
            Self::Machines => ("Machines", "Machines"),
            Self::MyReservation => ("My reservation", "Ma réservation"),
            Self::Keys => ("SSH keys", "Clés SSH"),
            Self::Tokens => ("API tokens", "Jetons d'API"),
            Self::Administration => ("Administration", "Administration"),
            Self::SignIn => ("Sign in", "Se connecter"),
            Self::SignOut => ("Sign out", "Se déconnecter"),
            Self::SignedInAs => ("Signed in as", "Connecté en tant que"),
            Self::OtherLanguage => ("Français", "English"),
            Self::UserName => ("University username", "Identifiant universitaire"),
            Self::Password => ("Password", "Mot de passe"),
            Self::PasswordHint { tailnet: true } => (
                "Your university password. Leave it empty if the tailnet knows this device as yours.",
                "Votre mot de passe universitaire. Laissez vide si le tailnet connaît cet appareil comme le vôtre.",
            ),
            Self::PasswordHint { tailnet: false } => {
                ("Your university password.", "Votre mot de passe universitaire.")
            }
            Self::TailnetOnly => (
                "The tailnet says who you are: give your username only.",
                "Le tailnet dit qui vous êtes : donnez seulement votre identifiant.",
            ),
            Self::Code => ("Code", "Code"),
            Self::CodeHeading => ("Second factor", "Second facteur"),
            Self::CodeHelp => (
                "Type the six digits that your authenticator application shows now.",
                "Tapez les six chiffres que votre application d'authentification affiche maintenant.",
            ),
            Self::EnrolHelp => (
                "This account needs a second factor. Read this picture with an authenticator application, or type its secret there; then type the six digits that it shows.",
                "Ce compte demande un second facteur. Lisez cette image avec une application d'authentification, ou tapez-y son secret ; puis tapez les six chiffres affichés.",
            ),
            Self::Continue => ("Continue", "Continuer"),
            Self::WrongLogin => (
                "That did not work: check your username and your password.",
                "Cela n'a pas marché : vérifiez votre identifiant et votre mot de passe.",
            ),
            Self::Reserve => ("Reserve", "Réserver"),
            Self::ChooseSlot => ("Choose a free slot", "Choisissez une place libre"),
            Self::ChooseFirst => ("Choose a free slot first.", "Choisissez d'abord une place libre."),
            Self::Queue => ("Queue", "File d'attente"),
            Self::QueueHelp => (
                "When everything is taken: you keep your place when you leave, and a slot is held for you when it is your turn.",
                "Quand tout est pris : vous gardez votre rang en partant, et une place vous est gardée quand vient votre tour.",
            ),
            Self::QueueFor => ("Wait for", "Attendre"),
            Self::QueueAny => ("any machine", "n'importe quelle machine"),
            Self::QueueJoin => ("Join the queue", "Rejoindre la file"),
            Self::QueueLeave => ("Leave the queue", "Quitter la file"),
            Self::Use => ("What it uses", "Ce qu'elle utilise"),
            Self::EndingSoon => ("being freed", "se libère"),
            Self::YoursHere => ("yours", "la vôtre"),
            Self::GoToReservation => ("Go to my reservation", "Aller à ma réservation"),
            Self::NothingFree => ("Nothing is free right now.", "Rien n'est libre pour l'instant."),
            Self::CharterHeading => ("The charter", "La charte"),
            Self::CharterAccept => ("I have read it and accept it", "Je l'ai lue et je l'accepte"),
            Self::CharterAccepted => ("You have accepted the charter.", "Vous avez accepté la charte."),
            Self::PasswordHeading => ("Password of this reservation", "Mot de passe de cette réservation"),
            Self::PasswordOnce => (
                "It opens SSH and JupyterLab. Copy it now: it is shown for a few minutes, here only.",
                "Il ouvre SSH et JupyterLab. Copiez-le maintenant : il s'affiche quelques minutes, ici seulement.",
            ),
            Self::PasswordUnseen => (
                "It was shown when it was made, and nobody can read it again. A new one ends the old one.",
                "Il a été affiché à sa création et personne ne peut le relire. Un nouveau remplace l'ancien.",
            ),
            Self::PasswordNone => (
                "This reservation has no password yet: your own opens SSH.",
                "Cette réservation n'a pas encore de mot de passe : le vôtre ouvre SSH.",
            ),
            Self::PasswordRenew => ("Make a new password", "Créer un nouveau mot de passe"),
            Self::PasswordRenewed => (
                "The new password counts from now on; the old one opens nothing any more.",
                "Le nouveau mot de passe vaut dès maintenant ; l'ancien n'ouvre plus rien.",
            ),
            Self::Copy => ("Copy", "Copier"),
            Self::Copied => ("Copied", "Copié"),
            Self::Open => ("Work in it", "Y travailler"),
            Self::OpenJupyter => ("Open on JupyterLab", "Ouvrir dans JupyterLab"),
            Self::OpenJupyterHelp => {
                ("In a new tab, signed in already.", "Dans un nouvel onglet, déjà connecté.")
            }
            Self::JupyterNotYet => ("JupyterLab is not there yet.", "JupyterLab n'est pas encore là."),
            Self::OpenVsCode => ("Open on VSCode", "Ouvrir dans VSCode"),
            Self::OpenVsCodeHelp => (
                "Needs VS Code with its Remote-SSH extension on this computer; it asks for the password.",
                "Demande VS Code et son extension Remote-SSH sur cet ordinateur ; il demande le mot de passe.",
            ),
            Self::ByHand => ("By hand", "À la main"),
            Self::LineShell => ("A shell", "Un shell"),
            Self::LineCopyHere => ("Copy a file there", "Y copier un fichier"),
            Self::LineJupyter => (
                "JupyterLab by a forwarded port, at http://localhost:8888",
                "JupyterLab par un port redirigé, à http://localhost:8888",
            ),
            Self::SshConfig => ("For ~/.ssh/config", "Pour ~/.ssh/config"),
            Self::SshConfigHelp => (
                "With these lines, editors and commands know the machines by their names.",
                "Avec ces lignes, éditeurs et commandes connaissent les machines par leurs noms.",
            ),
            Self::Release => ("Release this reservation…", "Rendre cette réservation…"),
            Self::ReleaseSure => (
                "Everything that is not in /storage is deleted, and what runs is ended.",
                "Tout ce qui n'est pas dans /storage est supprimé, et ce qui tourne est arrêté.",
            ),
            Self::ReleaseNow => ("Release it now", "La rendre maintenant"),
            Self::StorageHelp => (
                "What is not in /storage is gone when the reservation ends.",
                "Ce qui n'est pas dans /storage disparaît à la fin de la réservation.",
            ),
            Self::NoReservation => ("You have no reservation.", "Vous n'avez pas de réservation."),
            Self::KeysHelp => (
                "With a key you log in by SSH without a password.",
                "Avec une clé, vous vous connectez par SSH sans mot de passe.",
            ),
            Self::NoKeys => ("You have no keys.", "Vous n'avez pas de clé."),
            Self::KeyName => ("Key", "Clé"),
            Self::LastUsed => ("Last used", "Dernier usage"),
            Self::NeverUsed => ("never", "jamais"),
            Self::AddKey => ("Add the key", "Ajouter la clé"),
            Self::KeyToPaste => {
                ("Public key: the line in your .pub file", "Clé publique : la ligne de votre fichier .pub")
            }
            Self::Remove => ("Remove", "Supprimer"),
            Self::TokensHelp => (
                "A token lets a program of yours use /api/v1 as you. Treat it as a password.",
                "Un jeton permet à un de vos programmes d'utiliser /api/v1 en votre nom. Traitez-le comme un mot de passe.",
            ),
            Self::NoTokens => ("You have no tokens.", "Vous n'avez pas de jeton."),
            Self::TokenLabel => ("What it is for", "À quoi il sert"),
            Self::TokenMake => ("Make a token", "Créer un jeton"),
            Self::TokenOnce => {
                ("Copy it now, it is not shown again:", "Copiez-le maintenant, il ne sera plus affiché :")
            }
            Self::TokenRemoved => ("The token is removed.", "Le jeton est supprimé."),
            Self::Live => ("live", "en direct"),
            Self::NotLive => {
                ("not connected: reload to see changes", "non connecté : rechargez pour voir les changements")
            }
            Self::Refused => ("That is not for you.", "Ce n'est pas pour vous."),
            Self::NotFound => ("There is nothing here.", "Il n'y a rien ici."),
            Self::TooLarge => ("That is too much.", "C'est trop."),
            Self::FormExpired => (
                "This form is too old. Go back, reload the page and try again.",
                "Ce formulaire est trop ancien. Revenez, rechargez la page et réessayez.",
            ),
            Self::WrongHost => (
                "This page is not reached by this name: ask your administrator ([web] public_url and hosts).",
                "Cette page n'est pas joignable sous ce nom : demandez à l'administrateur ([web] public_url et hosts).",
            ),
            Self::NeedsHttps => (
                "Not without encryption: open the page by https and send it there. Change a password that you have sent here.",
                "Pas sans chiffrement : ouvrez la page en https et envoyez-le là. Changez un mot de passe que vous avez envoyé ici.",
            ),
            Self::SomethingFailed => (
                "That did not work. Try again in a moment.",
                "Cela n'a pas marché. Réessayez dans un instant.",
            ),
            Self::WrongTokens => (
                "Too many wrong tokens have come from this address. Wait, then send one of yours.",
                "Trop de jetons faux sont venus de cette adresse. Attendez, puis envoyez l'un des vôtres.",
            ),
            Self::BackToMachines => ("Back to the machines", "Retour aux machines"),
            Self::ProxySignIn => (
                "Sign in on the page and press Open on JupyterLab there.",
                "Connectez-vous sur la page et pressez-y Ouvrir dans JupyterLab.",
            ),
            Self::ProxyNoReservation => (
                "Your reservation has ended, or you have none. Reserve on the page.",
                "Votre réservation a pris fin, ou vous n'en avez pas. Réservez sur la page.",
            ),
            Self::ProxyNotRunning => (
                "JupyterLab does not answer yet. Reload in a few seconds.",
                "JupyterLab ne répond pas encore. Rechargez dans quelques secondes.",
            ),
            Self::TakenUntil { .. }
            | Self::HeldUntil { .. }
            | Self::StartingFor { .. }
            | Self::Left { .. }
            | Self::Starting { .. }
            | Self::Ready { .. }
            | Self::Released { .. }
            | Self::ProxyOtherMachine { .. } => ("", ""),
        }
    }
}

/// When something is over, for a countdown.
#[must_use]
pub fn until(deadline: Timestamp, now: Timestamp) -> Until {
    Until { deadline, now }
}

/// Whole hours of use with one decimal, `12.5 h`.
#[must_use]
pub fn hours(time: Duration, lang: Lang) -> String {
    let tenths = time.as_secs() / 360;
    let point = lang.pick('.', ',');
    format!("{}{point}{} h", tenths / 10, tenths % 10)
}
