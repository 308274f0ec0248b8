//! One's own reservation, and what there is.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::Problem;
use super::bearer::{Bearer, Sent};
use crate::frontdoor::{self, facts};
use crate::reservation::{Cause, Refusal, Target};

/// A start that takes longer than this is told of as it is: below the limit of every answer.
const START_LIMIT: Duration = Duration::from_secs(45);

/// `GET /machines`
pub(super) async fn machines(bearer: Bearer) -> Json<Value> {
    Json(frontdoor::machine_facts(&bearer.site.door.workspaces))
}

/// `GET /reservation`. The container is asked for it.
pub(super) async fn reservation(bearer: Bearer) -> Result<Json<Value>, Problem> {
    let user = bearer.who.user();
    let seat = bearer.site.askers.take(user.clone());
    let _seat = seat.ok_or(Problem::Refused(Refusal::TooMuchAtOnce, bearer.lang))?;
    Ok(Json(frontdoor::status_facts(&bearer.site.door.workspaces, user).await))
}

/// What is wished for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    #[serde(default)]
    target: Option<String>,
}

impl Wish {
    pub(super) fn target(&self) -> Result<Option<Target>, Problem> {
        let odd = |e: crate::reservation::NameError| Problem::Odd(crate::text::printable(&e.to_string()));
        self.target.as_ref().map(|text| text.parse()).transpose().map_err(odd)
    }
}

/// `POST /reservation`: 201 when it is ready, 202 while it starts.
pub(super) async fn reserve(bearer: Bearer, Sent(wish): Sent<Wish>) -> Result<Response, Problem> {
    let target = wish.target()?.unwrap_or_default();
    let refused = |refusal| Problem::Refused(refusal, bearer.lang);
    let workspaces = &bearer.site.door.workspaces;
    let lease = workspaces.reserve(&bearer.who, target, Cause::Explicit).map_err(refused)?;
    let (status, facts) = match timeout(START_LIMIT, lease.ready()).await {
        Ok(ready) => {
            let container = ready.map_err(refused)?;
            let mut facts = facts(&container.reservation, Timestamp::now());
            if let Some(password) = &container.password {
                facts = super::with(facts, "password", password.reveal().into());
            }
            (StatusCode::CREATED, super::with(facts, "state", "active".into()))
        }
        Err(_) => {
            let mine = workspaces.desk().read(|book| book.of(bearer.who.user()).cloned());
            let mine = mine.ok_or(Problem::Refused(Refusal::Cancelled, bearer.lang))?;
            (StatusCode::ACCEPTED, facts(&mine, Timestamp::now()))
        }
    };
    let facts = super::with(facts, "user", bearer.who.user().as_str().into());
    Ok((status, Json(facts)).into_response())
}

/// `DELETE /reservation`
pub(super) async fn release(bearer: Bearer) -> Result<Json<Value>, Problem> {
    let released = bearer.site.door.workspaces.release(bearer.who.user());
    let was = released.map_err(|refusal| Problem::Refused(refusal, bearer.lang))?;
    Ok(Json(json!({ "id": was.id, "released": was.slot })))
}

/// `POST /reservation/password`
pub(super) async fn password(bearer: Bearer) -> Result<Json<Value>, Problem> {
    let renewed = bearer.site.door.workspaces.renew_password(bearer.who.user()).await;
    let (reservation, password) = renewed.map_err(|refusal| Problem::Refused(refusal, bearer.lang))?;
    Ok(Json(json!({ "id": reservation.id, "password": password.reveal() })))
}

/// `GET /keys`. A token changes none: what leaks must not make something that lasts.
pub(super) async fn keys(bearer: Bearer) -> Result<Json<Value>, Problem> {
    let keys = bearer.site.door.auth.keys(&bearer.who).await;
    let keys = keys.map_err(|_| Problem::Failed("the ledger does not answer".into()))?;
    let fact = |key: &crate::store::KeyRecord| json!({ "fingerprint": key.fingerprint, "comment": key.comment, "last_used": key.last_used });
    Ok(Json(keys.iter().map(fact).collect::<Vec<_>>().into()))
}
