//! A shell on a terminal: back to one that goes on in the container, or a new one.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::pump;
use super::session::Session;
use crate::agent::protocol::{Attach, KeptShell, Pty, Spawn};
use crate::bridge::{self, BridgeError, Exit};
use crate::error_chain::in_full;
use crate::text::Say;
use crate::text::shells::{HeldBy, Shells};
use crate::workspace::Container;

/// Nobody answers a question sooner; what is there by then was typed for a shell, most likely by a script.
const TYPED_AHEAD: Duration = Duration::from_millis(150);
/// Then it is as if Enter had been pressed: nothing is lost by going back.
const PATIENCE: Duration = Duration::from_secs(60);
/// A container that does not say at once which shells it has must not hold the login up.
const LIST_LIMIT: Duration = Duration::from_secs(2);
/// An answer is a few letters; a longer line is for a shell.
const LONGEST_ANSWER: usize = 16;
const MOST_OFFERED: usize = 9;

/// Runs the shell until it is over or the client is gone. `None`: the latter, or everything is said.
pub(super) async fn run(
    session: &Session,
    container: &Container,
    mut pty: Pty,
    spawn: Spawn,
) -> Result<Option<Exit>, BridgeError> {
    if let Some(id) = choose(session, container, &mut pty).await {
        let wanted = Attach { id, pty: pty.clone(), env: spawn.env.clone() };
        match bridge::attach(&container.agent, wanted).await {
            Ok(shell) => return Ok(carry(session, container, shell).await),
            Err(e) => {
                tracing::info!(user = %session.visit().guest.identity.user(), "a kept shell: {}", in_full(&e));
                say(session, &Shells::Gone).await;
            }
        }
    }
    match bridge::shell(&container.agent, Spawn { pty: Some(pty), ..spawn }).await? {
        Ok(shell) => Ok(carry(session, container, shell).await),
        Err(process) => Ok(pump::process(process, &session.outgoing, &session.inbox).await),
    }
}

/// Its screen first, where it was there already.
async fn carry(session: &Session, container: &Container, mut shell: bridge::Shell) -> Option<Exit> {
    let gateway = &session.visit().gateway;
    let key = (container.reservation.id.clone(), shell.id);
    let _held = gateway.holders.hold(key, session.visit().handle.clone());
    let screen = std::mem::take(&mut shell.screen);
    if !screen.is_empty() {
        session.outgoing.stdout(screen).await.ok()?;
    }
    let exit = pump::shell(shell, &session.outgoing, &session.inbox, &gateway.tasks).await;
    if exit == Some(Exit::TakenOver) {
        let words = Shells::TakenOver.say(session.lang);
        // A client that takes nothing any more is why it was taken over.
        let _ = timeout(LIST_LIMIT, session.outgoing.stdout(format!("\r\n{words}\r\n"))).await;
    }
    exit
}

async fn say(session: &Session, words: &Shells<'_>) {
    let _ = session.outgoing.stdout(format!("{}\r\n", words.say(session.lang))).await;
}

/// Which shell to go back to; `None` for a new one. Asks only where there is one, and somebody to ask.
async fn choose(session: &Session, container: &Container, pty: &mut Pty) -> Option<u32> {
    let shells = timeout(LIST_LIMIT, bridge::shells(&container.agent)).await.ok()?.ok()?;
    let holders = &session.visit().gateway.holders;
    let states = shells.into_iter().map(|shell| async move {
        let key = (container.reservation.id.clone(), shell.id);
        let held = match shell.attached {
            true if holders.is_silent(&key).await => HeldBy::Silence,
            true => HeldBy::Connection,
            false => HeldBy::Nobody,
        };
        (shell, held)
    });
    let shells = offered(futures_util::future::join_all(states).await);
    if shells.is_empty() || session.inbox.has_input_within(TYPED_AHEAD).await {
        return None;
    }
    let count = shells.len();
    say(session, &Shells::Here { count }).await;
    for (number, (shell, held_by)) in shells.iter().enumerate() {
        let line = Shells::One { shell, held_by: *held_by }.say(session.lang);
        let line = if count == 1 { format!("  {line}\r\n") } else { format!("  {}  {line}\r\n", number + 1) };
        session.outgoing.stdout(line).await.ok()?;
    }
    session.outgoing.stdout(Shells::Choose { count }.say(session.lang)).await.ok()?;
    let answer = answer(session, count, pty).await;
    let _ = session.outgoing.stdout("\r\n").await;
    match answer {
        Answer::New => None,
        Answer::Back(index) => shells.get(index).map(|(shell, _)| shell.id),
    }
}

/// Those that nobody is connected to, or only a connection that is dead and not known to be; behind them, to be taken
/// over, the others. Those alone are no reason to ask: whoever opens a second window wants a second shell.
fn offered(shells: Vec<(KeptShell, HeldBy)>) -> Vec<(KeptShell, HeldBy)> {
    let (attached, mut offered): (Vec<_>, Vec<_>) =
        shells.into_iter().partition(|(_, held_by)| *held_by == HeldBy::Connection);
    if !offered.is_empty() {
        offered.extend(attached);
    }
    offered.truncate(MOST_OFFERED);
    offered
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    New,
    Back(usize),
}

