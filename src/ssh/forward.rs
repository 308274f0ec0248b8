//! Forwards: `localhost` is the container's, always. The gateway itself dials nothing but agents.

use std::sync::Arc;

use jiff::Timestamp;
use russh::ChannelOpenFailure;
use russh::server::ChannelOpenHandle;

use super::channels::Channels;
use super::connection::Guest;
use super::inbox::Inbox;
use super::landing::{First, Landing, land};
use super::listener::Gateway;
use super::outgoing::Outgoing;
use super::pump;
use crate::bridge::{self, FdStream};
use crate::reservation::{Cause, Refusal};
use crate::text::refusal::Refused;
use crate::text::{Lang, Say};
use crate::workspace::Container;

/// RFC 4254 section 5.1.
const ADMINISTRATIVELY_PROHIBITED: u32 = 1;
const CONNECT_FAILED: u32 = 2;

/// Where to, inside the container.
#[derive(Debug, Clone)]
pub(super) enum Dial {
    Tcp { host: String, port: u16 },
    Unix { path: String },
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
    pub(super) gateway: Arc<Gateway>,
    pub(super) guest: Guest,
    pub(super) outgoing: Outgoing,
    pub(super) inbox: Arc<Inbox>,
    pub(super) channels: Arc<Channels>,
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
        self.channels.remove(self.outgoing.id());
    }

    async fn open(&self, dial: Dial) -> Result<FdStream, ChannelOpenFailure> {
        let container = self.container().await.map_err(|refusal| {
            // The client's locale is not known here: no session has told it on this channel.
            let reason = Refused { refusal: &refusal, now: Timestamp::now() }.say(Lang::default());
            ChannelOpenFailure::Other { code: ADMINISTRATIVELY_PROHIBITED, reason }
        })?;
        let dialled = match dial {
            Dial::Tcp { host, port } => bridge::dial_tcp(&container.agent, &host, port).await,
            Dial::Unix { path } => bridge::dial_unix(&container.agent, &path).await,
        };
        dialled.map_err(|e| ChannelOpenFailure::Other { code: CONNECT_FAILED, reason: e.to_string() })
    }

    async fn container(&self) -> Result<Container, Refusal> {
        let target = self.guest.login.target.clone().map_err(Refusal::UnknownMachine)?;
        let workspaces = &self.gateway.workspaces;
        let lease = workspaces.lease(self.guest.identity.user(), &target)?;
        let lease = match (land(First::Other, lease.is_some(), self.channels.menu_is_open()), lease) {
            (Landing::BehindMenu, _) => return Err(Refusal::MenuIsOpen),
            (_, Some(lease)) => lease,
            (_, None) => workspaces.reserve(&self.guest.identity, target, Cause::Automatic)?,
        };
        lease.ready().await
    }
}
