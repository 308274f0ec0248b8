//! An engine at the other end of ssh, as Docker's own client does it: the system's ssh, its keys and its configuration.

use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use crate::config::SshHost;

/// So much of what ssh complains about is told, in bytes.
const MOST_WORDS: usize = 400;

/// One ssh, which ends when this is dropped.
pub(super) struct SshLine {
    _child: Child,
    input: ChildStdin,
    output: ChildStdout,
    errors: ChildStderr,
    words: Vec<u8>,
    has_answered: bool,
}

impl SshLine {
    pub(super) fn open(host: &SshHost) -> io::Result<Self> {
        let mut command = Command::new("ssh");
        // Nobody is there to answer a question, and a network that is cut says nothing.
        for option in ["BatchMode=yes", "ConnectTimeout=8", "ServerAliveInterval=10", "ServerAliveCountMax=3"]
        {
            command.args(["-o", option]);
        }
        command.arg("-T");
        if let Some(port) = host.port {
            command.args(["-p", &port.to_string()]);
        }
        if let Some(user) = &host.user {
            command.args(["-l", user]);
        }
        command.args(["--", &host.host, "docker", "system", "dial-stdio"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let missing = || io::Error::other("ssh without its pipes");
        Ok(Self {
            input: child.stdin.take().ok_or_else(missing)?,
            output: child.stdout.take().ok_or_else(missing)?,
            errors: child.stderr.take().ok_or_else(missing)?,
            _child: child,
            words: Vec::new(),
            has_answered: false,
        })
    }

    /// Reads the complaints, so that ssh never waits for a reader. Ready at their end.
    fn poll_words(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut space = [0; 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut self.errors).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {
                    let room = MOST_WORDS.saturating_sub(self.words.len());
                    self.words.extend(buffer.filled().iter().take(room));
                }
                _ => return Poll::Ready(()),
            }
        }
    }
}

impl AsyncRead for SshLine {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let words_are_over = self.poll_words(context).is_ready();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.output).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.has_answered = true;
        } else if !self.has_answered {
            // It ended without a word of the engine's: why, is in what it complained about.
            if !words_are_over {
                ready!(self.poll_words(context));
            }
            let words = String::from_utf8_lossy(&self.words);
            return Poll::Ready(Err(io::Error::other(format!("ssh: {}", words.trim()))));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SshLine {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.input).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_shutdown(context)
    }
}
