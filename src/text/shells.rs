//! What is said of shells that go on without their connection.

use std::time::Duration;

use super::{Lang, Say, span};
use crate::agent::protocol::KeptShell;

/// Lines about kept shells. Their commands and folders are printable already.
#[derive(Debug)]
pub enum Shells<'a> {
    /// Above the list at a login.
    Here {
        /// How many.
        count: usize,
    },
    /// One of them.
    One {
        /// Which.
        shell: &'a KeptShell,
        /// Who is connected to it.
        held_by: HeldBy,
    },
    /// Below the list: what can be typed.
    Choose {
        /// How many.
        count: usize,
    },
    /// Nobody answered.
    GoingBack,
    /// The one that was chosen has ended meanwhile.
    Gone,
    /// It is in another connection's hands now.
    TakenOver,
}

/// Who is connected to a shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldBy {
    /// Nobody.
    Nobody,
    /// A connection that answers.
    Connection,
    /// A connection that gives no sign of life.
    Silence,
}

impl Say for Shells<'_> {
    fn say(&self, lang: Lang) -> String {
        match self {
            Self::Here { count: 1 } => {
                lang.pick("A shell of yours goes on here:", "Un de vos shells continue ici :").into()
            }
            Self::Here { .. } => {
                lang.pick("Shells of yours go on here:", "Plusieurs de vos shells continuent ici :").into()
            }
            Self::One { shell, held_by } => one(shell, *held_by, lang),
            Self::Choose { count: 1 } => lang.pick(
                "Enter: back to it · n Enter: a new shell ".into(),
                "Entrée : y revenir · n Entrée : un nouveau shell ".into(),
            ),
            Self::Choose { count } => lang.pick(
                format!("Enter: back to 1 · 2…{count} Enter: back to that one · n Enter: a new shell "),
                format!("Entrée : revenir au 1 · 2…{count} Entrée : revenir à celui-là · n Entrée : un nouveau shell "),
            ),
            Self::GoingBack => lang.pick("No answer: back to it.", "Pas de réponse : retour au shell.").into(),
            Self::Gone => lang
                .pick("It has just ended: here is a new one.", "Il vient de se terminer : en voici un nouveau.")
                .into(),
            Self::TakenOver => lang
                .pick(
                    "This shell goes on in another connection of yours.",
                    "Ce shell continue dans une autre de vos connexions.",
                )
                .into(),
        }
    }
}

fn one(shell: &KeptShell, held_by: HeldBy, lang: Lang) -> String {
    let long = |milliseconds| span(Duration::from_millis(milliseconds));
    let (age, left) = (long(shell.age_ms), long(shell.left_ms));
    let mut text = match shell.command.as_str() {
        "" => lang.pick(format!("at its prompt, {age} old"), format!("à l'invite, ouvert depuis {age}")),
        command => lang.pick(format!("{command}, for {age}"), format!("{command}, depuis {age}")),
    };
    match shell.others {
        0 => {}
        1 => text.push_str(lang.pick(", 1 more program", ", 1 autre programme")),
        others => {
            text.push_str(
                &lang.pick(format!(", {others} more programs"), format!(", {others} autres programmes")),
            );
        }
    }
    if !shell.folder.is_empty() {
        let folder = &shell.folder;
        text.push_str(&lang.pick(format!(", in {folder}"), format!(", dans {folder}")));
    }
    text.push_str(&match held_by {
        HeldBy::Connection => {
            lang.pick(" (open in another connection)".into(), " (ouvert dans une autre connexion)".into())
        }
        HeldBy::Silence => {
            lang.pick(" (its connection does not answer)".into(), " (sa connexion ne répond pas)".into())
        }
        HeldBy::Nobody => lang.pick(format!(" (left {left} ago)"), format!(" (quitté il y a {left})")),
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_is_described() {
        let shell = KeptShell {
            id: 1,
            attached: false,
            command: "python train.py".into(),
            others: 1,
            folder: "/home/ada".into(),
            age_ms: 7_200_000,
            left_ms: 20_000,
        };
        assert_eq!(
            Shells::One { shell: &shell, held_by: HeldBy::Nobody }.say(Lang::En),
            "python train.py, for 2 h, 1 more program, in /home/ada (left 20 s ago)"
        );
        let shell = KeptShell { command: String::new(), attached: true, others: 0, ..shell };
        assert_eq!(
            Shells::One { shell: &shell, held_by: HeldBy::Connection }.say(Lang::Fr),
            "à l'invite, ouvert depuis 2 h, dans /home/ada (ouvert dans une autre connexion)"
        );
    }
}
