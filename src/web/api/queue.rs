//! The queue, as `clusteria queue` has it.

use axum::Json;
use serde_json::{Value, json};

use super::Problem;
use super::bearer::{Bearer, Sent};
use super::own::Wish;
use crate::frontdoor::queue::{facts, wanted};
use crate::handover::Waits;

/// `GET /queue`
pub(super) async fn queue(bearer: Bearer) -> Json<Value> {
    Json(facts(&bearer.site.door.workspaces, bearer.who.user()))
}

/// `POST /queue`: a place; without a target the one that is there already is as good.
pub(super) async fn join(bearer: Bearer, Sent(wish): Sent<Wish>) -> Result<Json<Value>, Problem> {
    let target = wanted(&bearer.site.door.workspaces, bearer.who.user(), wish.target()?);
    asked(&bearer, Waits::Joins { who: Box::new(bearer.who.clone()), target }).await
}

/// `DELETE /queue`
pub(super) async fn leave(bearer: Bearer) -> Result<Json<Value>, Problem> {
    asked(&bearer, Waits::Leaves { user: bearer.who.user().clone() }).await
}

async fn asked(bearer: &Bearer, waits: Waits) -> Result<Json<Value>, Problem> {
    let outcome = bearer.site.door.workspaces.queue(waits).await;
    let waiting = outcome.map_err(|refusal| Problem::Refused(refusal, bearer.lang))?;
    Ok(Json(json!({ "user": bearer.who.user(), "waiting": waiting })))
}
