//! What a front-door command reads: all of standard input, or lines that are typed on a terminal.

use std::time::Duration;

use tokio::time::timeout;

use super::outgoing::Gone;
use super::session::Session;
use crate::frontdoor::Wants;
use crate::text::Say;
use crate::text::account::Account;

/// Standard input of a command: keys are a line each, and people have a handful.
const MOST_INPUT: usize = 64 * 1024;
const MOST_LINES: usize = 128;
const MOST_LINE: usize = 16 * 1024;
/// Somebody who types takes their time, a program does not.
const PATIENCE: Duration = Duration::from_secs(120);

const CTRL_C: u8 = 3;
const CTRL_D: u8 = 4;
const BACKSPACE: u8 = 8;
const CTRL_U: u8 = 21;
const DELETE: u8 = 127;

/// Reads what a command wants. `None` when its reader has given up or is gone.
pub(super) async fn read(session: &Session, wants: Wants) -> Option<Vec<String>> {
    let reading = async {
        match (wants, session.pty.is_some()) {
            (Wants::Nothing, _) => Some(Vec::new()),
            (Wants::Key, true) => typed(session, &[(Account::PasteKey, true)]).await,
            (Wants::Line, true) => typed(session, &[(Account::NewPassword, false)]).await,
            (Wants::Passwords, true) => {
                let prompts = [Account::OldPassword, Account::NewPassword, Account::NewPasswordAgain];
                typed(session, &prompts.map(|prompt| (prompt, false))).await
            }
            (_, false) => all(session).await,
        }
    };
    timeout(PATIENCE, reading).await.ok().flatten()
}

async fn all(session: &Session) -> Option<Vec<String>> {
    let mut refund = session.outgoing.refund();
    let mut bytes = Vec::new();
    while let Some(chunk) = session.inbox.next().await {
        refund.consumed(chunk.len());
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MOST_INPUT {
            return None;
        }
    }
    Some(String::from_utf8_lossy(&bytes).lines().take(MOST_LINES).map(str::to_owned).collect())
}

async fn typed(session: &Session, prompts: &[(Account<'_>, bool)]) -> Option<Vec<String>> {
    let mut keys = Keys { session, waiting: Vec::new(), after_return: false };
    let mut lines = Vec::new();
    for (prompt, echo) in prompts {
        session.outgoing.stdout(prompt.say(session.lang)).await.ok()?;
        lines.push(keys.line(*echo).await?);
        session.outgoing.stdout("\r\n").await.ok()?;
    }
    Some(lines)
}

/// Bytes of a terminal, one by one.
struct Keys<'a> {
    session: &'a Session,
    /// Read and not taken yet, the next one last.
    waiting: Vec<u8>,
    /// A carriage return has ended a line: a line feed after it is the same key.
    after_return: bool,
}

impl Keys<'_> {
    async fn next(&mut self) -> Option<u8> {
        while self.waiting.is_empty() {
            let chunk = self.session.inbox.next().await?;
            self.session.outgoing.refund().consumed(chunk.len());
            self.waiting = chunk.iter().rev().copied().collect();
        }
        self.waiting.pop()
    }

    async fn line(&mut self, echo: bool) -> Option<String> {
        let mut line = Vec::new();
        loop {
            let key = self.next().await?;
            let same_key = std::mem::take(&mut self.after_return) && key == b'\n';
            match key {
                b'\n' if same_key => {}
                b'\r' | b'\n' => {
                    self.after_return = key == b'\r';
                    return Some(String::from_utf8_lossy(&line).into_owned());
                }
                CTRL_C => return None,
                CTRL_D if line.is_empty() => return None,
                CTRL_U => line.clear(),
                BACKSPACE | DELETE => {
                    if line.pop().is_some() {
                        self.echo(echo, "\x08 \x08").await.ok()?;
                    }
                }
                byte if byte < 0x20 => {}
                byte => {
                    if line.len() < MOST_LINE {
                        line.push(byte);
                        if byte.is_ascii() {
                            self.echo(echo, &char::from(byte).to_string()).await.ok()?;
                        }
                    }
                }
            }
        }
    }

    async fn echo(&self, echo: bool, text: &str) -> Result<(), Gone> {
        if echo { self.session.outgoing.stdout(text.to_owned()).await } else { Ok(()) }
    }
}
