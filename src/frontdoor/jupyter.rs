//! What `status` says of the reservation's password and of JupyterLab.

use serde_json::{Value, json};

use super::ask::ask;
use crate::agent::protocol::JupyterState;
use crate::bridge;
use crate::reservation::Reservation;
use crate::text::door::Door;
use crate::text::{Lang, Say};
use crate::workspace::Workspaces;

/// `None`: not known, as the container starts, ends, does not answer, or is from an older version.
pub async fn state(workspaces: &Workspaces, reservation: &Reservation) -> Option<JupyterState> {
    ask(workspaces, reservation, bridge::jupyter).await
}

/// For people.
pub(super) async fn lines(workspaces: &Workspaces, reservation: &Reservation, lang: Lang) -> Vec<String> {
    let mut lines = Vec::new();
    let state = state(workspaces, reservation).await;
    if let Some(state) = state.as_ref().filter(|state| **state != JupyterState::Off) {
        lines.push(Door::Jupyter(state).say(lang));
    }
    if !workspaces.has_password(&reservation.id).await {
        let jupyter = state.as_ref().is_none_or(JupyterState::is_offered);
        lines.push(Door::NoPassword { jupyter }.say(lang));
    }
    lines
}

/// For programs: `jupyter`, and whether there is a password, never which.
pub(super) async fn facts(workspaces: &Workspaces, reservation: &Reservation) -> [(&'static str, Value); 2] {
    let state = state(workspaces, reservation).await.map(|state| match state {
        JupyterState::Off => json!({ "state": "off" }),
        JupyterState::Missing => json!({ "state": "missing" }),
        JupyterState::Starting => json!({ "state": "starting" }),
        JupyterState::Running => json!({ "state": "running" }),
        JupyterState::Failed { why } => json!({ "state": "failed", "why": why }),
    });
    let has_password = workspaces.has_password(&reservation.id).await;
    [("jupyter", state.unwrap_or_default()), ("has_password", has_password.into())]
}
