//! One connection: what it has and what it can do; `handler` translates russh's callbacks into that.
//! No callback waits for a container or for a consumer.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use russh::keys::{HashAlg, PublicKey};
use russh::server::{Auth, ChannelOpenHandle, GlobalReply, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, Error};
use tokio_util::sync::CancellationToken;

mod handler;

use crate::auth::permissions::Permissions;
use crate::auth::{Identity, fido};
use crate::reservation::{MachineName, UserName};
use crate::seats::Seat;
use crate::ssh::channels::Channels;
use crate::ssh::forward::{Dial, Forward};
use crate::ssh::host_key_proof::prove;
use crate::ssh::in_flight::InFlight;
use crate::ssh::landing::Login;
use crate::ssh::listener::Gateway;
use crate::ssh::login::{Step, Talk};
use crate::ssh::outgoing::Outgoing;
use crate::ssh::remote::Remote;
use crate::ssh::remote_forward::RemoteForwards;
use crate::ssh::session::{Asked, Session as ClientSession};
use crate::text::Lang;

/// How often one connection may have our host keys proven: signing costs us more than asking costs them.
const PROOFS: u8 = 4;

/// Both ends of the TCP connection, and what the listener stands for.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) client: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) machine: Option<MachineName>,
    /// How much of what a channel has sent may be under way.
    pub(super) in_flight: Arc<InFlight>,
}

/// Somebody who has logged in on this connection, and what they named as their target.
#[derive(Debug, Clone)]
pub(super) struct Guest {
    pub(super) identity: Identity,
    pub(super) login: Login,
    pub(super) peer: Peer,
    /// What the credential allows.
    pub(super) permissions: Permissions,
}

pub(super) struct Connection {
    gateway: Arc<Gateway>,
    peer: Peer,
    guest: Option<Guest>,
    talk: Talk,
    seat: Option<Seat<UserName>>,
    authenticated: CancellationToken,
    channels: Arc<Channels>,
    /// Since the login.
    remote: Option<Arc<Remote>>,
    forwards: Arc<RemoteForwards>,
    no_more_sessions: bool,
    proofs_left: u8,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.channels.close_all();
        if let Some(remote) = &self.remote {
            remote.over.cancel();
        }
    }
}

impl Connection {
    pub(super) fn new(gateway: Arc<Gateway>, peer: Peer, authenticated: CancellationToken) -> Self {
        let channels = Arc::new(Channels::new(peer.in_flight.clone()));
        Self {
            gateway,
            peer,
            guest: None,
            talk: Talk::default(),
            seat: None,
            authenticated,
            channels,
            remote: None,
            forwards: Arc::default(),
            no_more_sessions: false,
            proofs_left: PROOFS,
        }
    }

    fn login(&self, name: &str) -> Login {
        Login::read(name, self.peer.machine.as_ref())
    }

    /// The only place where a connection gets a guest: from an identity that `auth` has made.
    fn admit(&mut self, login: Login, step: Step) -> Auth {
        match step {
            Step::In(identity) => {
                let permissions = identity.permissions().clone();
                self.guest = Some(Guest { identity, login, peer: self.peer.clone(), permissions });
                Auth::Accept
            }
            Step::Say(auth) => auth,
        }
    }

    fn allows(&self, allowed: impl FnOnce(&Permissions) -> bool) -> bool {
        self.guest.as_ref().is_some_and(|guest| allowed(&guest.permissions))
    }

    /// Does a FIDO key's signature show that somebody touched it, and who, where the enrolled key demands it?
    async fn is_touched(&self, login: &Login, key: &VerifiedPublicKey<'_>) -> bool {
        if !fido::is_fido(key.signature.algorithm().as_str()) {
            return true;
        }
        let auth = &self.gateway.auth;
        let verify = auth.key_demands_verification(&login.user, &fingerprint(key.public_key)).await;
        fido::is_enough(key.signature.as_bytes(), verify)
    }

    /// Signing takes its time: not on the threads that carry everybody's bytes.
    fn prove_host_keys(&mut self, asked: Bytes, reply: GlobalReply, session: &Session) {
        let (Some(id), Some(algorithm)) = (session.session_id(), session.host_key_algorithm()) else {
            return;
        };
        let Some(left) = self.proofs_left.checked_sub(1) else { return };
        self.proofs_left = left;
        let (id, algorithm, russh) = (id.to_vec(), algorithm.clone(), self.gateway.offer.all.clone());
        self.gateway.tasks.spawn_blocking(move || {
            if let Some(proof) = prove(&russh.keys, &id, &algorithm, &asked) {
                reply.success(proof);
            }
        });
    }

    fn start(&self, channel: ChannelId, asked: Asked, session: &mut Session) -> Result<(), Error> {
        let (Some(remote), Some((waiting, inbox))) = (&self.remote, self.channels.start(channel)) else {
            return session.channel_failure(channel);
        };
        session.channel_success(channel)?;
        let (asked, original) = forced(&remote.visit.guest.permissions, asked);
        remote.visit.note_channel(asked.kind());
        let mut env = waiting.env;
        env.extend(original.map(|original| ("SSH_ORIGINAL_COMMAND".to_owned(), original)));
        let chosen = self.gateway.door.languages.of(remote.visit.guest.identity.user());
        let client = ClientSession {
            remote: remote.clone(),
            lang: chosen.unwrap_or_else(|| Lang::from_locale(locale(&env))),
            pty: waiting.pty,
            env,
            wants_agent: waiting.wants_agent,
            x11: waiting.x11,
            outgoing: Outgoing::new(waiting.write, session.handle(), &self.peer.in_flight),
            inbox,
        };
        self.gateway.tasks.spawn(client.run(asked));
        Ok(())
    }

    fn forward(&self, channel: Channel<Msg>, dial: Dial, reply: ChannelOpenHandle, session: &Session) {
        let Some(remote) = &self.remote else { return };
        // Dropping the reply is a refusal.
        if self.channels.is_full() || !dial.is_sane() {
            return;
        }
        remote.visit.note_forward("to the container", &dial.to_string());
        let inbox = self.channels.add_forward(channel.id());
        let (_, write) = channel.split();
        let visit = remote.visit.clone();
        let outgoing = Outgoing::new(write, session.handle(), &self.peer.in_flight);
        let forward = Forward { visit, outgoing, inbox };
        self.gateway.tasks.spawn(forward.run(dial, reply));
    }
}

/// The client's locale, by the order of POSIX.
fn locale(env: &[(String, String)]) -> &str {
    ["LC_ALL", "LC_MESSAGES", "LANG"]
        .iter()
        .find_map(|name| env.iter().find(|(n, v)| n == name && !v.is_empty()))
        .map_or("", |(_, value)| value)
}

/// A forced command takes the place of whatever is asked for, which it finds in SSH_ORIGINAL_COMMAND.
fn forced(permissions: &Permissions, asked: Asked) -> (Asked, Option<String>) {
    let Some(command) = &permissions.force_command else { return (asked, None) };
    let original = match asked {
        Asked::Shell => None,
        Asked::Exec(command) => Some(String::from_utf8_lossy(&command).into_owned()),
        Asked::Sftp => Some("sftp".to_owned()),
    };
    (Asked::Exec(command.clone().into_bytes()), original)
}

fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_is_found_in_posix_order() {
        let env = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>()
        };
        assert_eq!(locale(&env(&[("LANG", "fr_FR"), ("LC_ALL", "en_US")])), "en_US");
        assert_eq!(locale(&env(&[("LANG", "fr_FR"), ("LC_ALL", "")])), "fr_FR");
        assert_eq!(locale(&[]), "");
    }
}
