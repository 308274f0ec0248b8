//! After a newer gateway has taken over: this process serves out its connections.

use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::DRAIN;
use crate::audit::Audit;
use crate::frontdoor::FrontDoor;
use crate::handover::{Followed, Heir, Server};
use crate::ssh::Listeners;
use crate::web::Web;
use crate::workspace::Workspaces;

/// Between two tries to find the owner.
const PAUSE: Duration = Duration::from_millis(200);

/// A gateway that decides nothing any more.
pub(super) struct Elder {
    pub(super) listeners: Listeners,
    pub(super) page: Web,
    pub(super) server: Server,
    pub(super) door: FrontDoor,
    pub(super) heir: Heir,
    pub(super) stopping: CancellationToken,
    pub(super) hangup: Signal,
}

impl Elder {
    /// Serves until the last connection has ended, the deadline, or until all gateways are told to stop.
    pub(super) async fn serve_out(self) {
        let Self { listeners, page, server, door, heir, stopping, mut hangup } = self;
        let (workspaces, audit) = (&door.workspaces, &door.audit);
        tracing::info!(open = listeners.open_connections(), "a new gateway has taken over: serving out");
        let follow = tokio::spawn(follow(heir, workspaces.clone(), audit.clone(), stopping.clone()));
        let work = async {
            tokio::join!(listeners.served_out(), page.served_out());
            workspaces.last_starts().await;
            server.retire().await;
        };
        let reopen = async {
            while hangup.recv().await.is_some() {
                audit.reopen();
            }
        };
        let over = tokio::select! {
            () = work => None,
            () = reopen => None,
            () = sleep(workspaces.config().ssh.drain) => Some("the time to serve out is over"),
            () = stopping.cancelled() => Some("told to stop"),
        };
        if let Some(why) = over {
            tracing::info!(open = listeners.open_connections(), "{why}");
            tokio::join!(listeners.drain(DRAIN), page.drain(DRAIN));
            // Who was starting something must still tell what came of it.
            let _ = timeout(DRAIN, workspaces.last_starts()).await;
        }
        follow.abort();
        tracing::info!("served out");
    }
}

/// Keeps the book a copy of the owner's, whoever that is by now.
async fn follow(heir: Heir, workspaces: Workspaces, audit: Audit, stopping: CancellationToken) {
    loop {
        if let Ok(mut follower) = heir.follow().await {
            // A reload is also what comes after the log was moved away.
            audit.reopen();
            while let Some(news) = follower.next().await {
                match news {
                    Followed::Picture(picture) => workspaces.copy(picture).await,
                    Followed::Stop => stopping.cancel(),
                }
            }
        }
        sleep(PAUSE).await;
    }
}