/// Reads the answer. What was not meant as one goes to the shell.
async fn answer(session: &Session, count: usize, pty: &mut Pty) -> Answer {
    let mut refund = session.outgoing.refund();
    let mut typed = Vec::new();
    let reading = async {
        loop {
            let chunk = tokio::select! {
                chunk = session.inbox.next() => chunk,
                control = session.inbox.next_control() => {
                    if let crate::agent::protocol::Control::Resize(size) = control {
                        pty.size = size;
                    }
                    continue;
                }
            };
            let Some(chunk) = chunk else { return Read { answer: Answer::New, used: 0 } };
            let before = typed.len();
            typed.extend_from_slice(&chunk);
            if let Some(read) = read_answer(&typed, count) {
                return read;
            }
            let _ = session.outgoing.stdout(echo(typed.get(before..).unwrap_or_default())).await;
        }
    };
    let read = timeout(PATIENCE, reading).await;
    let Ok(read) = read else {
        refund.consumed(typed.len());
        let _ = session.outgoing.stdout(format!("\r\n{}", Shells::GoingBack.say(session.lang))).await;
        return Answer::Back(0);
    };
    refund.consumed(read.used);
    session.inbox.put_back(Bytes::from(typed.split_off(read.used.min(typed.len()))));
    read.answer
}

#[derive(Debug, PartialEq, Eq)]
struct Read {
    answer: Answer,
    /// So many bytes were the answer.
    used: usize,
}

const CTRL_C: u8 = 3;
const CTRL_D: u8 = 4;
const BACKSPACE: u8 = 8;
const DELETE: u8 = 127;

/// `None` while it may become an answer still.
fn read_answer(typed: &[u8], count: usize) -> Option<Read> {
    let is_end = |byte: &u8| matches!(*byte, b'\r' | b'\n' | CTRL_C | CTRL_D);
    let for_shell = Read { answer: Answer::New, used: 0 };
    let Some(end) = typed.iter().position(is_end) else {
        return (typed.len() > LONGEST_ANSWER).then_some(for_shell);
    };
    let (line, rest) = typed.split_at_checked(end)?;
    let used = if rest.starts_with(b"\r\n") { end + 2 } else { end + 1 };
    let line = edited(line);
    let answer = match (rest.first(), line.as_slice()) {
        (Some(&CTRL_C | &CTRL_D), _) | (_, b"n" | b"N") => Answer::New,
        (_, b"") => Answer::Back(0),
        (_, [digit @ b'1'..=b'9']) if usize::from(digit - b'0') <= count => {
            Answer::Back(usize::from(digit - b'1'))
        }
        _ => return Some(for_shell),
    };
    Some(Read { answer, used })
}

fn edited(line: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for byte in line {
        match *byte {
            BACKSPACE | DELETE => drop(text.pop()),
            b' ' => {}
            other => text.push(other),
        }
    }
    text
}

fn echo(typed: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in typed {
        match *byte {
            BACKSPACE | DELETE => out.extend_from_slice(b"\x08 \x08"),
            b' '..=b'~' => out.push(*byte),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(typed: &str) -> Option<Read> {
        read_answer(typed.as_bytes(), 3)
    }

    #[test]
    fn answers_are_told_from_what_is_for_the_shell() {
        let answer = |answer, used| Some(Read { answer, used });
        assert_eq!(read("\r"), answer(Answer::Back(0), 1));
        assert_eq!(read("\r\n"), answer(Answer::Back(0), 2));
        assert_eq!(read("2\r"), answer(Answer::Back(1), 2));
        assert_eq!(read("n\r"), answer(Answer::New, 2));
        assert_eq!(read("x\x7f3\nls\n"), answer(Answer::Back(2), 4), "what follows is left");
        assert_eq!(read("12\x03"), answer(Answer::New, 3));
        for open in ["", "n", "2", "nvidia-s"] {
            assert_eq!(read(open), None, "{open:?}");
        }
        for line in ["nvidia-smi\r", "4\r", "0\n", "ls\n", "nvidia-smi --loop=1 "] {
            assert_eq!(read(line), answer(Answer::New, 0), "{line:?}");
        }
    }

    #[test]
    fn attached_shells_alone_are_no_reason_to_ask() {
        use HeldBy::{Connection, Nobody, Silence};
        let shell = |id, held_by| {
            let (command, folder) = (String::new(), String::new());
            let attached = held_by != Nobody;
            (KeptShell { id, attached, command, others: 0, folder, age_ms: 0, left_ms: 0 }, held_by)
        };
        let ids = |shells| offered(shells).into_iter().map(|(s, _)| s.id).collect::<Vec<_>>();
        assert!(ids(vec![shell(1, Connection)]).is_empty());
        assert_eq!(ids(vec![shell(1, Connection), shell(2, Nobody), shell(3, Silence)]), [2, 3, 1]);
    }
}
