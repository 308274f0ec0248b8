//! The owner's socket: heirs, those that were replaced, and `clusteria reload` ask here.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::bequeath::Bequest;
use super::talk::Talk;
use super::wire::{Asked, Granted, Question, Reply, VERSION, Waits};
use crate::auth::Identity;
use crate::frontdoor::{self, Caller, FrontDoor};
use crate::reservation::view::WaitingView;
use crate::reservation::{Cause, Refusal, Target};

const QUESTION_LIMIT: Duration = Duration::from_secs(5);
/// Conversations at once: one for each elder, and one for each of their users who waits for something.
const MOST: usize = 4096;
/// After a picture: many changes at once are one picture.
const PICTURE_PAUSE: Duration = Duration::from_millis(50);
/// A picture tells of ends since the one before, and of a little before that.
const OVERLAP: SignedDuration = SignedDuration::from_secs(60);

/// What the composition root must decide.
#[derive(Debug)]
pub enum Request {
    /// A new gateway wants to take over.
    HandOver(Bequest),
    /// Somebody wants the binary started anew; they are told the new process or why not.
    Reload(oneshot::Sender<Result<u32, String>>),
}

/// The socket, in whose backlog callers wait until it is served.
pub struct Socket {
    path: PathBuf,
    listener: UnixListener,
}

impl Socket {
    /// Opens it in the place of any before it.
    ///
    /// # Errors
    /// When it cannot be bound.
    pub fn open(runtime: &Path) -> io::Result<Self> {
        let path = super::path(runtime);
        Ok(Self { listener: bind(&path)?, path })
    }
}

/// The socket while it is served.
pub struct Server {
    path: PathBuf,
    accepting: JoinHandle<()>,
    shared: Arc<Shared>,
}

struct Shared {
    door: FrontDoor,
    requests: mpsc::Sender<Request>,
    talks: TaskTracker,
    places: Arc<Semaphore>,
    /// This process is the owner no more.
    over: CancellationToken,
    /// This process is told to stop.
    stopping: CancellationToken,
}

impl Server {
    /// Answers whoever has come and comes. Not before what there is to tell is there: who is told of an empty book
    /// takes everything in it to be over.
    #[must_use]
    pub fn serve(
        socket: Socket,
        door: FrontDoor,
        requests: mpsc::Sender<Request>,
        stopping: CancellationToken,
    ) -> Self {
        let Socket { path, listener } = socket;
        let shared = Arc::new(Shared {
            door,
            requests,
            talks: TaskTracker::new(),
            places: Arc::new(Semaphore::new(MOST)),
            over: CancellationToken::new(),
            stopping,
        });
        Self { path, accepting: tokio::spawn(accept(listener, shared.clone())), shared }
    }

    /// A handover came to nothing, and the heir may have put its socket in the place of ours.
    ///
    /// # Errors
    /// When it cannot be bound.
    pub fn open_again(&mut self) -> io::Result<()> {
        self.accepting.abort();
        self.accepting = tokio::spawn(accept(bind(&self.path)?, self.shared.clone()));
        Ok(())
    }

    /// The socket at this path is another's now. What was asked before is still answered.
    pub async fn retire(self) {
        self.accepting.abort();
        self.shared.over.cancel();
        self.shared.talks.close();
        self.shared.talks.wait().await;
    }

    /// The owner stops, and those before it with it.
    pub async fn close(self, limit: Duration) {
        self.accepting.abort();
        let _ = std::fs::remove_file(&self.path);
        self.shared.talks.close();
        let _ = tokio::time::timeout(limit, self.shared.talks.wait()).await;
    }
}

/// Bound aside and renamed: it is never there with other rights, and never missing between two owners.
fn bind(path: &Path) -> io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let aside = path.with_extension(format!("{}", std::process::id()));
    let _ = std::fs::remove_file(&aside);
    let listener = UnixListener::bind(&aside)?;
    std::fs::set_permissions(&aside, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&aside, path)?;
    Ok(listener)
}

async fn accept(listener: UnixListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(PICTURE_PAUSE).await;
            continue;
        };
        let Ok(place) = shared.places.clone().try_acquire_owned() else { continue };
        let own = shared.clone();
        shared.talks.spawn(async move {
            if is_root(&stream) {
                own.attend(Talk::new(stream)).await;
            }
            drop(place);
        });
    }
}

