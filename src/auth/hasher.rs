//! Argon2's own threads: few, of low priority, with short queues. However many log in, those who work
//! are served first, and what would wait too long is refused instead of kept.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

/// Tries that wait for their turn: about two seconds of work.
const QUEUE: usize = 48;
/// Waiting for one's turn has an end, whatever the machine is busy with.
const TURN_LIMIT: Duration = Duration::from_secs(15);
/// nice(2): a shell's echo goes before a stranger's password.
const NICENESS: i32 = 10;

type Job = Box<dyn FnOnce() + Send>;

/// Whose turn it is. Strangers never wait in the way of people who have logged in from there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Has logged in from this address before.
    Known,
    /// Anybody else.
    Stranger,
}

/// Too many wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many logins at once")]
pub struct Busy;

/// The way to the threads; they end with the last copy of it.
#[derive(Debug, Clone)]
pub struct Hasher {
    known: SyncSender<Job>,
    stranger: SyncSender<Job>,
}

impl Hasher {
    /// Starts the threads.
    ///
    /// # Errors
    /// When there are no threads to be had.
    pub fn start() -> std::io::Result<Self> {
        Ok(Self { known: start("hash-known")?, stranger: start("hash-stranger")? })
    }

    /// Runs slow work in its lane.
    ///
    /// # Errors
    /// [`Busy`]
    pub async fn run<T: Send + 'static>(
        &self,
        lane: Lane,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let queue = match lane {
            Lane::Known => &self.known,
            Lane::Stranger => &self.stranger,
        };
        let (tell, told) = oneshot::channel();
        let job = move || {
            // Nobody waits any more: their connection is gone, and the work would be for nothing.
            if !tell.is_closed() {
                let _ = tell.send(work());
            }
        };
        queue.try_send(Box::new(job)).map_err(|_| Busy)?;
        match timeout(TURN_LIMIT, told).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(_)) | Err(_) => Err(Busy),
        }
    }
}

fn start(name: &str) -> std::io::Result<SyncSender<Job>> {
    let (queue, jobs) = sync_channel(QUEUE);
    std::thread::Builder::new().name(name.into()).spawn(move || work(&jobs))?;
    Ok(queue)
}

fn work(jobs: &Receiver<Job>) {
    // SAFETY: no pointers; 0 means this thread. Failing leaves the priority as it is.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS) };
    while let Ok(job) = jobs.recv() {
        // A panic in one job must not end the lane.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_does_not_fit_is_refused_and_the_other_lane_goes_on() {
        let hasher = Hasher::start().unwrap();
        let (release, held) = sync_channel::<()>(0);
        let blocked = tokio::spawn({
            let hasher = hasher.clone();
            async move { hasher.run(Lane::Stranger, move || held.recv().is_ok()).await }
        });
        let mut waiting = Vec::new();
        let mut busy = 0;
        for _ in 0..2 * QUEUE {
            let hasher = hasher.clone();
            waiting.push(tokio::spawn(async move { hasher.run(Lane::Stranger, || ()).await }));
        }
        assert_eq!(hasher.run(Lane::Known, || 7).await, Ok(7));
        // All have asked by now, or ask when the way is free: nobody is lost.
        tokio::task::yield_now().await;
        tokio::task::spawn_blocking(move || release.send(())).await.unwrap().unwrap();
        for one in waiting {
            busy += usize::from(one.await.unwrap().is_err());
        }
        assert_eq!(blocked.await.unwrap(), Ok(true));
        assert!((1..=QUEUE + 1).contains(&busy), "{busy} were refused");
        assert_eq!(hasher.run(Lane::Stranger, || 8).await, Ok(8));
        let panicking: Result<(), Busy> = hasher.run(Lane::Stranger, || std::panic::panic_any(1)).await;
        assert_eq!(panicking, Err(Busy));
        assert_eq!(hasher.run(Lane::Stranger, || 9).await, Ok(9));
    }
}
