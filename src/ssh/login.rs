//! The conversation of logging in: which step comes next, and what is told on the way. `auth` decides; russh asks.

use std::borrow::Cow;
use std::net::SocketAddr;

use russh::server::Auth;
use russh::{MethodKind, MethodSet};

use super::landing::Login as Name;
use crate::auth::certificate::Shown;
use crate::auth::{Attempt, Authenticator, Denial, Half, Identity, Login, totp};
use crate::config::AuthMethod;
use crate::text::login::{Login as Text, in_both};
use crate::text::{Lang, Say};

/// What a connection's client has shown so far.
#[derive(Debug, Default)]
pub(super) struct Talk {
    /// Whose first factor was right.
    half: Option<Half>,
    /// Why the last try came to nothing; told at the next prompt.
    denial: Option<Denial>,
}

/// What follows a step.
pub(super) enum Step {
    /// They are in.
    In(Identity),
    /// This is said to the client.
    Say(Auth),
}

impl Talk {
    /// Method `none`: those whom the tailnet vouches for are in.
    pub(super) async fn none(&mut self, auth: &Authenticator, name: &Name, peer: SocketAddr) -> Step {
        if !auth.allows(AuthMethod::Tailnet) {
            return refuse(auth);
        }
        match auth.tailnet(attempt(name, peer, "tailnet")).await {
            Some(login) => self.after(auth, login),
            None => refuse(auth),
        }
    }

    /// Method `password`. Clients that know only this one cannot be told more than yes or no.
    pub(super) async fn password(
        &mut self,
        auth: &Authenticator,
        name: &Name,
        peer: SocketAddr,
        password: &str,
    ) -> Step {
        if !auth.allows(AuthMethod::Password) {
            return refuse(auth);
        }
        let login = auth.password(attempt(name, peer, "password"), password).await;
        self.after(auth, login)
    }

    /// A key whose signature has been verified.
    pub(super) async fn key(
        &mut self,
        auth: &Authenticator,
        name: &Name,
        peer: SocketAddr,
        fingerprint: &str,
    ) -> Step {
        if !auth.allows(AuthMethod::PublicKey) {
            return refuse(auth);
        }
        let login = auth.verified_key(attempt(name, peer, "publickey"), fingerprint).await;
        self.after(auth, login)
    }

    /// A certificate whose signatures have been verified.
    pub(super) async fn certificate(
        &mut self,
        auth: &Authenticator,
        name: &Name,
        peer: SocketAddr,
        shown: &Shown<'_>,
    ) -> Step {
        if !auth.allows(AuthMethod::PublicKey) {
            return refuse(auth);
        }
        let login =
            auth.verified_certificate(attempt(name, peer, "certificate"), shown, shown.authority).await;
        self.after(auth, login)
    }

    /// Keyboard-interactive begins: a prompt for the password, or for the code of who has shown the first factor.
    pub(super) fn ask(&mut self, auth: &Authenticator, name: &Name, peer: SocketAddr) -> Step {
        if let Some(half) = self.half.as_ref().filter(|half| half.user().as_str() == name.user) {
            return Step::Say(code_prompt(half));
        }
        self.half = None;
        if !auth.allows(AuthMethod::Password) {
            return refuse(auth);
        }
        let refused = auth.refused_for(Some(&name.user), peer.ip()).map(Denial::Later);
        if let Some(denial) = refused {
            self.denial = None;
            // Nothing to type: the client shows the words and answers at once.
            return Step::Say(prompt(in_both(&Text::Denied(denial)), None));
        }
        let told = self.denial.take().map(|denial| in_both(&Text::Denied(denial))).unwrap_or_default();
        Step::Say(prompt(told, Some(Text::Password.say(Lang::default()))))
    }

    /// What was typed at the prompt; nothing, when there was none.
    pub(super) async fn answer(
        &mut self,
        auth: &Authenticator,
        name: &Name,
        peer: SocketAddr,
        typed: Option<&str>,
    ) -> Step {
        let Some(typed) = typed else { return refuse(auth) };
        let method = "keyboard-interactive";
        match self.half.take().filter(|half| half.user().as_str() == name.user) {
            Some(half) => {
                let login = auth.code(attempt(name, peer, "code"), half.clone(), typed).await;
                let step = self.after(auth, login);
                if !matches!(step, Step::In(_)) {
                    self.half = Some(half);
                }
                step
            }
            None if auth.allows(AuthMethod::Password) => {
                match auth.password(attempt(name, peer, method), typed).await {
                    // In the middle of a conversation already: the code is its next prompt.
                    Login::Half(half) => {
                        let next = code_prompt(&half);
                        self.half = Some(half);
                        Step::Say(next)
                    }
                    login => self.after(auth, login),
                }
            }
            None => refuse(auth),
        }
    }

    fn after(&mut self, auth: &Authenticator, login: Login) -> Step {
        match login {
            Login::In(identity, _) => Step::In(identity),
            Login::Half(half) => {
                self.half = Some(half);
                let next = MethodSet::from([MethodKind::KeyboardInteractive].as_slice());
                Step::Say(Auth::Reject { proceed_with_methods: Some(next), partial_success: true })
            }
            Login::Out(denial) => {
                self.denial = Some(denial);
                refuse(auth)
            }
        }
    }
}

/// All methods may be tried again: the throttle counts, not the list.
fn refuse(auth: &Authenticator) -> Step {
    Step::Say(Auth::Reject { proceed_with_methods: Some(methods(auth)), partial_success: false })
}

/// The methods that are switched on, as the client is told of them.
fn methods(auth: &Authenticator) -> MethodSet {
    let mut kinds = Vec::new();
    if auth.allows(AuthMethod::PublicKey) {
        kinds.push(MethodKind::PublicKey);
    }
    if auth.allows(AuthMethod::Password) {
        kinds.extend([MethodKind::Password, MethodKind::KeyboardInteractive]);
    }
    MethodSet::from(kinds.as_slice())
}

fn attempt<'a>(name: &'a Name, peer: SocketAddr, method: &'static str) -> Attempt<'a> {
    Attempt { name: &name.user, peer, method }
}

fn prompt(instructions: String, prompt: Option<String>) -> Auth {
    let prompts: Vec<(Cow<'static, str>, bool)> =
        prompt.into_iter().map(|text| (Cow::Owned(text), false)).collect();
    Auth::Partial {
        name: Cow::Borrowed(""),
        instructions: Cow::Owned(instructions),
        prompts: Cow::Owned(prompts),
    }
}

fn code_prompt(half: &Half) -> Auth {
    let text = match half.to_enrol() {
        Some(secret) => {
            let uri = totp::uri("clusteria", half.user().as_str(), secret);
            Text::Enrol { uri: &uri, secret }.say(Lang::default())
        }
        None => Text::Code.say(Lang::default()),
    };
    prompt(String::new(), Some(text))
}
