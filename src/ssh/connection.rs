//! One connection: russh's callbacks, translated into what the channels' tasks understand.
//! No callback waits for a container or for a consumer.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use russh::keys::ssh_key::Signature;
use russh::keys::{Certificate, HashAlg, PublicKey};
use russh::server::{
    Auth, ChannelOpenHandle, GlobalReply, Handler, Msg, PublicKeyOffer, Response, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, ChannelOpenFailure, Disconnect, Error, Pty as Mode, Sig};
use tokio_util::sync::CancellationToken;

use super::certificates::{authority, shown};
use super::channels::Channels;
use super::forward::{Dial, Forward};
use super::host_key_proof::{ANNOUNCE, PROVE, announcement, prove};
use super::landing::Login;
use super::listener::Gateway;
use super::login::{Step, Talk};
use super::outgoing::Outgoing;
use super::remote::{Remote, X11};
use super::remote_forward::{RemoteForwards, Spot};
use super::seats::Seat;
use super::session::{Asked, Session as ClientSession};
use super::visit::Visit;
use crate::agent::protocol::{Control, Pty, WindowSize};
use crate::auth::permissions::Permissions;
use crate::auth::{Attempt, Denial, Identity, fido};
use crate::config::AuthMethod;
use crate::reservation::{MachineName, UserName};
use crate::text::login::{Login as LoginText, in_both};
use crate::text::session::Line;
use crate::text::{Lang, Say};

/// Longest TERM that is passed on.
const MAX_TERM: usize = 64;
/// How often one connection may have our host keys proven: signing costs us more than asking costs them.
const PROOFS: u8 = 4;

