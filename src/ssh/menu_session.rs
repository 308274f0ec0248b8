//! The menu on a terminal: feeds it keys and pictures, sends what it draws, performs its actions.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::sleep;

use super::outgoing::Gone;
use super::session::Session;
use super::visit::in_words;
use crate::agent::protocol::{Control, Pty, WindowSize};
use crate::config::AuthMethod;
use crate::frontdoor;
use crate::menu::{Action, Event, Key, KeyDecoder, Model, Palette, Screen, update};
use crate::reservation::{Cause, Refusal, SlotId, Target};
use crate::text::session::Line;
use crate::text::{Say, printable, queue};
use crate::workspace::{Container, Lease};

/// A lone ESC and the start of an arrow key look alike: what follows within this time belongs to it.
const ESCAPE_PAUSE: Duration = Duration::from_millis(50);
/// The times left on the screen grow old.
const REFRESH: Duration = Duration::from_secs(20);

struct Menu<'a> {
    session: &'a Session,
    model: Model,
    screen: Screen,
    keys: KeyDecoder,
    lease: Option<Lease>,
    size: WindowSize,
}

/// What the loop heard.
enum Heard {
    Keys(Vec<Key>),
    Resized(Control),
    News,
    Step(Option<Option<crate::engine::Stage>>),
    Hangup,
}

/// Runs the menu until a container is ready, and tells how large the terminal is by then; `None` when the
/// user left.
pub(super) async fn choose(
    session: &Session,
    pty: &Pty,
    notice: Option<Refusal>,
) -> Option<(Container, WindowSize)> {
    let _open = session.visit().channels.open_menu();
    let mut notices: Vec<String> = notice.iter().map(|refusal| refused(session, refusal)).collect();
    notices.extend(key_tip(session).await);
    let mut menu = Menu::new(session, pty, notices);
    let entered = menu.screen.enter();
    let outcome = match session.outgoing.stdout(entered).await {
        Ok(()) => menu.run().await,
        Err(Gone) => return None,
    };
    let left = menu.screen.leave();
    let _ = session.outgoing.stdout(left).await;
    Some((outcome.ok().flatten()?, menu.size))
}

impl<'a> Menu<'a> {
    fn new(session: &'a Session, pty: &Pty, more: Vec<String>) -> Self {
        let user = session.visit().guest.identity.user();
        let desk = session.visit().gateway.workspaces.desk();
        let now = Timestamp::now();
        let (view, mine) = desk.read(|book| (book.view(now), book.of(user).cloned()));
        let (last, missed) =
            desk.read(|book| (book.last_of(user).cloned(), book.queue().missed().get(user).cloned()));
        let mut notices: Vec<String> =
            session.visit().gateway.config.cluster.motd.iter().map(|m| printable(m)).collect();
        notices.extend(last.map(|ended| Line::LastEnded(&ended).say(session.lang)));
        notices.extend(missed.map(|missed| queue::Line::MissedTurn(&missed).say(session.lang)));
        let workspaces = &session.visit().gateway.workspaces;
        notices.extend(mine.and_then(|mine| frontdoor::ends_soon(workspaces, &mine, now, session.lang)));
        notices.extend(more);
        let notice = (!notices.is_empty()).then(|| notices.join("\n"));
        Self {
            session,
            model: Model::new(view, user, session.lang).with_notice(notice),
            screen: Screen::new(pty.size.columns, pty.size.rows, palette(session, pty)),
            keys: KeyDecoder::new(),
            lease: None,
            size: pty.size,
        }
    }

