//! What administrators' programs ask for: the front door's own commands, and history.

use axum::Json;
use axum::extract::{Path, RawQuery};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Problem;
use super::bearer::{Admin, Bearer, Sent};
use crate::error_chain::in_full;
use crate::frontdoor::{self, Caller, facts};
use crate::reservation::MachineName;

/// Rows that are answered at once.
const MOST: u32 = 1000;
/// Of a message.
const WORDS: usize = 500;

/// `GET /admin/reservations`
pub(super) async fn reservations(Admin(bearer): Admin) -> Json<Value> {
    let now = Timestamp::now();
    let held = bearer.site.door.workspaces.desk().read(|book| book.held().cloned().collect::<Vec<_>>());
    let fact = |one: &crate::reservation::Reservation| {
        super::with(facts(one, now), "user", one.user.as_str().into())
    };
    Json(held.iter().map(fact).collect::<Vec<_>>().into())
}

/// `GET /admin/history?since=…`
pub(super) async fn history(Admin(bearer): Admin, RawQuery(query): RawQuery) -> Result<Json<Value>, Problem> {
    let since = match query.as_deref() {
        None | Some("") => Timestamp::UNIX_EPOCH,
        Some(query) => {
            since(query).ok_or_else(|| Problem::Odd("only since=DATE or a time is known".into()))?
        }
    };
    let read = bearer.site.door.ledger.run(move |l| l.history(since, MOST)).await;
    let history = read.map_err(|e| Problem::Failed(in_full(&e)))?;
    let fact = |past: &crate::store::Past| {
        json!({ "id": past.id, "user": past.user, "slot": past.slot, "started": past.started,
            "ended": past.ended.map(|(at, _)| at), "reason": past.ended.map(|(_, reason)| reason),
            "detail": past.detail })
    };
    Ok(Json(history.iter().map(fact).collect::<Vec<_>>().into()))
}

fn since(query: &str) -> Option<Timestamp> {
    let value = query.strip_prefix("since=").filter(|value| !value.contains('&'))?;
    // What a time needs of percent encoding.
    let value = value.replace("%3A", ":").replace("%3a", ":").replace("%2B", "+").replace("%2b", "+");
    frontdoor::moment_of(&value)
}

/// Whose reservation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    target: String,
}

/// `POST /admin/end`
pub(super) async fn end(
    Admin(bearer): Admin,
    Sent(End { target }): Sent<End>,
) -> Result<Json<Value>, Problem> {
    command(&bearer, &["end", one_word(&target)?]).await
}

/// What to say, and to whom.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Message {
    to: String,
    words: String,
}

/// `POST /admin/message`
pub(super) async fn message(
    Admin(bearer): Admin,
    Sent(Message { to, words }): Sent<Message>,
) -> Result<Json<Value>, Problem> {
    if words.trim().is_empty() || words.chars().count() > WORDS {
        return Err(Problem::Odd(format!("words: 1 to {WORDS} characters")));
    }
    command(&bearer, &["message", one_word(&to)?, &words]).await
}

/// New reservations there, or none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Draining {
    draining: bool,
}

/// `PUT /admin/machines/{machine}/draining`
pub(super) async fn drain(
    Admin(bearer): Admin,
    Path(machine): Path<String>,
    Sent(Draining { draining }): Sent<Draining>,
) -> Result<Json<Value>, Problem> {
    let machine: MachineName = machine.parse().map_err(|_| Problem::NotFound)?;
    if !bearer.site.config.machines.iter().any(|m| m.name == machine) {
        return Err(Problem::NotFound);
    }
    command(&bearer, &[if draining { "drain" } else { "undrain" }, machine.as_str()]).await
}

fn one_word(text: &str) -> Result<&str, Problem> {
    let is_word = !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_graphic())
        && text != "--json";
    if is_word { Ok(text) } else { Err(Problem::Odd("a user, a slot, or all".into())) }
}

/// Runs the front door's command, which checks and notes it.
async fn command(bearer: &Bearer, words: &[&str]) -> Result<Json<Value>, Problem> {
    let all: Vec<String> =
        ["admin"].iter().chain(words).chain(&["--json"]).map(|word| (*word).to_owned()).collect();
    let caller = Caller::Client { who: bearer.who.clone(), from: bearer.peer.ip() };
    let answer = frontdoor::run(&bearer.site.door, &caller, &all, &[], bearer.lang).await;
    match answer.status {
        0 => serde_json::from_str(&answer.stdout).map(Json).map_err(|e| Problem::Failed(e.to_string())),
        2 => Err(Problem::Odd(answer.stderr.trim().to_owned())),
        _ => Err(Problem::NotDone(answer.stderr.trim().to_owned())),
    }
}