/// Both ends of the TCP connection, and what the listener stands for.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) client: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) machine: Option<MachineName>,
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
        let (channels, forwards) = <_>::default();
        Self {
            gateway,
            peer,
            guest: None,
            talk: Talk::default(),
            seat: None,
            authenticated,
            channels,
            remote: None,
            forwards,
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
        let (id, algorithm, russh) = (id.to_vec(), algorithm.clone(), self.gateway.russh.clone());
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
        let client = ClientSession {
            remote: remote.clone(),
            lang: Lang::from_locale(locale(&env)),
            pty: waiting.pty,
            env,
            wants_agent: waiting.wants_agent,
            x11: waiting.x11,
            outgoing: Outgoing::new(waiting.write, session.handle()),
            inbox,
        };
        self.gateway.tasks.spawn(client.run(asked));
        Ok(())
    }

    fn forward(&self, channel: Channel<Msg>, dial: Dial, reply: ChannelOpenHandle, session: &Session) {
        let Some(remote) = &self.remote else { return };
        if self.channels.is_full() {
            return;
        }
        remote.visit.note_forward("to the container", dial.to_string());
        let inbox = self.channels.add_forward(channel.id());
        let (_, write) = channel.split();
        let visit = remote.visit.clone();
        let forward = Forward { visit, outgoing: Outgoing::new(write, session.handle()), inbox };
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

fn answer(done: bool, channel: ChannelId, session: &mut Session) -> Result<(), Error> {
    if done { session.channel_success(channel) } else { session.channel_failure(channel) }
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

fn size(columns: u32, rows: u32, width: u32, height: u32) -> WindowSize {
    let clamp = |value| u16::try_from(value).unwrap_or(u16::MAX);
    WindowSize { columns: clamp(columns), rows: clamp(rows), width: clamp(width), height: clamp(height) }
}

impl Handler for Connection {
    type Error = Error;

    async fn auth_none(&mut self, user: &str) -> Result<Auth, Error> {
        let login = self.login(user);
        let step = self.talk.none(&self.gateway.auth, &login, self.peer.client).await;
        Ok(self.admit(login, step))
    }

    /// Before anybody has said who they are: the only words that every client shows.
    async fn authentication_banner(&mut self) -> Result<Option<String>, Error> {
        let refused = self.gateway.auth.refused_for(None, self.peer.client.ip());
        Ok(refused.map(|time| in_both(&LoginText::Denied(Denial::Later(time)))))
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Error> {
        let login = self.login(user);
        let step = self.talk.password(&self.gateway.auth, &login, self.peer.client, password).await;
        Ok(self.admit(login, step))
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Error> {
        let login = self.login(user);
        let (auth, peer) = (&self.gateway.auth, self.peer.client);
        let step = match response {
            None => self.talk.ask(auth, &login, peer),
            Some(mut answers) => {
                let typed = answers.next().map(|typed| String::from_utf8_lossy(&typed).into_owned());
                self.talk.answer(auth, &login, peer, typed.as_deref()).await
            }
        };
        Ok(self.admit(login, step))
    }

    /// An offered key proves nothing: this only says whether signing with it is worth the while.
    async fn auth_publickey_offered(&mut self, user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, Error> {
        let login = self.login(user);
        if !self.gateway.auth.allows(AuthMethod::PublicKey) {
            return Ok(Auth::reject());
        }
        let known = match offer.certificate {
            Some(certificate) => {
                let authority = authority(certificate);
                let shown = shown(certificate, &authority, None);
                let who = Attempt { name: &login.user, peer: self.peer.client, method: "certificate" };
                self.gateway.auth.certificate_is_fit(who, &shown).await
            }
            None => self.gateway.auth.key_is_known(&login.user, &fingerprint(offer.public_key)).await,
        };
        Ok(if known { Auth::Accept } else { Auth::reject() })
    }

    /// russh has verified the signature.
    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Error> {
        let login = self.login(user);
        if !self.is_touched(&login, &key).await {
            return Ok(Auth::reject());
        }
        let print = fingerprint(key.public_key);
        let step = self.talk.key(&self.gateway.auth, &login, self.peer.client, &print).await;
        Ok(self.admit(login, step))
    }

    /// russh has verified both signatures.
    async fn auth_openssh_certificate(
        &mut self,
        user: &str,
        certificate: &Certificate,
        signature: &Signature,
    ) -> Result<Auth, Error> {
        let login = self.login(user);
        let authority = authority(certificate);
        let shown = shown(certificate, &authority, Some(signature));
        // The audit log names the authority's key: the holder's is whatever they made.
        let step = self.talk.certificate(&self.gateway.auth, &login, self.peer.client, &shown).await;
        Ok(self.admit(login, step))
    }

    async fn auth_succeeded(&mut self, session: &mut Session) -> Result<(), Error> {
        self.authenticated.cancel();
        let Some(guest) = &self.guest else { return Err(Error::Inconsistent) };
        let visit = Visit {
            gateway: self.gateway.clone(),
            guest: guest.clone(),
            channels: self.channels.clone(),
            handle: session.handle(),
        };
        self.remote = Some(Arc::new(Remote::new(Arc::new(visit))));
        self.seat = self.gateway.seats.take(guest.identity.user().clone());
        if self.seat.is_none() {
            let words = Line::TooManyConnections.say(Lang::default());
            return session.disconnect(Disconnect::TooManyConnections, &words, "");
        }
        session.notify(ANNOUNCE, &announcement(&self.gateway.russh.keys))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Error> {
        if self.no_more_sessions {
            reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
            return Ok(());
        }
        if self.guest.is_none() || self.channels.is_full() {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        // The read half is not used: data comes by `data_bytes`, and nothing waits on its queue.
        let (_, write) = channel.split();
        self.channels.add_session(write);
        reply.accept().await;
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _originator: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Error> {
        if !self.allows(|permissions| permissions.port_forwarding) {
            reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
            return Ok(());
        }
        match u16::try_from(port) {
            Ok(port) => self.forward(channel, Dial::Tcp { host: host.to_owned(), port }, reply, session),
            Err(_) => reply.reject(ChannelOpenFailure::ConnectFailed).await,
        }
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Error> {
        if !self.allows(|permissions| permissions.port_forwarding) {
            reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
            return Ok(());
        }
        self.forward(channel, Dial::Unix { path: path.to_owned() }, reply, session);
        Ok(())
    }

    /// A channel that we offered is taken: known before its first bytes arrive.
    async fn channel_open_confirmation(
        &mut self,
        id: ChannelId,
        _max_packet_size: u32,
        _window_size: u32,
        _: &mut Session,
    ) -> Result<(), Error> {
        self.channels.add_forward(id);
        Ok(())
    }

    async fn global_request(
        &mut self,
        kind: &str,
        payload: Bytes,
        reply: GlobalReply,
        session: &mut Session,
    ) -> Result<(), Error> {
        let spot = match kind {
            "no-more-sessions@openssh.com" => {
                self.no_more_sessions = true;
                reply.success(Vec::new());
                return Ok(());
            }
            PROVE => {
                self.prove_host_keys(payload, reply, session);
                return Ok(());
            }
            "tcpip-forward" | "cancel-tcpip-forward" => Spot::tcp(&payload),
            "streamlocal-forward@openssh.com" | "cancel-streamlocal-forward@openssh.com" => {
                Spot::unix(&payload)
            }
            // Dropping the reply is a refusal.
            _ => return Ok(()),
        };
        let (Some(remote), Some(spot)) = (self.remote.clone(), spot) else { return Ok(()) };
        if !self.allows(|permissions| permissions.port_forwarding) {
            return Ok(());
        }
        let forwards = self.forwards.clone();
        if kind.starts_with("cancel-") {
            self.gateway.tasks.spawn(forwards.cancel(spot, reply));
        } else {
            remote.visit.note_forward("from the container", spot.to_string());
            self.gateway.tasks.spawn(forwards.begin(remote, spot, reply));
        }
        Ok(())
    }

    async fn agent_request(&mut self, channel: ChannelId, _: &mut Session) -> Result<bool, Error> {
        Ok(self.allows(|permissions| permissions.agent_forwarding) && self.channels.set_agent(channel))
    }

    async fn x11_request(
        &mut self,
        channel: ChannelId,
        once: bool,
        protocol: &str,
        cookie: &str,
        screen: u32,
        session: &mut Session,
    ) -> Result<(), Error> {
        let (protocol, cookie) = (protocol.to_owned(), cookie.to_owned());
        let done = self.allows(|permissions| permissions.x11_forwarding)
            && self.channels.set_x11(channel, X11 { once, protocol, cookie, screen });
        answer(done, channel, session)
    }

    async fn data_bytes(&mut self, channel: ChannelId, data: Bytes, _: &mut Session) -> Result<(), Error> {
        if let Some(inbox) = self.channels.inbox(channel) {
            inbox.push(data);
        }
        Ok(())
    }

    async fn channel_eof(&mut self, channel: ChannelId, _: &mut Session) -> Result<(), Error> {
        if let Some(inbox) = self.channels.inbox(channel) {
            inbox.end();
        }
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, _: &mut Session) -> Result<(), Error> {
        self.channels.close(channel);
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        term: &str,
        columns: u32,
        rows: u32,
        width: u32,
        height: u32,
        modes: &[(Mode, u32)],
        session: &mut Session,
    ) -> Result<(), Error> {
        let is_sane = term.len() <= MAX_TERM && term.chars().all(|c| c.is_ascii_graphic());
        let pty = Pty {
            term: if is_sane { term.to_owned() } else { String::new() },
            size: size(columns, rows, width, height),
            modes: modes.iter().map(|(mode, value)| (*mode as u8, *value)).collect(),
        };
        let done = self.allows(|permissions| permissions.pty) && self.channels.set_pty(channel, pty);
        answer(done, channel, session)
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Error> {
        answer(self.channels.set_env(channel, name, value), channel, session)
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Error> {
        self.start(channel, Asked::Shell, session)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Error> {
        self.start(channel, Asked::Exec(command.to_vec()), session)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Error> {
        match name {
            "sftp" => self.start(channel, Asked::Sftp, session),
            _ => session.channel_failure(channel),
        }
    }

    async fn window_change_request(
        &mut self,
        channel: ChannelId,
        columns: u32,
        rows: u32,
        width: u32,
        height: u32,
        session: &mut Session,
    ) -> Result<(), Error> {
        let size = size(columns, rows, width, height);
        answer(self.channels.resize(channel, size), channel, session)
    }

    async fn signal(&mut self, channel: ChannelId, signal: Sig, session: &mut Session) -> Result<(), Error> {
        let signal = Control::Signal(name_of(&signal).to_owned());
        answer(self.channels.signal(channel, signal), channel, session)
    }

    /// RFC 4335. How long it lasts is the serial line's affair.
    async fn break_request(
        &mut self,
        channel: ChannelId,
        _milliseconds: u32,
        session: &mut Session,
    ) -> Result<(), Error> {
        answer(self.channels.signal(channel, Control::Break), channel, session)
    }
}

/// RFC 4254 section 6.9, without `SIG`.
fn name_of(signal: &Sig) -> &str {
    match signal {
        Sig::ABRT => "ABRT",
        Sig::ALRM => "ALRM",
        Sig::FPE => "FPE",
        Sig::HUP => "HUP",
        Sig::ILL => "ILL",
        Sig::INT => "INT",
        Sig::KILL => "KILL",
        Sig::PIPE => "PIPE",
        Sig::QUIT => "QUIT",
        Sig::SEGV => "SEGV",
        Sig::TERM => "TERM",
        Sig::USR1 => "USR1",
        Sig::Custom(name) => name.get(..16).unwrap_or(name),
    }
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
