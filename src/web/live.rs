//! Says that something has changed, within a moment: server-sent events. What has changed is for the page to ask.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::http::Uri;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::session::Session;
use super::visitor::Visitor;
use crate::reservation::Target;
use crate::workspace::{Lease, Workspaces};

/// Several changes in this time are told once.
const GATHER: Duration = Duration::from_millis(150);
/// What containers use changes at every moment: it is told no more often.
const USE_PAUSE: Duration = Duration::from_secs(5);
/// Proxies and telephones forget a silent connection.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// So long a browser waits before it connects again, when the gateway is replaced.
const RETRY: Duration = Duration::from_secs(1);
/// Then the browser connects again: nothing lives for ever.
const LIFE: Duration = Duration::from_secs(3600);

struct Watch {
    changes: watch::Receiver<u64>,
    session: Option<Arc<Session>>,
    own: Option<watch::Receiver<()>>,
    /// Where it is shown: what their container uses.
    used: Option<watch::Receiver<u64>>,
    use_told: Instant,
    workspaces: Workspaces,
    end: Instant,
    stopping: CancellationToken,
    told: bool,
    /// Their own reservation's start.
    start: Option<Lease>,
}

/// `GET /live`, and `/live?use` from the page that shows what one's container uses.
pub(super) async fn live(
    visitor: Visitor,
    uri: Uri,
    Extension(stopping): Extension<CancellationToken>,
) -> Response {
    let shows_use = uri.query() == Some("use");
    let end = Instant::now() + LIFE;
    let workspaces = &visitor.site.door.workspaces;
    let watch = Watch {
        used: visitor.session.as_ref().filter(|_| shows_use).map(|_| workspaces.usage().changes()),
        use_told: Instant::now(),
        changes: visitor.site.door.workspaces.desk().changes(),
        own: visitor.session.as_ref().map(|session| session.changes()),
        end: visitor.session.as_ref().map_or(end, |session| session.until().min(end)),
        session: visitor.session.clone(),
        workspaces: visitor.site.door.workspaces.clone(),
        stopping,
        told: false,
        start: None,
    };
    Sse::new(events(watch)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

fn events(watch: Watch) -> impl Stream<Item = Result<Event, Infallible>> {
    // Browsers drop an event without data. Once at the beginning too: something may have changed since the page was made.
    stream::unfold(watch, |mut watch| async move {
        if watch.told {
            watch.wait().await?;
        }
        watch.told = true;
        Some((Ok(Event::default().event("change").data("now").retry(RETRY)), watch))
    })
    .fuse()
}

impl Watch {
    /// Until something changes; `None` at the end.
    async fn wait(&mut self) -> Option<()> {
        self.start = self.start.take().filter(Lease::is_open).or_else(|| self.find_start());
        let holds = self.holds();
        tokio::select! {
            changed = self.changes.changed() => changed.ok()?,
            () = rung(self.own.as_mut()) => {}
            () = step(self.start.as_mut()) => {}
            () = used(self.used.as_mut().filter(|_| holds), self.use_told + USE_PAUSE) => self.use_told = Instant::now(),
            () = sleep_until(self.end) => return None,
            () = self.stopping.cancelled() => return None,
        }
        sleep(GATHER).await;
        self.changes.mark_unchanged();
        Some(())
    }

    /// Have they a container that could use something? When that changes, the other bell rings.
    fn holds(&self) -> bool {
        let user = self.session.as_ref().map(|session| session.who.user());
        user.is_some_and(|user| self.workspaces.desk().read(|book| book.of(user).is_some()))
    }

    /// Its steps ring no bell.
    fn find_start(&self) -> Option<Lease> {
        let user = self.session.as_ref()?.who.user();
        let lease = self.workspaces.lease(user, &Target::Any).ok()??;
        lease.is_open().then_some(lease)
    }
}

async fn rung(bell: Option<&mut watch::Receiver<()>>) {
    let heard = match bell {
        Some(bell) => bell.changed().await.is_ok(),
        None => false,
    };
    if !heard {
        std::future::pending().await
    }
}

async fn used(bell: Option<&mut watch::Receiver<u64>>, not_before: Instant) {
    sleep_until(not_before).await;
    let heard = match bell {
        Some(bell) => bell.changed().await.is_ok(),
        None => false,
    };
    if !heard {
        std::future::pending().await
    }
}

async fn step(lease: Option<&mut Lease>) {
    let stepped = match lease {
        Some(lease) => lease.progress().await.flatten().is_some(),
        None => false,
    };
    // Its end rings the bell.
    if !stepped {
        std::future::pending().await
    }
}
