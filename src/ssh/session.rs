//! A session channel from its first request to its end.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::inbox::Inbox;
use super::landing::{First, Landing, land};
use super::outgoing::Outgoing;
use super::remote::{Remote, X11};
use super::visit::{Visit, in_words};
use super::{charter_session, menu_session, pump, shell_session, typed};
use crate::agent::protocol::{Program, Pty, Spawn};
use crate::bridge::{self, AgentAddress, BridgeError, Exit};
use crate::error_chain::in_full;
use crate::frontdoor::{self, AdminCommand, Caller, Command, QueueCommand, Wants, admin};
use crate::reservation::{Cause, Refusal, Target, UserName};
use crate::seats::Seat;
use crate::text::admin::Admin;
use crate::text::session::{AgentTrouble, Line};
use crate::text::{Lang, Say, printable};
use crate::workspace::{Container, Lease};

/// Pictures of a watch that wait for the client's window.
const PICTURES: usize = 2;

/// What a session asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    Shell,
    Exec(Vec<u8>),
    Sftp,
}

impl Asked {
    /// For the audit log: what kind of thing, never which command.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Exec(command) if frontdoor::split_command_line(command).is_some() => "front door",
            Self::Exec(_) => "exec",
            Self::Sftp => "sftp",
        }
    }
}

pub(super) struct Session {
    pub(super) remote: Arc<Remote>,
    pub(super) lang: Lang,
    pub(super) pty: Option<Pty>,
    pub(super) env: Vec<(String, String)>,
    pub(super) wants_agent: bool,
    pub(super) x11: Option<X11>,
    pub(super) outgoing: Outgoing,
    pub(super) inbox: Arc<Inbox>,
}

impl Session {
    pub(super) fn visit(&self) -> &Visit {
        &self.remote.visit
    }

    /// Serves the channel until it is over or gone.
    pub(super) async fn run(mut self, asked: Asked) {
        let inbox = self.inbox.clone();
        tokio::select! {
            () = self.serve(asked) => {}
            () = inbox.closed() => {}
        }
        self.visit().channels.remove(self.outgoing.id());
    }

    async fn serve(&mut self, asked: Asked) {
        let door = match &asked {
            Asked::Exec(command) => frontdoor::split_command_line(command),
            _ => None,
        };
        let first = self.first(&asked, door.as_deref());
        if matches!(first, First::TerminalShell | First::Menu)
            && !self.may_enter(is_plain(door.as_deref())).await
        {
            return;
        }
        let target = match &self.visit().guest.login.target {
            Ok(target) => target.clone(),
            Err(word) => return self.refuse(&Refusal::UnknownMachine(word.clone())).await,
        };
        let lease = self.visit().gateway.workspaces.lease(self.visit().guest.identity.user(), &target);
        let has_reservation = matches!(lease, Ok(Some(_)));
        match land(first, has_reservation, self.visit().channels.menu_is_open()) {
            Landing::Door => self.answer(&door.unwrap_or_default()).await,
            Landing::Menu => self.menu(lease.err(), is_plain(door.as_deref())).await,
            Landing::BehindMenu => self.refuse(&Refusal::MenuIsOpen).await,
            Landing::Container | Landing::Reserve => match self.container(lease, target).await {
                Ok(container) => self.process(container, asked, self.pty.clone()).await,
                Err(refusal) => self.refuse(&refusal).await,
            },
        }
    }

    fn first(&self, asked: &Asked, door: Option<&[String]>) -> First {
        match (asked, door) {
            (_, Some([word, ..])) if word == "menu" && self.pty.is_some() => First::Menu,
            (_, Some(_)) => First::Door,
            (Asked::Shell, None) if self.pty.is_some() => First::TerminalShell,
            _ => First::Other,
        }
    }

    async fn container(
        &self,
        lease: Result<Option<Lease>, Refusal>,
        target: Target,
    ) -> Result<Container, Refusal> {
        let lease = match lease? {
            Some(lease) => lease,
            None => self.visit().gateway.workspaces.reserve(
                &self.visit().guest.identity,
                target,
                Cause::Automatic,
            )?,
        };
        lease.ready().await
    }