/// The mode keeps others out; who comes in all the same is asked for their papers.
fn is_root(stream: &UnixStream) -> bool {
    let own = nix::unistd::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == 0 || peer.uid() == own)
}

impl Shared {
    async fn attend(&self, mut talk: Talk) {
        let Ok(question) = talk.hear(QUESTION_LIMIT).await else { return };
        let reply = match question {
            Question::Inherit { version, pid } if version == VERSION => {
                let asked = self.requests.try_send(Request::HandOver(Bequest::new(talk, pid)));
                if let Err(mpsc::error::TrySendError::Full(Request::HandOver(bequest))) = asked {
                    bequest.refuse("another handover is under way").await;
                }
                return;
            }
            Question::Inherit { .. } => Reply::Refused("it speaks another version".into()),
            Question::Command(asked) => Reply::Answer(Box::new(self.command(*asked).await)),
            Question::Reserve { who, target, cause } => {
                Reply::Reserved(Box::new(self.reserve(*who, target, cause).await))
            }
            Question::End { id, reason } => {
                self.door.workspaces.end(&id, reason);
                Reply::Noted
            }
            Question::Queue(waits) => Reply::Queued(self.queue(waits).await),
            Question::Told { id, fate } => {
                self.door.workspaces.told(&id, fate).await;
                Reply::Noted
            }
            Question::Follow { pid } => return self.tell(talk, pid).await,
            Question::Reload => self.reload().await,
        };
        let _ = talk.say(&reply).await;
    }

    async fn command(&self, asked: Asked) -> frontdoor::Answer {
        let Asked { who, from, words, input, lang } = asked;
        let _ = self.door.charter.look_again(who.user()).await;
        frontdoor::run(&self.door, &Caller::Client { who, from }, &words, &input, lang).await
    }

    async fn reserve(&self, who: Identity, target: Target, cause: Cause) -> Result<Granted, Refusal> {
        let _ = self.door.charter.look_again(who.user()).await;
        let container = self.door.workspaces.reserve(&who, target, cause)?.ready().await?;
        Ok(Granted { reservation: container.reservation, password: container.password })
    }

    async fn queue(&self, waits: Waits) -> Result<Option<WaitingView>, Refusal> {
        if let Waits::Joins { who, .. } = &waits {
            let _ = self.door.charter.look_again(who.user()).await;
        }
        let outcome = self.door.workspaces.queue(waits).await;
        if let Err(refusal) = &outcome {
            tracing::info!(?refusal, "the queue, for a user of a gateway from before");
        }
        outcome
    }

    async fn reload(&self) -> Reply {
        let (tell, told) = oneshot::channel();
        let failed = |why: &str| Reply::Refused(why.to_owned());
        match self.requests.try_send(Request::Reload(tell)) {
            Ok(()) => match told.await {
                Ok(Ok(pid)) => Reply::Reloaded { pid },
                Ok(Err(why)) => Reply::Refused(why),
                Err(_) => failed("it is stopping"),
            },
            Err(_) => failed("another handover is under way"),
        }
    }

    /// Tells an elder what is held, until either is over.
    async fn tell(&self, mut talk: Talk, pid: u32) {
        tracing::info!(pid, "a gateway from before serves out its connections");
        let telling = async {
            let last = self.pictures(&mut talk).await;
            tracing::info!(pid, "it has gone: {}", last);
        };
        tokio::select! {
            () = telling => {}
            () = self.over.cancelled() => {}
        }
    }

    async fn pictures(&self, talk: &mut Talk) -> &'static str {
        let desk = self.door.workspaces.desk();
        let mut changes = desk.changes();
        let mut since = Timestamp::now();
        loop {
            changes.mark_unchanged();
            let now = Timestamp::now();
            let picture = desk.read(|book| book.picture(since.saturating_sub(OVERLAP).unwrap_or(since)));
            since = now;
            if talk.say(&Reply::Picture(Box::new(picture))).await.is_err() {
                return "it does not listen";
            }
            sleep(PICTURE_PAUSE).await;
            tokio::select! {
                _ = changes.changed() => {}
                () = talk.gone() => return "its connections are over",
                () = self.stopping.cancelled() => {
                    let _ = talk.say(&Reply::Stop).await;
                    return "it is told to stop";
                }
            }
        }
    }
}
