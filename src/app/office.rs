//! What only the owner serves besides its listeners: the words inside containers, and the administrators' socket.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::frontdoor::{FrontDoor, inside, local};

/// Both end at once when they are told to.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// The office while it is open.
pub(super) struct Office {
    over: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Office {
    pub(super) fn open(door: &FrontDoor) -> Self {
        let over = CancellationToken::new();
        let mut tasks = vec![tokio::spawn(inside::serve(door.clone(), over.clone()))];
        let socket = local::open(&door.workspaces.config().store.runtime);
        tasks.extend(socket.map(|listener| tokio::spawn(local::serve(listener, door.clone(), over.clone()))));
        Self { over, tasks }
    }

    pub(super) async fn close(self) {
        self.over.cancel();
        for task in self.tasks {
            let _ = timeout(CLOSE_LIMIT, task).await;
        }
    }
}
