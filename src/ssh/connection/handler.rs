//! russh's callbacks, each translated in a few lines into what the connection and its channels' tasks understand.

use std::sync::Arc;

use bytes::Bytes;
use russh::keys::Certificate;
use russh::keys::ssh_key::Signature;
use russh::server::{
    Auth, ChannelOpenHandle, Config as RusshConfig, GlobalReply, Handler, Msg, PublicKeyOffer, Response,
    Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, ChannelOpenFailure, Disconnect, Error, Pty as Mode, Sig};

use super::{Connection, fingerprint};
use crate::agent::protocol::{Control, Pty, WindowSize};
use crate::auth::{Attempt, Denial};
use crate::config::AuthMethod;
use crate::ssh::certificates::{authority, shown};
use crate::ssh::forward::Dial;
use crate::ssh::host_key_proof::{ANNOUNCE, PROVE, announcement};
use crate::ssh::remote::{Remote, X11};
use crate::ssh::remote_forward::Spot;
use crate::ssh::session::Asked;
use crate::ssh::visit::Visit;
use crate::text::login::{Login as LoginText, in_both};
use crate::text::session::Line;
use crate::text::{Lang, Say};

/// Longest TERM that is passed on.
const MAX_TERM: usize = 64;
/// Longest name of an X11 authentication protocol, and longest cookie.
const MAX_X11: usize = 256;

impl Handler for Connection {
    type Error = Error;

    fn config_for(&self, client_id: &[u8]) -> Option<Arc<RusshConfig>> {
        self.gateway.offer.for_client(client_id)
    }

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
        let (gateway, channels) = (self.gateway.clone(), self.channels.clone());
        let visit = Visit::new(gateway, guest.clone(), channels, session.handle());
        self.remote = Some(Arc::new(Remote::new(Arc::new(visit))));
        self.seat = self.gateway.seats.take(guest.identity.user().clone());
        if self.seat.is_none() {
            let words = Line::TooManyConnections.say(Lang::default());
            return session.disconnect(Disconnect::TooManyConnections, &words, "");
        }
        session.notify(ANNOUNCE, &announcement(&self.gateway.offer.all.keys))
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
            remote.visit.note_forward("from the container", &spot.to_string());
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
        let is_sane = protocol.len() <= MAX_X11 && cookie.len() <= MAX_X11;
        let (protocol, cookie) = (protocol.to_owned(), cookie.to_owned());
        let done = is_sane
            && self.allows(|permissions| permissions.x11_forwarding)
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

fn answer(done: bool, channel: ChannelId, session: &mut Session) -> Result<(), Error> {
    if done { session.channel_success(channel) } else { session.channel_failure(channel) }
}

fn size(columns: u32, rows: u32, width: u32, height: u32) -> WindowSize {
    let clamp = |value| u16::try_from(value).unwrap_or(u16::MAX);
    WindowSize { columns: clamp(columns), rows: clamp(rows), width: clamp(width), height: clamp(height) }
}
