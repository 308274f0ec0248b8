//! A reload: the same binary, started anew with the same arguments, takes over by itself.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// A new gateway that has not taken over by then never will.
const LIMIT: Duration = Duration::from_secs(60);

static BINARY: OnceLock<PathBuf> = OnceLock::new();

/// Notes where our binary is, before anybody replaces the file and the kernel calls it deleted.
pub fn remember_binary() {
    let called = std::env::args_os().next().map(PathBuf::from);
    // As it was called, links included: an upgrade may only turn a link.
    let called = called.filter(|path| path.components().count() > 1);
    if let Some(path) =
        called.and_then(|path| std::path::absolute(path).ok()).or(std::env::current_exe().ok())
    {
        let _ = BINARY.set(path);
    }
}

/// Who waits for a reload; nobody does after SIGHUP.
pub(super) type Tell = Option<oneshot::Sender<Result<u32, String>>>;

/// A new gateway that is starting.
pub(super) struct Successor {
    pub(super) pid: u32,
    tell: Tell,
}

impl Successor {
    /// Starts it. What becomes of it, if it does not take over, is told on `failed`.
    pub(super) fn start(tell: Tell, failed: mpsc::Sender<String>) -> Option<Self> {
        match spawn(failed) {
            Ok(pid) => {
                tracing::info!(pid, "a new gateway starts and is to take over");
                Some(Self { pid, tell })
            }
            Err(why) => {
                Self { pid: 0, tell }.give_up(&why);
                None
            }
        }
    }

    /// It has taken over.
    pub(super) fn done(self) {
        // Who asked may have gone.
        let _ = self.tell.map(|tell| tell.send(Ok(self.pid)));
    }

    /// It has not.
    pub(super) fn give_up(self, why: &str) {
        tracing::error!("{why}: this gateway goes on as before");
        let _ = self
            .tell
            .map(|tell| tell.send(Err(format!("{why}; the gateway goes on as before, its log says more"))));
    }
}

fn spawn(failed: mpsc::Sender<String>) -> Result<u32, String> {
    let binary = BINARY.get().ok_or("it is not known where the binary is")?;
    let why = |e: std::io::Error| format!("{} cannot be started: {e}", binary.display());
    let mut child =
        Command::new(binary).args(std::env::args_os().skip(1)).stdin(Stdio::null()).spawn().map_err(why)?;
    let pid = child.id().unwrap_or_default();
    tokio::spawn(async move {
        let why = match timeout(LIMIT, child.wait()).await {
            Ok(Ok(status)) => format!("the new gateway ended ({status})"),
            Ok(Err(e)) => format!("the new gateway is lost: {e}"),
            // Ours to end only while it has not taken over: then nobody reads `failed` any more.
            Err(_) if failed.is_closed() => return drop(child.wait().await),
            Err(_) => {
                let _ = child.kill().await;
                format!("the new gateway did not take over within {} s", LIMIT.as_secs())
            }
        };
        let _ = failed.send(why).await;
    });
    Ok(pid)
}
