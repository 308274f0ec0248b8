//! Shells that their agent keeps when we go.

use super::{AgentAddress, BridgeError, ControlSender, ExitWatch, Process, Stream, request, unexpected};
use crate::agent::protocol::{Attach, KeptShell, RefusedKind, Reply, Request, Spawn};
use crate::text::printable;

/// More than an agent keeps.
const MOST: usize = 64;
const LONGEST_WORDS: usize = 200;

/// A shell on a terminal, as the gateway holds it. Dropping it leaves it to its agent.
#[derive(Debug)]
pub struct Shell {
    /// Its id in the container.
    pub id: u32,
    /// The terminal's master.
    pub master: Stream,
    /// Tells how it ends.
    pub exit: ExitWatch,
    /// Resizes, signals, and what was shown.
    pub control: ControlSender,
    /// What brings its screen back on the client's terminal; empty for a new one.
    pub screen: Vec<u8>,
}

/// Starts a shell that is kept, where its agent keeps any; else a process like others.
///
/// # Errors
/// [`BridgeError`]
pub async fn shell(address: &AgentAddress, spawn: Spawn) -> Result<Result<Shell, Process>, BridgeError> {
    let on_pty = spawn.pty.is_some();
    match request(address, &Request::Shell(spawn.clone())).await {
        Ok((link, Reply::Attached { id, screen, .. })) => link.into_shell(id, screen).map(Ok),
        Ok((link, Reply::Started { .. })) => link.into_process(on_pty).map(Err),
        Ok((_, other)) => Err(unexpected(other)),
        // An agent from before there were such shells.
        Err(BridgeError::Refused { kind: RefusedKind::Malformed, .. }) => {
            super::spawn(address, spawn).await.map(Err)
        }
        Err(error) => Err(error),
    }
}

/// Goes back to a shell.
///
/// # Errors
/// [`BridgeError`]
pub async fn attach(address: &AgentAddress, wanted: Attach) -> Result<Shell, BridgeError> {
    let (link, reply) = request(address, &Request::Attach(wanted)).await?;
    match reply {
        Reply::Attached { id, screen, .. } => link.into_shell(id, screen),
        other => Err(unexpected(other)),
    }
}

/// Which shells are there? Their words are printable.
///
/// # Errors
/// [`BridgeError`]
pub async fn shells(address: &AgentAddress) -> Result<Vec<KeptShell>, BridgeError> {
    let cut = |words: &str| printable(words).chars().take(LONGEST_WORDS).collect();
    match request(address, &Request::Shells).await {
        Ok((_, Reply::Shells(shells))) => Ok(shells
            .into_iter()
            .take(MOST)
            .map(|shell| KeptShell { command: cut(&shell.command), folder: cut(&shell.folder), ..shell })
            .collect()),
        Ok((_, other)) => Err(unexpected(other)),
        Err(BridgeError::Refused { kind: RefusedKind::Malformed, .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