    /// Who has a terminal and has not accepted the charter is shown it first.
    async fn may_enter(&self, plain: bool) -> bool {
        let Some(pty) = &self.pty else { return true };
        if self.visit().gateway.door.charter.is_accepted(self.visit().guest.identity.user()) {
            return true;
        }
        let Some(_seat) = self.menu_seat().await else { return false };
        charter_session::ask(self, pty, plain).await
    }

    async fn answer(&self, words: &[String]) {
        let guest = &self.visit().guest;
        let caller = Caller::Client { who: guest.identity.clone(), from: guest.peer.client.ip() };
        let command = frontdoor::parse(words);
        if let Ok(Command::Admin { admin: AdminCommand::Watch, json }) = command {
            return self.watch(&caller, json).await;
        }
        // Where a newer gateway has taken over, a place is all that can be had on this connection.
        if let Ok(Command::Queue { queue: QueueCommand::Wait(target), json }) = &command
            && self.visit().gateway.workspaces.heir().await.is_none()
        {
            return self.wait_in_queue(&caller, target.clone(), *json).await;
        }
        let wants = command.map_or(Wants::Nothing, |command| command.wants());
        let Some(input) = typed::read(self, wants).await else {
            return self.outgoing.finish(&Exit::Status(1)).await;
        };
        let answer = frontdoor::run(&self.visit().gateway.door, &caller, words, &input, self.lang).await;
        let _ = self.outgoing.stdout(self.lines(answer.stdout)).await;
        let _ = self.outgoing.stderr(self.lines(answer.stderr)).await;
        self.outgoing.finish(&Exit::Status(answer.status)).await;
    }

    /// An administrator's view that goes on until they leave: end of input, or a key on a terminal.
    async fn watch(&self, caller: &Caller, as_json: bool) {
        let (tell, mut told) = mpsc::channel(PICTURES);
        let watching = admin::watch(&self.visit().gateway.door, caller, as_json, self.lang, tell);
        let showing = async {
            while let Some(picture) = told.recv().await {
                if self.outgoing.stdout(self.lines(picture)).await.is_err() {
                    return;
                }
            }
        };
        let leaving = async {
            match self.pty {
                Some(_) => drop(self.inbox.next().await),
                // A program that closes its input wants to go on reading.
                None => std::future::pending().await,
            }
        };
        let allowed = tokio::select! {
            allowed = watching => allowed,
            () = showing => true,
            () = leaving => true,
        };
        if !allowed {
            let _ = self.outgoing.stderr(self.lines(Admin::NotAdmin.say(self.lang) + "\n")).await;
        }
        self.outgoing.finish(&Exit::Status(u8::from(!allowed))).await;
    }

    /// On a terminal nobody else turns line feeds into new lines.
    pub(super) fn lines(&self, text: String) -> String {
        if self.pty.is_some() { text.replace('\n', "\r\n") } else { text }
    }

    /// A screen that we draw for the user takes one of their seats; without one they are told.
    async fn menu_seat(&self) -> Option<Seat<UserName>> {
        let visit = self.visit();
        let seat = visit.gateway.menus.take(visit.guest.identity.user().clone());
        if seat.is_none() {
            self.outgoing.refuse(&Line::TooManyMenus.say(self.lang)).await;
        }
        seat
    }

    async fn menu(&mut self, notice: Option<Refusal>, plain: bool) {
        let Some(pty) = self.pty.clone() else { return };
        let Some(seat) = self.menu_seat().await else { return };
        let choice = menu_session::choose(self, &pty, notice, plain).await;
        drop(seat);
        self.lang = choice.lang;
        match choice.container {
            // The terminal may have been resized while the menu was on it.
            Some((container, size)) => {
                let pty = Pty { size, ..pty };
                self.process(container, Asked::Shell, Some(pty)).await;
            }
            None => self.outgoing.finish(&Exit::Status(0)).await,
        }
    }

    async fn process(&self, container: Container, asked: Asked, pty: Option<Pty>) {
        let slot = container.reservation.slot.clone();
        if asked == Asked::Shell && pty.is_some() {
            self.welcome(&container).await;
        }
        let over = CancellationToken::new();
        let _ends = over.clone().drop_guard();
        let mut spawn = self.spawn(asked, pty);
        spawn.env.extend(self.lent(&container.agent, over).await);
        let exit = match self.carry(&container, spawn).await {
            Ok(exit) => exit,
            Err(error) => return self.refuse_by_agent(&container, &error).await,
        };
        let Some(exit) = exit else { return };
        if exit == Exit::Lost {
            let words = Line::ContainerEnded(&slot).say(self.lang);
            let _ = self.outgoing.stderr(format!("{words}\r\n")).await;
        }
        self.outgoing.finish(&exit).await;
    }

