//! What administrators read.

use std::time::Duration;

use super::{Lang, Say, printable, span};
use crate::reservation::{MachineName, SlotId, UserName};

/// Lines of `clusteria admin …`.
#[derive(Debug)]
#[allow(missing_docs, reason = "each variant stands beside its two renderings below")]
pub enum Admin<'a> {
    NotAdmin,
    Held { slot: &'a SlotId, user: &'a UserName, state: &'static str, left: Duration },
    NobodyWorks,
    Messaged(usize),
    Ended { slot: &'a SlotId, user: &'a UserName },
    NoSuchReservation(&'a str),
    Drained(&'a MachineName),
    Undrained(&'a MachineName),
    NoSuchMachine(&'a MachineName),
    NeedsPassword,
    Failed(&'a str),
    Message(&'a str),
    Help,
}

const HELP_EN: &str = "\
clusteria admin list                          machines, who works where, and who waits
clusteria admin watch                         the same, again at every change
clusteria admin message USER|SLOT|all WORDS   say something on their terminals
clusteria admin end USER|SLOT                 end a reservation now, or take USER out of the queue
clusteria admin drain MACHINE                 no new reservations there; undrain MACHINE
clusteria admin user list
clusteria admin user add NAME                 the password comes on standard input; none: keys only
clusteria admin user password NAME            the password comes on standard input
clusteria admin user admin NAME on|off
clusteria admin user disable|enable NAME
clusteria admin user expire NAME DATE|never   2027-06-30, or 2027-06-30T18:00:00Z
clusteria admin user totp NAME off            forget a lost second factor
clusteria admin user remove NAME

list, watch, user list and all acts print JSON with --json.
";

const HELP_FR: &str = "\
clusteria admin list                          les machines, et qui travaille où
clusteria admin watch                         de même, à chaque changement
clusteria admin message USER|SLOT|all MOTS    dire quelque chose sur leurs terminaux
clusteria admin end USER|SLOT                 terminer une réservation maintenant
clusteria admin drain MACHINE                 plus de nouvelles réservations ; undrain MACHINE
clusteria admin user list
clusteria admin user add NOM                  le mot de passe vient par l'entrée standard ; sans : clés seulement
clusteria admin user password NOM             le mot de passe vient par l'entrée standard
clusteria admin user admin NOM on|off
clusteria admin user disable|enable NOM
clusteria admin user expire NOM DATE|never    2027-06-30, ou 2027-06-30T18:00:00Z
clusteria admin user totp NOM off             oublier un second facteur perdu
clusteria admin user remove NOM

list, watch, user list et tous les actes donnent du JSON avec --json.
";

impl Say for Admin<'_> {
    fn say(&self, lang: Lang) -> String {
        match self {
            Self::NotAdmin => lang.pick(
                "Only administrators can do that".into(),
                "Seuls les administrateurs peuvent faire cela".into(),
            ),
            Self::Held { slot, user, state, left } => {
                let left = span(*left);
                let slot = slot.to_string();
                lang.pick(
                    format!("{slot:<12} {user:<20} {state:<9} {left} left"),
                    format!("{slot:<12} {user:<20} {state:<9} encore {left}"),
                )
            }
            Self::NobodyWorks => {
                lang.pick("Nobody has a reservation".into(), "Personne n'a de réservation".into())
            }
            Self::Messaged(count) => {
                lang.pick(format!("said in {count} containers"), format!("dit dans {count} conteneurs"))
            }
            Self::Ended { slot, user } => lang
                .pick(format!("{slot} of {user} is being ended"), format!("{slot} de {user} : fin en cours")),
            Self::NoSuchReservation(word) => {
                let word = printable(word);
                lang.pick(format!("{word} has no reservation"), format!("{word} : pas de réservation"))
            }
            Self::Drained(machine) => lang.pick(
                format!("{machine} takes no new reservations; who works there goes on"),
                format!("{machine} n'accepte plus de réservations ; ceux qui y travaillent continuent"),
            ),
            Self::Undrained(machine) => lang.pick(
                format!("{machine} takes reservations again"),
                format!("{machine} accepte de nouveau des réservations"),
            ),
            Self::NoSuchMachine(machine) => lang
                .pick(format!("There is no machine {machine}"), format!("Il n'y a pas de machine {machine}")),
            Self::NeedsPassword => lang.pick(
                "The password must come on standard input: 8 to 1024 bytes in one line".into(),
                "Le mot de passe doit venir par l'entrée standard : 8 à 1024 octets sur une ligne".into(),
            ),
            Self::Failed(detail) => {
                let detail = printable(detail);
                lang.pick(format!("It was not done: {detail}"), format!("Ce n'était pas possible : {detail}"))
            }
            Self::Message(words) => {
                let words = printable(words);
                lang.pick(format!("administrators: {words}"), format!("administrateurs : {words}"))
            }
            Self::Help => lang.pick(HELP_EN.into(), HELP_FR.into()),
        }
    }
}
