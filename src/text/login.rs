//! What people read while they log in. Nothing has told us their language yet: both are said where it matters.
//!
//! OpenSSH's client shows instructions as it shows its own log: at most a kilobyte, and every byte beyond ASCII as
//! an octal number. So they are short, and the French does without its accents.

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
    /// Asks for the first code of a second factor that is made now.
    Enrol {
        /// What applications read.
        uri: &'a str,
        /// The secret, to be typed.
        secret: &'a str,
    },
    /// Why the last try came to nothing.
    Denied(Denial),
}

impl Say for Login<'_> {
    fn say(&self, lang: Lang) -> String {
        match self {
            Self::Password => lang.pick("Password: ".into(), "Mot de passe : ".into()),
            Self::Code => lang.pick("Code: ".into(), "Code : ".into()),
            Self::Enrol { uri, secret } => {
                let words = lang.pick(
                    "This account needs a second factor. Put this secret into an authenticator application",
                    "Ce compte demande un second facteur. Mettez ce secret dans une application d'authentification",
                );
                format!("{words}:\n  {secret}\n  {uri}\nCode: ")
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

/// In both languages, each on its line, in ASCII.
#[must_use]
pub fn in_both(message: &dyn Say) -> String {
    let (en, fr) = (message.say(Lang::En), message.say(Lang::Fr));
    let plain = |c: char| match c {
        'à' | 'â' => 'a',
        'ç' => 'c',
        'è' | 'é' | 'ê' => 'e',
        'ï' | 'î' => 'i',
        'ô' => 'o',
        'ù' | 'û' => 'u',
        '\u{a0}' | '\u{202f}' => ' ',
        c => c,
    };
    if en.is_empty() { en } else { format!("{en}\n{fr}\n").chars().map(plain).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_at_a_login_is_short_and_ascii() {
        for denial in [Denial::Later(Duration::from_secs(7)), Denial::DirectoryDown, Denial::Busy] {
            let said = in_both(&Login::Denied(denial));
            assert!(said.is_ascii() && said.len() < 500 && said.lines().count() == 2, "{said}");
        }
        assert_eq!(in_both(&Login::Denied(Denial::Wrong)), "");
        let uri = crate::auth::totp::uri("clusteria", &"a".repeat(32), &"A".repeat(32));
        let asked = Login::Enrol { uri: &uri, secret: &"A".repeat(32) }.say(Lang::En);
        assert!(asked.is_ascii() && asked.len() < 500, "{asked}");
    }
}
