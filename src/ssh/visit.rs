//! What the channels of one logged-in connection share.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use russh::server::Handle;

use super::channels::Channels;
use super::connection::Guest;
use super::landing::{First, Landing, land};
use super::listener::Gateway;
use crate::audit::Event;
use crate::complaint::Complaint;
use crate::reservation::{Cause, Refusal};
use crate::text::connect::Way;
use crate::text::refusal::Refused;
use crate::text::{Lang, Say};
use crate::workspace::Container;

/// Lines of the audit log about one connection's channels: an editor's burst of them, and then so many a second. A
/// flood must neither fill the disk nor push other people's lines out of the queue.
const RECORDS: u32 = 200;
const RECORD_EVERY: Duration = Duration::from_millis(100);
/// The same for the gateway's own log.
const LINES: u32 = 20;
const LINE_EVERY: Duration = Duration::from_secs(1);
/// Of a name that a client made up, so much is written down.
const NAME_CHARS: usize = 256;

/// One logged-in connection.
pub(super) struct Visit {
    pub(super) gateway: Arc<Gateway>,
    pub(super) guest: Guest,
    pub(super) channels: Arc<Channels>,
    pub(super) handle: Handle,
    records: Complaint,
    lines: Complaint,
}

impl Visit {
    pub(super) fn new(gateway: Arc<Gateway>, guest: Guest, channels: Arc<Channels>, handle: Handle) -> Self {
        let records = Complaint::paced(RECORDS, RECORD_EVERY);
        Self { gateway, guest, channels, handle, records, lines: Complaint::paced(LINES, LINE_EVERY) }
    }

    /// May something about this connection be logged now? Then how much was not.
    pub(super) fn log(&self) -> Option<u64> {
        self.lines.again(Instant::now())
    }

    /// The container for what is neither a menu nor a front-door command: the guest's own, or one that is
    /// reserved at once, where that is allowed.
    pub(super) async fn container(&self) -> Result<Container, Refusal> {
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

    /// A session channel has asked for its program.
    pub(super) fn note_channel(&self, kind: &'static str) {
        let Some(unwritten) = self.records.again(Instant::now()) else { return };
        let (user, source) = (self.guest.identity.user().clone(), self.guest.peer.client);
        self.gateway.audit.note(Event::Channel { user, source, kind, unwritten });
    }

    /// A connection into the container is asked for, a listener in it, or something of the client's own is lent to it.
    pub(super) fn note_forward(&self, kind: &'static str, target: &str) {
        let Some(unwritten) = self.records.again(Instant::now()) else { return };
        let (user, source) = (self.guest.identity.user().clone(), self.guest.peer.client);
        let target = target.chars().take(NAME_CHARS).collect();
        self.gateway.audit.note(Event::Forward { user, source, kind, target, unwritten });
    }

    /// How the guest reaches this gateway: at the address where they did.
    pub(super) fn way(&self) -> Way {
        let local = self.guest.peer.local;
        Way {
            host: local.ip().to_canonical().to_string(),
            port: local.port(),
            user: self.guest.identity.user().to_string(),
            alias: self.gateway.config.cluster.name.clone(),
        }
    }

    /// Does the guest hold what their login names?
    pub(super) fn has_reservation(&self) -> bool {
        let user = self.guest.identity.user();
        let target = self.guest.login.target.as_ref();
        target.is_ok_and(|target| matches!(self.gateway.workspaces.lease(user, target), Ok(Some(_))))
    }
}

/// A refusal in the words of a language.
pub(super) fn in_words(refusal: &Refusal, lang: Lang) -> String {
    Refused { refusal, now: Timestamp::now() }.say(lang)
}
