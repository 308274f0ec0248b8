//! What the administrators' page says.

use super::{Lang, Say};

/// A text of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant stands beside its two renderings below")]
pub enum AdminPage {
    WhoIsWhere,
    Slot,
    User,
    State,
    Acts,
    Nobody,
    End,
    Drain,
    Undrain,
    Message,
    MessageTo,
    MessageWords,
    ByWeek,
    ByMachine,
    ByUser,
    History,
    Began,
    Ended,
    Why,
    AsCsv,
}

impl Say for AdminPage {
    fn say(&self, lang: Lang) -> String {
        let (en, fr) = match self {
            Self::WhoIsWhere => ("Who is where", "Qui est où"),
            Self::Slot => ("Slot", "Place"),
            Self::User => ("User", "Utilisateur"),
            Self::State => ("State", "État"),
            Self::Acts => ("Acts", "Actions"),
            Self::Nobody => ("Nobody has a reservation.", "Personne n'a de réservation."),
            Self::End => ("End", "Terminer"),
            Self::Drain => ("Drain: no new reservations", "Vider : plus de réservations"),
            Self::Undrain => ("Take reservations again", "Reprendre les réservations"),
            Self::Message => ("Say it on their terminals", "Le dire sur leurs terminaux"),
            Self::MessageTo => ("To: a user, a slot, or all", "À : un utilisateur, une place, ou all"),
            Self::MessageWords => ("Message", "Message"),
            Self::ByWeek => ("Hours held, by week", "Heures occupées, par semaine"),
            Self::ByMachine => {
                ("Hours held in 12 weeks, by machine", "Heures occupées en 12 semaines, par machine")
            }
            Self::ByUser => {
                ("Hours held in 12 weeks, by user", "Heures occupées en 12 semaines, par utilisateur")
            }
            Self::History => ("History", "Historique"),
            Self::Began => ("Began", "Début"),
            Self::Ended => ("Ended", "Fin"),
            Self::Why => ("Why", "Pourquoi"),
            Self::AsCsv => ("a year as CSV", "une année en CSV"),
        };
        lang.pick(en, fr).to_owned()
    }
}
