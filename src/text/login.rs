//! What people read while they log in. Nothing has told us their language yet: both are said where it matters.

use std::time::Duration;

use super::{Lang, Say, span};
use crate::auth::Denial;

/// Prompts and words around them.
#[derive(Debug)]
pub enum Login<'a> {
    /// Asks for the password.
    Password,
    /// Asks for the second factor's code.
    Code,
    /// Before the code of a second factor that is made now.
    Enrol {
        /// What applications read.
        uri: &'a str,
        /// The secret, to be typed.
        secret: &'a str,
        /// The URI as a picture.
        picture: &'a str,
    },
    /// Why the last try came to nothing.
    Denied(Denial),
}

impl Say for Login<'_> {
    fn say(&self, lang: Lang) -> String {
        match self {
            Self::Password => lang.pick("Password: ".into(), "Mot de passe : ".into()),
            Self::Code => lang.pick("Code: ".into(), "Code : ".into()),
            Self::Enrol { uri, secret, picture } => {
                let words = lang.pick(
                    "This account needs a second factor. Read this picture with an authenticator application\n\
                     (FreeOTP, Aegis, Google Authenticator), then type the six digits it shows.",
                    "Ce compte demande un second facteur. Lisez cette image avec une application d'authentification\n\
                     (FreeOTP, Aegis, Google Authenticator), puis tapez les six chiffres qu'elle affiche.",
                );
                format!("{words}\n{picture}\n{uri}\n{secret}\n")
            }
            Self::Denied(denial) => denied(*denial, lang),
        }
    }
}

fn denied(denial: Denial, lang: Lang) -> String {
    match denial {
        Denial::Wrong => String::new(),
        Denial::Later(time) => {
            let time = span(Duration::from_secs(time.as_secs() + 1));
            lang.pick(
                format!("Too many failed logins: try again in {time}. Keys still work."),
                format!("Trop d'échecs de connexion : réessayez dans {time}. Les clés fonctionnent toujours."),
            )
        }
        Denial::DirectoryDown => lang.pick(
            "The university's directory does not answer: passwords cannot be checked now. Keys still work.".into(),
            "L'annuaire de l'université ne répond pas : les mots de passe ne peuvent pas être vérifiés. Les clés fonctionnent toujours.".into(),
        ),
        Denial::Busy => lang.pick(
            "Too many logins at once: try again in a moment.".into(),
            "Trop de connexions en même temps : réessayez dans un instant.".into(),
        ),
    }
}

/// In both languages, each on its line.
#[must_use]
pub fn in_both(message: &dyn Say) -> String {
    let (en, fr) = (message.say(Lang::En), message.say(Lang::Fr));
    if en.is_empty() { en } else { format!("{en}\n{fr}\n") }
}
