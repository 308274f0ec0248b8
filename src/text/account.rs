//! What people read about their own account: keys, password, second factor, charter.

use super::{Lang, Say, printable, span};
use crate::auth::OwnError;
use crate::auth::authorized_key::KeyError;
use crate::store::KeyRecord;

/// Lines of `clusteria key`, `password`, `totp`, `charter` and `accept`.
#[derive(Debug)]
#[allow(missing_docs, reason = "each variant stands beside its two renderings below")]
pub enum Account<'a> {
    KeyAdded(&'a KeyRecord),
    KeyRemoved(&'a KeyRecord),
    NoKeys,
    PasteKey,
    OldPassword,
    NewPassword,
    NewPasswordAgain,
    PasswordChanged,
    FactorBegun { uri: &'a str, secret: &'a str, picture: &'a str },
    FactorThere,
    FactorAdded,
    FactorRemoved,
    NothingBegun,
    CharterAccepted,
    NoCharter,
    CharterToAccept,
    FromOutside,
    Restricted,
    Refused(&'a OwnError),
}

impl Say for Account<'_> {
    fn say(&self, lang: Lang) -> String {
        match self {
            Self::KeyAdded(key) => {
                let (print, comment) = (&key.fingerprint, printable(&key.comment));
                lang.pick(format!("added {print} {comment}"), format!("ajoutée : {print} {comment}"))
            }
            Self::KeyRemoved(key) => {
                let (print, comment) = (&key.fingerprint, printable(&key.comment));
                lang.pick(format!("removed {print} {comment}"), format!("supprimée : {print} {comment}"))
            }
            Self::NoKeys => lang.pick(
                "You have no keys. To add one: cat ~/.ssh/id_ed25519.pub | ssh HOST clusteria key add".into(),
                "Vous n'avez pas de clé. Pour en ajouter une : cat ~/.ssh/id_ed25519.pub | ssh HÔTE clusteria key add".into(),
            ),
            Self::PasteKey => lang.pick(
                "Paste your public key (one line of a .pub file), then Enter: ".into(),
                "Collez votre clé publique (une ligne d'un fichier .pub), puis Entrée : ".into(),
            ),
            Self::OldPassword => lang.pick("Old password: ".into(), "Ancien mot de passe : ".into()),
            Self::NewPassword => lang.pick("New password: ".into(), "Nouveau mot de passe : ".into()),
            Self::NewPasswordAgain => lang.pick("Again: ".into(), "Encore une fois : ".into()),
            Self::PasswordChanged => {
                lang.pick("Your password is changed".into(), "Votre mot de passe est changé".into())
            }
            Self::FactorBegun { uri, secret, picture } => {
                let words = lang.pick(
                    "Read this picture with an authenticator application, then confirm with the six digits it shows:\n  clusteria totp CODE\nNothing changes until then.",
                    "Lisez cette image avec une application d'authentification, puis confirmez par les six chiffres qu'elle affiche :\n  clusteria totp CODE\nRien ne change d'ici là.",
                );
                format!("{picture}\n{uri}\n{secret}\n\n{words}")
            }
            Self::FactorThere => lang.pick(
                "You have a second factor. To remove it: clusteria totp off CODE".into(),
                "Vous avez un second facteur. Pour le supprimer : clusteria totp off CODE".into(),
            ),
            Self::FactorAdded => lang.pick(
                "From now on a code is asked for after your password".into(),
                "Désormais un code vous est demandé après votre mot de passe".into(),
            ),
            Self::FactorRemoved => {
                lang.pick("Your second factor is removed".into(), "Votre second facteur est supprimé".into())
            }
            Self::NothingBegun => lang.pick(
                "Begin with: clusteria totp".into(),
                "Commencez par : clusteria totp".into(),
            ),
            Self::CharterAccepted => {
                lang.pick("You have accepted the charter".into(), "Vous avez accepté la charte".into())
            }
            Self::NoCharter => lang.pick("There is no charter here".into(), "Il n'y a pas de charte ici".into()),
            Self::CharterToAccept => lang.pick(
                "To accept it: clusteria accept".into(),
                "Pour l'accepter : clusteria accept".into(),
            ),
            Self::FromOutside => lang.pick(
                "That needs a proof of who you are: from your own machine, ssh HOST clusteria …".into(),
                "Il faut pour cela prouver qui vous êtes : depuis votre machine, ssh HÔTE clusteria …".into(),
            ),
            Self::Restricted => lang.pick(
                "A certificate, or a reservation's own password, cannot change what opens your account: log in with your account's password or an enrolled key for that".into(),
                "Un certificat, ou le mot de passe d'une réservation, ne peut pas changer ce qui ouvre votre compte : connectez-vous pour cela avec le mot de passe de votre compte ou une clé ajoutée".into(),
            ),
            Self::Refused(error) => refused(error, lang),
        }
    }
}

/// One key as `clusteria key list` shows it.
#[must_use]
pub fn key_line(key: &KeyRecord, lang: Lang) -> String {
    let used = match key.last_used {
        Some(time) => {
            let time = super::session::moment(time);
            lang.pick(format!("last used {time}"), format!("dernier usage {time}"))
        }
        None => lang.pick("never used", "jamais utilisée").into(),
    };
    format!("{}  {}  {used}", key.fingerprint, printable(&key.comment))
}

fn refused(error: &OwnError, lang: Lang) -> String {
    match error {
        OwnError::Key(error) => key_error(error, lang),
        OwnError::TooManyKeys => lang.pick(
            "You have too many keys: remove one first, clusteria key remove FINGERPRINT".into(),
            "Vous avez trop de clés : supprimez-en une d'abord, clusteria key remove EMPREINTE".into(),
        ),
        OwnError::TooManyTokens => lang.pick(
            "You have too many tokens: remove one first".into(),
            "Vous avez trop de jetons : supprimez-en un d'abord".into(),
        ),
        OwnError::NoSuchKey => lang.pick(
            "You have no such key, or several. See their fingerprints: clusteria key list".into(),
            "Vous n'avez pas cette clé, ou en avez plusieurs. Voyez leurs empreintes : clusteria key list"
                .into(),
        ),
        OwnError::WrongPassword => lang.pick(
            "The old password is not right: nothing was changed".into(),
            "L'ancien mot de passe n'est pas le bon : rien n'a été changé".into(),
        ),
        OwnError::TooShort => lang.pick(
            "A password needs 8 characters at least: nothing was changed".into(),
            "Un mot de passe a au moins 8 caractères : rien n'a été changé".into(),
        ),
        OwnError::TooLong => lang.pick(
            "A password has 1024 bytes at most: nothing was changed".into(),
            "Un mot de passe a au plus 1024 octets : rien n'a été changé".into(),
        ),
        OwnError::Unlike => lang.pick(
            "The two are not the same: nothing was changed".into(),
            "Les deux ne sont pas identiques : rien n'a été changé".into(),
        ),
        OwnError::Directory => lang.pick(
            "Your password is the university's: change it there".into(),
            "Votre mot de passe est celui de l'université : changez-le là-bas".into(),
        ),
        OwnError::WrongCode => lang.pick(
            "That is not the code of now, or it was used already: wait for the next one".into(),
            "Ce n'est pas le code du moment, ou il a déjà servi : attendez le suivant".into(),
        ),
        OwnError::NoFactor => {
            lang.pick("You have no second factor".into(), "Vous n'avez pas de second facteur".into())
        }
        OwnError::Later(time) => {
            let time = span(std::time::Duration::from_secs(time.as_secs() + 1));
            lang.pick(
                format!("Too many wrong tries: try again in {time}"),
                format!("Trop d'essais erronés : réessayez dans {time}"),
            )
        }
        OwnError::Failed(detail) => {
            let detail = printable(detail);
            lang.pick(
                format!("It could not be done: {detail}"),
                format!("Ce n'était pas possible : {detail}"),
            )
        }
    }
}

fn key_error(error: &KeyError, lang: Lang) -> String {
    let french = match error {
        KeyError::NotAKey => "ce n'est pas une clé publique : donnez une ligne d'un fichier .pub, comme « ssh-ed25519 AAAA… commentaire »".into(),
        KeyError::Private => "c'est une clé PRIVÉE : elle doit rester sur votre machine. Donnez le fichier .pub à côté".into(),
        KeyError::Kind(kind) => format!("les clés de type {kind} ne sont pas acceptées : faites-en une par « ssh-keygen -t ed25519 »"),
        KeyError::TooShort(bits) => format!("cette clé RSA a {bits} bits, il en faut davantage : « ssh-keygen -t ed25519 » fait une bonne clé"),
    };
    lang.pick(error.to_string(), french)
}