    async fn run(&mut self) -> Result<Option<Container>, Gone> {
        let mut changes = self.session.visit().gateway.workspaces.desk().changes();
        let mut refund = self.session.outgoing.refund();
        let mut escape_pending = false;
        loop {
            let drawn = self.screen.draw(&self.model);
            if !drawn.is_empty() {
                self.session.outgoing.stdout(drawn).await?;
            }
            let heard = tokio::select! {
                chunk = self.session.inbox.next() => match chunk {
                    Some(bytes) => {
                        refund.consumed(bytes.len());
                        escape_pending = bytes.contains(&0x1b);
                        Heard::Keys(self.keys.feed(&bytes))
                    }
                    None => Heard::Hangup,
                },
                () = sleep(ESCAPE_PAUSE), if escape_pending => {
                    escape_pending = false;
                    Heard::Keys(self.keys.flush())
                }
                control = self.session.inbox.next_control() => Heard::Resized(control),
                _ = changes.changed() => Heard::News,
                () = sleep(REFRESH) => Heard::News,
                step = progress(&mut self.lease) => Heard::Step(step),
            };
            match heard {
                Heard::Hangup => return Ok(None),
                Heard::Keys(keys) => {
                    for key in keys {
                        if self.act(Event::Key(key)) {
                            return Ok(None);
                        }
                    }
                }
                Heard::Resized(Control::Resize(size)) => {
                    self.size = size;
                    self.screen.resize(size.columns, size.rows);
                }
                Heard::Resized(_) => {}
                Heard::News => self.refresh(),
                Heard::Step(Some(stage)) => self.show_step(stage.as_ref()),
                Heard::Step(None) => match self.lease.take().map(Lease::outcome) {
                    Some(Ok(container)) => return Ok(Some(container)),
                    Some(Err(refusal)) => self.fail(&refusal),
                    None => {}
                },
            }
        }
    }

    fn refresh(&mut self) {
        let view = self.session.visit().gateway.workspaces.desk().read(|book| book.view(Timestamp::now()));
        self.act(Event::Cluster(view));
    }

    fn show_step(&mut self, stage: Option<&crate::engine::Stage>) {
        if let Some(stage) = stage {
            let words = Line::Starting(stage).say(self.session.lang);
            self.act(Event::Progress(words));
        }
    }

    fn fail(&mut self, refusal: &Refusal) {
        let words = refused(self.session, refusal);
        self.act(Event::Failed(words));
    }

    /// True when the user leaves.
    fn act(&mut self, event: Event) -> bool {
        match update(&mut self.model, event) {
            Some(Action::Quit) => return true,
            Some(Action::Reserve(slot)) => self.reserve(slot),
            Some(Action::Join(target)) => self.join(&target),
            Some(Action::Leave) => {
                let user = self.session.visit().guest.identity.user();
                // Not to be in it is as good as having left.
                let _ = self.session.visit().gateway.workspaces.leave_queue(user);
            }
            Some(Action::Cancel) => {
                self.lease = None;
                // Nothing to release is as good as released.
                let _ = self
                    .session
                    .visit()
                    .gateway
                    .workspaces
                    .release(self.session.visit().guest.identity.user());
            }
            None => {}
        }
        false
    }

    fn join(&mut self, target: &Target) {
        let who = &self.session.visit().guest.identity;
        match self.session.visit().gateway.workspaces.join_queue(who, target) {
            // The screen that was drawn at once knows of it at once.
            Ok(()) => self.refresh(),
            Err(refusal) => self.fail(&refusal),
        }
    }

    fn reserve(&mut self, slot: SlotId) {
        let who = &self.session.visit().guest.identity;
        match self.session.visit().gateway.workspaces.reserve(who, Target::Slot(slot), Cause::Explicit) {
            Ok(lease) => self.lease = Some(lease),
            Err(refusal) => self.fail(&refusal),
        }
    }
}

/// What the client's terminal can show, by what it has told of it.
pub(super) fn palette(session: &Session, pty: &Pty) -> Palette {
    let find = |name: &str| session.env.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    let locale = find("LC_ALL").or_else(|| find("LC_CTYPE")).or_else(|| find("LANG")).unwrap_or_default();
    Palette::for_terminal(&pty.term, locale, find("NO_COLOR").is_some())
}

/// Who types a password and has no key is told how to need none.
async fn key_tip(session: &Session) -> Option<String> {
    let visit = session.visit();
    let who = &visit.guest.identity;
    if who.by() != AuthMethod::Password
        || !who.permissions().enrolment
        || !visit.gateway.auth.allows(AuthMethod::PublicKey)
    {
        return None;
    }
    let keys = visit.gateway.auth.keys(who).await.ok()?;
    keys.is_empty().then(|| Line::KeyTip.say(session.lang))
}

fn refused(session: &Session, refusal: &Refusal) -> String {
    in_words(refusal, session.lang)
}

/// The lease's next step; without a lease there is none to wait for.
async fn progress(lease: &mut Option<Lease>) -> Option<Option<crate::engine::Stage>> {
    match lease {
        Some(lease) => lease.progress().await,
        None => std::future::pending().await,
    }
}
