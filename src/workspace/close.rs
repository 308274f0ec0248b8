//! Closing: SIGTERM, grace and SIGKILL by the agent, then the container and its anonymous data go.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::Inner;
use crate::bridge;
use crate::engine::labels::container_name;
use crate::engine::{Engine, EngineError};
use crate::error_chain::in_full;
use crate::reservation::{EndReason, Reservation};

/// On top of the grace, for an agent that keeps the deadline by its own clock.
const MARGIN: Duration = Duration::from_secs(5);
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// Ends a container for good. Retries for as long as its machine does not answer: until then the
/// slot shows as ending and nobody gets it.
pub(super) async fn close(
    inner: Arc<Inner>,
    reservation: Reservation,
    reason: EndReason,
    detail: Option<String>,
) {
    inner.forget_password(&reservation.id).await;
    let mut pause = FIRST_RETRY;
    while let Err(e) = try_close(&inner, &reservation, reason).await {
        tracing::warn!(reservation = %reservation.id, "not ended yet: {e}");
        tokio::select! {
            () = sleep(pause) => pause = (pause * 2).min(LONGEST_RETRY),
            // The next gateway finds it by its labels and ends it.
            () = inner.stopping.cancelled() => return inner.leave(&reservation.id).await,
        }
    }
    inner.finish(&reservation.id, reason, detail).await;
}

async fn try_close(inner: &Inner, reservation: &Reservation, reason: EndReason) -> Result<(), EngineError> {
    let Some(engine) = inner.engine(&reservation.slot.machine) else { return Ok(()) };
    let cluster = &inner.config.cluster.name;
    let name = container_name(cluster, &reservation.slot);
    let Some(found) = engine.find(cluster, &name).await? else { return Ok(()) };
    // Somebody else's by now; and what cannot be read is nobody's.
    if !found.labels.as_ref().is_ok_and(|labels| labels.reservation == reservation.id) {
        return Ok(());
    }
    let grace = inner.config.reservation.grace;
    // At the deadline the agent ends everything by itself, gateway or not. One whose clock says otherwise is told;
    // for one that has begun that changes nothing.
    let alone = reason == EndReason::Expired
        && matches!(timeout(MARGIN, engine.wait_stopped(&found.key)).await, Ok(Ok(())));
    if !alone {
        let agent = inner.container(reservation.clone()).agent;
        if let Err(e) = bridge::stop(&agent, grace).await {
            tracing::debug!(reservation = %reservation.id, "its agent was not told: {}", in_full(&e));
            return remove(engine.as_ref(), &found.key).await;
        }
        let _ = timeout(grace + MARGIN, engine.wait_stopped(&found.key)).await;
    }
    remove(engine.as_ref(), &found.key).await
}

async fn remove(engine: &dyn Engine, key: &crate::engine::ContainerKey) -> Result<(), EngineError> {
    engine.remove(key).await
}
