//! What `status` says where a reservation in which nothing happens is ended.

use std::time::Duration;

use serde_json::{Value, json};

use super::ask::ask;
use crate::bridge;
use crate::reservation::Reservation;
use crate::text::door::Door;
use crate::text::{Lang, Say};
use crate::workspace::Workspaces;

/// For how long nothing has happened, and what is left. `None`: it does not matter here, or is not known.
async fn state(workspaces: &Workspaces, reservation: &Reservation) -> Option<(Duration, Duration)> {
    workspaces.config().reservation.idle.as_ref()?;
    let (quiet, limit) = ask(workspaces, reservation, bridge::idle).await?;
    (!limit.is_zero()).then(|| (quiet, limit.saturating_sub(quiet)))
}

/// For people, from the first warning on.
pub(super) async fn line(workspaces: &Workspaces, reservation: &Reservation, lang: Lang) -> Option<String> {
    let (quiet, left) = state(workspaces, reservation).await?;
    let first = workspaces.config().reservation.warnings.first().copied().unwrap_or_default();
    (left <= first).then(|| Door::Idle { quiet, left }.say(lang))
}

/// For programs: always.
pub(super) async fn facts(workspaces: &Workspaces, reservation: &Reservation) -> Value {
    let state = state(workspaces, reservation).await;
    let fact = |(quiet, left): (Duration, Duration)| json!({ "seconds": quiet.as_secs(), "seconds_left": left.as_secs() });
    state.map(fact).unwrap_or_default()
}
