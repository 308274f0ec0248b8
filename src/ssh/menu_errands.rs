//! What the menu asks for and must not wait for: each ends in events for it.

use std::time::Duration;

use tokio::time::timeout;

use super::visit::{Visit, in_words};
use crate::bridge;
use crate::error_chain::in_full;
use crate::frontdoor::{self, Caller};
use crate::menu::{Event, Facts};
use crate::reservation::Target;
use crate::text::Lang;

/// A container that does not answer at once is asked again later.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// What the user's container says of itself.
pub(super) async fn facts(visit: &Visit) -> Facts {
    let workspaces = &visit.gateway.workspaces;
    let Ok(Some(lease)) = workspaces.lease(visit.guest.identity.user(), &Target::Any) else {
        return Facts::default();
    };
    let Some(reservation) = lease.reservation().cloned() else { return Facts::default() };
    let has_password = Some(workspaces.has_password(&reservation.id).await);
    let container = workspaces.container(reservation);
    let jupyter = timeout(ANSWER_LIMIT, bridge::jupyter(&container.agent)).await;
    Facts { jupyter: jupyter.ok().and_then(Result::ok), has_password }
}

/// A new password for the user's reservation.
pub(super) async fn new_password(visit: &Visit, lang: Lang) -> Vec<Event> {
    let user = visit.guest.identity.user();
    match visit.gateway.workspaces.renew_password(user).await {
        Ok((reservation, password)) => {
            tracing::info!(%user, reservation = %reservation.id, "new reservation password");
            vec![Event::Ready(password)]
        }
        Err(refusal) => vec![Event::Failed(in_words(&refusal, lang))],
    }
}

/// The user's keys.
pub(super) async fn show_keys(visit: &Visit, lang: Lang) -> Vec<Event> {
    match visit.gateway.auth.keys(&visit.guest.identity).await {
        Ok(keys) => vec![Event::Keys(keys)],
        // The command says it in words.
        Err(_) => vec![Event::Failed(command(visit, &["key".into(), "list".into()], "", lang).await)],
    }
}

/// Adds or removes a key, as the command does it and with its words.
pub(super) async fn change_keys(visit: &Visit, words: Vec<String>, input: String, lang: Lang) -> Vec<Event> {
    let said = command(visit, &words, &input, lang).await;
    let mut events = vec![Event::Told(said)];
    events.extend(show_keys(visit, lang).await);
    events
}

async fn command(visit: &Visit, words: &[String], input: &str, lang: Lang) -> String {
    let (who, from) = (visit.guest.identity.clone(), visit.guest.peer.client.ip());
    let input: Vec<String> = input.lines().map(str::to_owned).collect();
    let answer =
        frontdoor::run(&visit.gateway.door, &Caller::Client { who, from }, words, &input, lang).await;
    format!("{}{}", answer.stdout, answer.stderr)
}

/// Remembers the user's language. What cannot be written holds for this connection.
pub(super) async fn speak(visit: &Visit, lang: Lang) -> Vec<Event> {
    let user = visit.guest.identity.user();
    if let Err(e) = visit.gateway.door.languages.choose(user, lang).await {
        tracing::warn!(%user, "their language: {}", in_full(&e));
    }
    Vec::new()
}