    async fn carry(&self, container: &Container, spawn: Spawn) -> Result<Option<Exit>, BridgeError> {
        let keeps = self.visit().gateway.config.reservation.keep_shells > 0;
        match &spawn {
            Spawn { program: Program::Shell, pty: Some(pty), .. } if keeps => {
                shell_session::run(self, container, pty.clone(), spawn).await
            }
            _ => {
                let process = bridge::spawn(&container.agent, spawn).await?;
                Ok(pump::process(process, &self.outgoing, &self.inbox).await)
            }
        }
    }

    async fn welcome(&self, container: &Container) {
        let reservation = &container.reservation;
        let left = reservation.left(Timestamp::now());
        let mut text = String::new();
        if let Some(motd) = &self.visit().gateway.config.cluster.motd {
            text.push_str(&printable(motd));
            text.push_str("\r\n");
        }
        text.push_str(&Line::Welcome { slot: &reservation.slot, left }.say(self.lang));
        text.push_str("\r\n");
        let limits =
            frontdoor::usage::limits(&self.visit().gateway.door.workspaces, &reservation.slot, self.lang);
        if !limits.is_empty() {
            text.push_str(&limits);
            text.push_str("\r\n");
        }
        if let Some(password) = &container.password {
            text.push_str(&Line::Password(password).say(self.lang));
            text.push_str("\r\n");
        }
        let _ = self.outgoing.stdout(text).await;
    }

    /// What the client lends for this session: its ssh-agent, its display.
    async fn lent(&self, container: &AgentAddress, over: CancellationToken) -> Vec<(String, String)> {
        let mut variables = Vec::new();
        if self.wants_agent
            && let Some(path) = self.remote.agent_socket(container).await
        {
            variables.push(("SSH_AUTH_SOCK".to_owned(), path));
        }
        if let Some(x11) = self.x11.clone()
            && let Some(display) = self.remote.display(container, x11, over).await
        {
            variables.push(("DISPLAY".to_owned(), display));
        }
        variables
    }

    fn spawn(&self, asked: Asked, pty: Option<Pty>) -> Spawn {
        let peer = &self.visit().guest.peer;
        let (client, local) = (peer.client, peer.local);
        let mut env = self.env.clone();
        env.push(("SSH_CLIENT".into(), format!("{} {} {}", client.ip(), client.port(), local.port())));
        env.push((
            "SSH_CONNECTION".into(),
            format!("{} {} {} {}", client.ip(), client.port(), local.ip(), local.port()),
        ));
        let program = match asked {
            Asked::Shell => Program::Shell,
            Asked::Exec(command) => Program::Exec(command),
            Asked::Sftp => Program::Sftp,
        };
        // sftp is bytes even where the client forced a terminal (scp on macOS with RequestTTY).
        let pty = pty.filter(|_| program != Program::Sftp);
        Spawn { program, pty, env }
    }

    pub(super) async fn refuse(&self, refusal: &Refusal) {
        let words = in_words(refusal, self.lang);
        if let Some(unsaid) = self.visit().log() {
            tracing::info!(user = %self.visit().guest.identity.user(), ?refusal, unsaid, "refused");
        }
        self.outgoing.refuse(&words).await;
    }

    async fn refuse_by_agent(&self, container: &Container, error: &BridgeError) {
        let slot = &container.reservation.slot;
        if let Some(unsaid) = self.visit().log() {
            let user = self.visit().guest.identity.user();
            tracing::warn!(%slot, %user, unsaid, "agent: {}", in_full(error));
        }
        let trouble = match error {
            BridgeError::Unreachable(_) | BridgeError::Timeout => AgentTrouble::Silent,
            BridgeError::Protocol(_) => AgentTrouble::Odd,
            BridgeError::Refused { detail, .. } => AgentTrouble::Refused(detail),
        };
        self.outgoing.refuse(&Line::AgentFailed { slot, trouble }.say(self.lang)).await;
    }
}

/// Is the menu asked for in lines?
fn is_plain(door: Option<&[String]>) -> bool {
    door.is_some_and(|words| words.iter().any(|word| word == "--plain"))
}
