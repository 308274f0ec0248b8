//! Forwards into the container: `localhost` is the container's, always. The gateway itself dials nothing
//! but agents.

use std::sync::Arc;

use russh::ChannelOpenFailure;
use russh::server::ChannelOpenHandle;

use super::inbox::Inbox;
use super::outgoing::Outgoing;
use super::pump;
use super::visit::{Visit, in_words};
use crate::bridge::{self, Stream};
use crate::text::Lang;

/// RFC 4254 section 5.1.
const ADMINISTRATIVELY_PROHIBITED: u32 = 1;
const CONNECT_FAILED: u32 = 2;

/// Where to, inside the container.
#[derive(Debug, Clone)]
pub(super) enum Dial {
    Tcp { host: String, port: u16 },
    Unix { path: String },
}

/// No name and no path that leads anywhere is longer (RFC 1035, unix(7)).
const MAX_NAME: usize = 255;

impl Dial {
    pub(super) fn is_sane(&self) -> bool {
        let (Self::Tcp { host: name, .. } | Self::Unix { path: name }) = self;
        name.len() <= MAX_NAME
    }
}

impl std::fmt::Display for Dial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "{}:{port}", crate::text::printable(host)),
            Self::Unix { path } => f.write_str(&crate::text::printable(path)),
        }
    }
}

pub(super) struct Forward {
    pub(super) visit: Arc<Visit>,
    pub(super) outgoing: Outgoing,
    pub(super) inbox: Arc<Inbox>,
}

impl Forward {
    pub(super) async fn run(self, dial: Dial, reply: ChannelOpenHandle) {
        tokio::select! {
            opened = self.open(dial) => match opened {
                Ok(stream) => {
                    reply.accept().await;
                    pump::connection(stream, &self.outgoing, &self.inbox).await;
                }
                Err(failure) => reply.reject(failure).await,
            },
            () = self.inbox.closed() => {}
        }
        self.visit.channels.remove(self.outgoing.id());
    }

    async fn open(&self, dial: Dial) -> Result<Stream, ChannelOpenFailure> {
        let container = self.visit.container().await.map_err(|refusal| {
            // The client's locale is not known here: no session has told it on this channel.
            let reason = in_words(&refusal, Lang::default());
            ChannelOpenFailure::Other { code: ADMINISTRATIVELY_PROHIBITED, reason }
        })?;
        let dialled = match dial {
            Dial::Tcp { host, port } => bridge::dial_tcp(&container.agent, &host, port).await,
            Dial::Unix { path } => bridge::dial_unix(&container.agent, &path).await,
        };
        dialled.map_err(|e| ChannelOpenFailure::Other { code: CONNECT_FAILED, reason: e.to_string() })
    }
}
