//! What the channels of one logged-in connection share.

use std::sync::Arc;

use jiff::Timestamp;
use russh::server::Handle;

use super::channels::Channels;
use super::connection::Guest;
use super::landing::{First, Landing, land};
use super::listener::Gateway;
use crate::audit::Event;
use crate::reservation::{Cause, Refusal};
use crate::text::connect::Way;
use crate::text::refusal::Refused;
use crate::text::{Lang, Say};
use crate::workspace::Container;

/// One logged-in connection.
pub(super) struct Visit {
    pub(super) gateway: Arc<Gateway>,
    pub(super) guest: Guest,
    pub(super) channels: Arc<Channels>,
    pub(super) handle: Handle,
}

impl Visit {
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
        let (user, source) = (self.guest.identity.user().clone(), self.guest.peer.client);
        self.gateway.audit.note(Event::Channel { user, source, kind });
    }

    /// A connection into the container is asked for, a listener in it, or something of the client's own is lent to it.
    pub(super) fn note_forward(&self, kind: &'static str, target: String) {
        let (user, source) = (self.guest.identity.user().clone(), self.guest.peer.client);
        self.gateway.audit.note(Event::Forward { user, source, kind, target });
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
