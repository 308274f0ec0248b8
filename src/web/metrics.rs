//! For programs that watch the gateway, on a listener of its own: /metrics, /healthz, /readyz.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use tokio::time::timeout;

use super::Site;
use crate::telemetry::{Facts, process, prometheus};

/// A ledger that takes longer than this is not well.
const LEDGER_LIMIT: Duration = Duration::from_secs(2);

pub(super) fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(site)
}

async fn metrics(State(site): State<Arc<Site>>) -> Response {
    let view = site.door.workspaces.desk().read(|book| book.view(Timestamp::now()));
    let too_old = site.sessions.too_old();
    let asked = site.door.ledger.run(move |l| Ok((l.ends_by_reason(), l.count_sessions(too_old), process())));
    let (ends, sessions, process) = match timeout(LEDGER_LIMIT, asked).await {
        Ok(Ok((ends, sessions, process))) => (ends.ok(), sessions.ok(), process),
        _ => (None, None, None),
    };
    let text = prometheus(&Facts { view, ends, sessions, process });
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// Can somebody get a place here? The ledger must answer, and a machine.
async fn ready(State(site): State<Arc<Site>>) -> Response {
    let not = |why: &'static str| (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    let asked = site.door.ledger.run(|l| l.draining());
    if !matches!(timeout(LEDGER_LIMIT, asked).await, Ok(Ok(_))) {
        return not("the ledger does not answer\n");
    }
    let view = site.door.workspaces.desk().read(|book| book.view(Timestamp::now()));
    if view.machines.iter().all(|machine| machine.offline.is_some()) {
        return not("no machine answers\n");
    }
    "ready\n".into_response()
}
