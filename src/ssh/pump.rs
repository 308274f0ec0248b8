//! Bytes between a channel and what stands at its other end.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::copy::Copy;
use super::inbox::Inbox;
use super::outgoing::{Gone, Outgoing};
use crate::bridge::{ControlSender, Exit, Process, Shell, Stdio, Stream};

/// One SSH packet's worth (RFC 4253 section 6.1 asks for at least this).
const READ: usize = 32 * 1024;
/// After a terminal's leader has gone, what it wrote last is still on its way through the kernel's
/// terminal layer, and background jobs may keep the terminal open for ever: this much quiet ends it.
const TERMINAL_QUIET: Duration = Duration::from_millis(50);
/// For the other end to take what a client sent before it closed the channel.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// When the agent is gone its container is too, and the pipes close with it.
const LOST_LIMIT: Duration = Duration::from_secs(2);

/// Carries a process until it is over. `None` when the client went first: dropping the process
/// closes its pipes, and nothing is killed.
pub(super) async fn process(process: Process, outgoing: &Outgoing, inbox: &Inbox) -> Option<Exit> {
    let Process { stdio, mut exit, mut control } = process;
    let carry = async {
        match stdio {
            Stdio::Pipes { stdin, stdout, stderr } => {
                let output = async {
                    let (out, err) =
                        tokio::join!(to_client(stdout, outgoing, false), to_client(stderr, outgoing, true));
                    out.and(err)
                };
                let feed = from_client(stdin, outgoing, inbox);
                tokio::select! {
                    ended = pipes_until_over(&mut exit, output) => ended,
                    never = feed_and_control(feed, &mut control, inbox) => match never {},
                }
            }
            Stdio::Pty(master) => {
                let feed = from_client(master.clone(), outgoing, inbox);
                tokio::select! {
                    ended = terminal_until_over(&mut exit, master, outgoing, None) => ended,
                    never = feed_and_control(feed, &mut control, inbox) => match never {},
                }
            }
        }
    };
    tokio::select! {
        ended = carry => ended,
        () = inbox.closed() => None,
    }
}

/// Carries a shell that is kept by its agent, to which `copy` tells what is shown. `None` when the client went
/// first, or the shell went to another connection.
pub(super) async fn shell(
    mut shell: Shell,
    outgoing: &Outgoing,
    inbox: &Arc<Inbox>,
    tasks: &TaskTracker,
) -> Option<Exit> {
    let copy = Arc::<Copy>::default();
    tasks.spawn(copy.clone().carry(shell.control, inbox.clone()));
    // Dropped after what reads the terminal: then the agent reads it.
    let _over = copy.over_guard();
    let feed = async {
        from_client(shell.master.clone(), outgoing, inbox).await;
        std::future::pending::<Never>().await
    };
    let shown = terminal_until_over(&mut shell.exit, shell.master.clone(), outgoing, Some(&copy));
    tokio::select! {
        ended = shown => ended,
        never = feed => match never {},
        () = inbox.closed() => None,
    }
}

/// Carries a connection until both sides have ended or the channel is gone.
pub(super) async fn connection(stream: Stream, outgoing: &Outgoing, inbox: &Inbox) {
    let down = async {
        tokio::select! {
            ended = to_client(stream.clone(), outgoing, false) => if ended.is_ok() {
                outgoing.eof().await;
            },
            () = inbox.closed() => {}
        }
    };
    let up = async {
        let feed = from_client(stream.clone(), outgoing, inbox);
        tokio::pin!(feed);
        tokio::select! {
            () = &mut feed => {}
            // A client that closes has said its last words just before.
            () = inbox.closed() => { let _ = timeout(LAST_WORDS, feed).await; }
        }
    };
    tokio::join!(down, up);
    outgoing.close().await;
}

enum Never {}

async fn feed_and_control(
    feed: impl Future<Output = ()>,
    control: &mut ControlSender,
    inbox: &Inbox,
) -> Never {
    let steer = async {
        loop {
            let message = inbox.next_control().await;
            control.send(&message).await;
        }
    };
    tokio::join!(feed, steer).1
}

/// Without a terminal: over when the process has ended and the last holder of its output is gone.
async fn pipes_until_over(
    exit: &mut crate::bridge::ExitWatch,
    output: impl Future<Output = Result<(), Gone>>,
) -> Option<Exit> {
    tokio::pin!(output);
    tokio::select! {
        drained = &mut output => {
            drained.ok()?;
            Some(exit.wait().await)
        }
        ended = exit.wait() => {
            if ended == Exit::Lost {
                let _ = timeout(LOST_LIMIT, output).await;
            } else {
                output.await.ok()?;
            }
            Some(ended)
        }
    }
}

/// With a terminal: over when its leader has ended and what it wrote has been sent, or when another connection
/// has taken it: then at once, as every byte is the other's.
async fn terminal_until_over(
    exit: &mut crate::bridge::ExitWatch,
    mut master: Stream,
    outgoing: &Outgoing,
    copy: Option<&Copy>,
) -> Option<Exit> {
    let mut buffer = BytesMut::new();
    let ended = exit.wait();
    tokio::pin!(ended);
    let ended = loop {
        let read = tokio::select! {
            ended = &mut ended => break ended,
            read = read_some(&mut master, &mut buffer) => read,
        };
        if matches!(read, Ok(0) | Err(_)) {
            break ended.await;
        }
        let data = buffer.split().freeze();
        if let Some(copy) = copy {
            copy.note(&data);
        }
        let sending = outgoing.stdout(data);
        tokio::pin!(sending);
        // A client that is dead and takes nothing must not hide that its shell has been taken over.
        tokio::select! {
            sent = &mut sending => sent.ok()?,
            ended = &mut ended => {
                if ended != Exit::TakenOver {
                    sending.await.ok()?;
                }
                break ended;
            }
        }
    };
    if ended == Exit::TakenOver {
        return Some(ended);
    }
    while let Ok(Ok(1..)) = timeout(TERMINAL_QUIET, read_some(&mut master, &mut buffer)).await {
        outgoing.stdout(buffer.split().freeze()).await.ok()?;
    }
    Some(ended)
}

async fn read_some(from: &mut Stream, buffer: &mut BytesMut) -> std::io::Result<usize> {
    buffer.reserve(READ);
    from.take(READ as u64).read_buf(buffer).await
}

async fn to_client(mut from: Stream, outgoing: &Outgoing, is_stderr: bool) -> Result<(), Gone> {
    let mut buffer = BytesMut::new();
    loop {
        match read_some(&mut from, &mut buffer).await {
            Ok(0) | Err(_) => return Ok(()),
            Ok(_) => {}
        }
        let data = buffer.split().freeze();
        if is_stderr {
            outgoing.stderr(data).await?;
        } else {
            outgoing.stdout(data).await?;
        }
    }
}

/// Feeds what the client sends, giving window back as it is consumed. When the other end takes no
/// more, the rest is consumed all the same, as sshd does: the client must not stall on it.
async fn from_client(mut to: Stream, outgoing: &Outgoing, inbox: &Inbox) {
    let mut refund = outgoing.refund();
    while let Some(mut chunks) = inbox.next_some().await {
        let length = chunks.remaining();
        if to.write_all_buf(&mut chunks).await.is_err() {
            refund.consumed(length);
            break;
        }
        refund.consumed(length);
    }
    let _ = to.shutdown().await;
    drop(to);
    while let Some(chunk) = inbox.next().await {
        refund.consumed(chunk.len());
    }
}
