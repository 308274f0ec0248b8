//! A question to somebody's container, for what a command says of it.

use std::time::Duration;

use tokio::time::timeout;

use crate::bridge::{AgentAddress, BridgeError};
use crate::reservation::{Reservation, State};
use crate::workspace::Workspaces;

/// A container that does not answer at once must not hold the command up.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// `None`: not known, as the container starts, ends, does not answer, or is from an older version.
pub(super) async fn ask<T>(
    workspaces: &Workspaces,
    reservation: &Reservation,
    question: impl AsyncFnOnce(&AgentAddress) -> Result<T, BridgeError>,
) -> Option<T> {
    if reservation.state != State::Active {
        return None;
    }
    let container = workspaces.container(reservation.clone());
    timeout(ANSWER_LIMIT, question(&container.agent)).await.ok()?.ok()
}
