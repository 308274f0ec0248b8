//! The local socket for administrators on the gateway's host: `clusteria admin -c FILE …`. Root only.
//!
//! One request a connection, as a line of JSON; the answer is lines of JSON until `status`.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{AdminCommand, Caller, Command, FrontDoor, admin, parse, run};
use crate::text::Lang;

/// The socket's name in `[store] runtime`.
const NAME: &str = "admin.sock";
const QUESTION_LIMIT: Duration = Duration::from_secs(5);
const WRITE_LIMIT: Duration = Duration::from_secs(5);
const MAX_QUESTION: u64 = 64 * 1024;
/// Conversations at once.
const MOST: usize = 16;
/// Pictures of a watch that wait to be written.
const PICTURES: usize = 2;

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
pub struct Question {
    /// After `admin`.
    pub words: Vec<String>,
    /// As in `LANG`.
    pub locale: String,
    /// Lines of standard input, where the command reads some.
    pub input: Vec<String>,
}

/// One line of an answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Said {
    /// For standard output.
    Stdout(String),
    /// For standard error.
    Stderr(String),
    /// The exit status: the last line.
    Status(u8),
}

/// Where the socket of a configuration is.
#[must_use]
pub fn path(runtime: &Path) -> PathBuf {
    runtime.join(NAME)
}

/// Opens the socket. Without it everything else works: that is logged.
#[must_use]
pub fn open(runtime: &Path) -> Option<UnixListener> {
    let path = path(runtime);
    let opened = bind(&path);
    opened.inspect_err(|e| tracing::error!("no local socket at {}: {e}", path.display())).ok()
}

/// Serves it for as long as the gateway runs.
pub async fn serve(listener: UnixListener, door: FrontDoor, stopping: CancellationToken) {
    let path = path(&door.workspaces.config().store.runtime);
    let places = std::sync::Arc::new(Semaphore::new(MOST));
    let tasks = TaskTracker::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted.map(|(stream, _)| stream),
            () = stopping.cancelled() => break,
        };
        let Ok(stream) = stream else { continue };
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        let (door, stopping) = (door.clone(), stopping.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = attend(&door, stream) => {}
                () = stopping.cancelled() => {}
            }
            drop(place);
        });
    }
    let _ = std::fs::remove_file(&path);
    tasks.close();
    tasks.wait().await;
}

/// Bound aside and renamed, so that it is never there with other rights, and a newer gateway's replaces an older one's.
fn bind(path: &Path) -> std::io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let aside = path.with_extension("new");
    let _ = std::fs::remove_file(&aside);
    let listener = UnixListener::bind(&aside)?;
    std::fs::set_permissions(&aside, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&aside, path)?;
    Ok(listener)
}

/// The mode keeps others out; who comes in all the same is asked for their papers.
fn is_root(stream: &UnixStream) -> bool {
    let own = nix::unistd::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == 0 || peer.uid() == own)
}

async fn attend(door: &FrontDoor, stream: UnixStream) {
    if !is_root(&stream) {
        return;
    }
    let (read, mut write) = stream.into_split();
    let mut line = Vec::new();
    let mut reader = BufReader::new(read.take(MAX_QUESTION));
    let read = timeout(QUESTION_LIMIT, reader.read_until(b'\n', &mut line)).await;
    let Ok(question) = serde_json::from_slice::<Question>(&line) else { return };
    if !matches!(read, Ok(Ok(_))) {
        return;
    }
    let lang = Lang::from_locale(&question.locale);
    let words: Vec<String> = std::iter::once("admin".to_owned()).chain(question.words).collect();
    let status = match parse(&words) {
        Ok(Command::Admin { admin: AdminCommand::Watch, json }) => {
            watch(door, json, lang, &mut write).await;
            0
        }
        _ => {
            let answer = run(door, &Caller::Host, &words, &question.input, lang).await;
            say(&mut write, &Said::Stdout(answer.stdout)).await;
            say(&mut write, &Said::Stderr(answer.stderr)).await;
            answer.status
        }
    };
    say(&mut write, &Said::Status(status)).await;
}

async fn watch(door: &FrontDoor, as_json: bool, lang: Lang, write: &mut OwnedWriteHalf) {
    let (tell, mut told) = mpsc::channel(PICTURES);
    let telling = admin::watch(door, &Caller::Host, as_json, lang, tell);
    let showing = async {
        while let Some(picture) = told.recv().await {
            if !say(write, &Said::Stdout(picture)).await {
                return;
            }
        }
    };
    tokio::select! {
        _ = telling => {}
        () = showing => {}
    }
}

async fn say(write: &mut OwnedWriteHalf, said: &Said) -> bool {
    let Ok(mut bytes) = serde_json::to_vec(said) else { return false };
    bytes.push(b'\n');
    matches!(timeout(WRITE_LIMIT, write.write_all(&bytes)).await, Ok(Ok(())))
}
