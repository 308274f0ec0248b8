//! The menu on a terminal: feeds it keys and pictures, sends what it draws, performs its actions.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use tokio::time::{Instant, sleep, sleep_until};

use super::menu_errands as errands;
use super::outgoing::Gone;
use super::session::Session;
use super::visit::in_words;
use crate::agent::protocol::{Control, Pty, WindowSize};
use crate::config::AuthMethod;
use crate::engine::Stage;
use crate::frontdoor;
use crate::menu::{Action, ESCAPE_PAUSE, Event, Face, Facts, Model, Palette, update};
use crate::reservation::{Cause, Refusal, SlotId, Target};
use crate::text::mine::Mine;
use crate::text::session::Line;
use crate::text::{Lang, Say, printable, queue};
use crate::workspace::{Container, Lease};

/// The times left on the screen grow old.
const REFRESH: Duration = Duration::from_secs(20);
/// Where seconds are shown.
const SECOND: Duration = Duration::from_secs(1);
/// News is drawn no more often: a room full of menus must cost little, and a second is soon enough.
const NEWS_PAUSE: Duration = Duration::from_millis(500);
/// What a container says of itself is asked for again after this time, and sooner while JupyterLab starts.
const FACTS_PAUSE: Duration = Duration::from_secs(20);
const JUPYTER_PAUSE: Duration = Duration::from_secs(2);
/// Who has typed nothing for so long does not watch: for them nobody is asked what they use.
const ATTENTION: Duration = Duration::from_secs(120);
/// Things asked for that are not done yet; more are not begun.
const MOST_ERRANDS: usize = 4;

struct Menu<'a> {
    session: &'a Session,
    model: Model,
    face: Face,
    lease: Option<Lease>,
    /// The one that was reserved here and is not entered yet: it knows its password.
    container: Option<Container>,
    errands: FuturesUnordered<BoxFuture<'a, Vec<Event>>>,
    facts: Option<BoxFuture<'a, Facts>>,
    facts_due: Instant,
    news_due: Instant,
    /// The last tick: whatever else happens, time is shown to go on.
    ticked: Instant,
    /// The last key.
    typed: Instant,
    /// Something has happened since the last picture.
    happened: bool,
    size: WindowSize,
}

/// What the loop heard.
enum Heard {
    Events(Vec<Event>),
    Resized(Control),
    News,
    Used,
    Tick,
    Facts(Facts),
    Step(Option<Option<Stage>>),
    Hangup,
    Stopping,
}

/// How the menu ends.
enum Done {
    Left,
    Stopped,
    Chose(Container),
}

/// What the reader chose: a container and how large the terminal is by now, or nothing; and their language.
pub(super) struct Choice {
    pub(super) container: Option<(Container, WindowSize)>,
    pub(super) lang: Lang,
}

/// Runs the menu until a container is ready to be entered, or the user leaves.
pub(super) async fn choose(session: &Session, pty: &Pty, notice: Option<Refusal>, plain: bool) -> Choice {
    let _open = session.visit().channels.open_menu();
    let mut notices: Vec<String> = notice.iter().map(|refusal| in_words(refusal, session.lang)).collect();
    notices.extend(key_tip(session).await);
    let mut menu = Menu::new(session, pty, notices, plain);
    let entered = menu.face.enter();
    let outcome = match session.outgoing.stdout(entered).await {
        Ok(()) => menu.run().await,
        Err(Gone) => Err(Gone),
    };
    let left = menu.face.leave();
    let _ = session.outgoing.stdout(left).await;
    let lang = menu.model.lang();
    let container = match outcome {
        Ok(Done::Chose(container)) => Some((container, menu.size)),
        Ok(Done::Stopped) => {
            let words = Mine::Restarts.say(lang);
            let _ = session.outgoing.stdout(format!("{words}\r\n")).await;
            None
        }
        Ok(Done::Left) | Err(Gone) => None,
    };
    Choice { container, lang }
}

impl<'a> Menu<'a> {
    fn new(session: &'a Session, pty: &Pty, more: Vec<String>, plain: bool) -> Self {
        let visit = session.visit();
        let user = visit.guest.identity.user();
        let (workspaces, now) = (&visit.gateway.workspaces, Timestamp::now());
        let desk = workspaces.desk();
        let (last, missed, mine) = desk.read(|book| {
            (book.last_of(user).cloned(), book.queue().missed().get(user).cloned(), book.of(user).cloned())
        });
        let mut notices: Vec<String> =
            visit.gateway.config.cluster.motd.iter().map(|m| printable(m)).collect();
        notices.extend(last.map(|ended| Line::LastEnded(&ended).say(session.lang)));
        notices.extend(missed.map(|missed| queue::Line::MissedTurn(&missed).say(session.lang)));
        notices.extend(mine.and_then(|mine| frontdoor::ends_soon(workspaces, &mine, now, session.lang)));
        notices.extend(more);
        let notice = (!notices.is_empty()).then(|| notices.join("\n"));
        let picture = visit.gateway.door.board.look(desk, now);
        Self {
            session,
            model: Model::new(picture, user, session.lang).with_notice(notice).with_way(visit.way()),
            face: Face::new(pty.size.columns, pty.size.rows, palette(session, pty), plain),
            lease: None,
            container: None,
            errands: FuturesUnordered::new(),
            facts: None,
            facts_due: Instant::now(),
            news_due: Instant::now(),
            ticked: Instant::now(),
            typed: Instant::now(),
            happened: true,
            size: pty.size,
        }
    }

    async fn run(&mut self) -> Result<Done, Gone> {
        let mut changes = self.session.visit().gateway.workspaces.desk().changes();
        let mut used = self.session.visit().gateway.workspaces.usage().changes();
        let mut refund = self.session.outgoing.refund();
        let stopping = &self.session.visit().gateway.door.stopping;
        let mut escape_pending = false;
        self.look_at_use();
        loop {
            let drawn =
                if std::mem::take(&mut self.happened) { self.face.show(&self.model) } else { Vec::new() };
            if !drawn.is_empty() {
                self.session.outgoing.stdout(drawn).await?;
            }
            self.ask_for_facts();
            let (tick_due, news_due) = (self.ticked + self.pace(), self.news_due);
            let heard = tokio::select! {
                chunk = self.session.inbox.next() => match chunk {
                    Some(bytes) => {
                        refund.consumed(bytes.len());
                        escape_pending = bytes.contains(&0x1b);
                        self.typed = Instant::now();
                        self.act(Event::Clock(Timestamp::now()));
                        Heard::Events(self.face.hear(&bytes))
                    }
                    None => Heard::Hangup,
                },
                () = sleep(ESCAPE_PAUSE), if escape_pending => {
                    escape_pending = false;
                    Heard::Events(self.face.pause())
                }
                control = self.session.inbox.next_control() => Heard::Resized(control),
                () = async { sleep_until(news_due).await; let _ = changes.changed().await; } => Heard::News,
                Ok(()) = used.changed() => Heard::Used,
                () = sleep_until(tick_due) => Heard::Tick,
                () = stopping.cancelled() => Heard::Stopping,
                Some(events) = self.errands.next() => Heard::Events(events),
                facts = asked(&mut self.facts) => Heard::Facts(facts),
                step = progress(&mut self.lease) => Heard::Step(step),
            };
            if let Some(done) = self.take(heard) {
                return Ok(done);
            }
        }
    }

    fn take(&mut self, heard: Heard) -> Option<Done> {
        match heard {
            Heard::Hangup => return Some(Done::Left),
            Heard::Stopping => return Some(Done::Stopped),
            Heard::Events(events) => {
                let done = events.into_iter().find_map(|event| self.act(event));
                self.look_at_use();
                return done;
            }
            Heard::Resized(Control::Resize(size)) => {
                self.happened = true;
                self.size = size;
                self.face.resize(size.columns, size.rows);
            }
            Heard::Resized(_) => {}
            Heard::News => {
                self.news_due = Instant::now() + NEWS_PAUSE;
                self.refresh();
            }
            Heard::Used => self.look_at_use(),
            Heard::Tick => {
                self.ticked = Instant::now();
                self.act(Event::Clock(Timestamp::now()));
                self.refresh();
                self.look_at_use();
            }
            Heard::Facts(facts) => {
                self.facts = None;
                self.act(Event::Facts(facts));
                let pause = if self.model.awaits_jupyter() { JUPYTER_PAUSE } else { FACTS_PAUSE };
                self.facts_due = Instant::now() + pause;
            }
            Heard::Step(Some(Some(stage))) => drop(self.act(Event::Progress(stage))),
            Heard::Step(Some(None)) => {}
            Heard::Step(None) => return self.started(),
        }
        None
    }

    /// The lease is decided. What was reserved just now is told about first, with its password.
    fn started(&mut self) -> Option<Done> {
        match self.lease.take()?.outcome() {
            Ok(container) => match container.password.clone() {
                Some(password) => {
                    self.refresh();
                    self.facts_due = Instant::now();
                    self.container = Some(container);
                    self.act(Event::Ready(password))
                }
                None => Some(Done::Chose(container)),
            },
            Err(refusal) => self.fail(&refusal),
        }
    }

    fn pace(&self) -> Duration {
        if self.model.counts_seconds() { SECOND } else { REFRESH }
    }

    fn ask_for_facts(&mut self) {
        if self.model.is_at_mine() && self.facts.is_none() && Instant::now() >= self.facts_due {
            self.facts = Some(Box::pin(errands::facts(self.session.visit())));
        }
    }

    fn refresh(&mut self) {
        let gateway = &self.session.visit().gateway;
        let picture = gateway.door.board.look(gateway.workspaces.desk(), Timestamp::now());
        self.act(Event::Cluster(picture));
    }

    /// What machines use, where it is shown.
    fn look_at_use(&mut self) {
        if self.model.shows_use() {
            let gateway = &self.session.visit().gateway;
            let usage = gateway.workspaces.usage();
            if self.typed.elapsed() < ATTENTION {
                usage.look();
            }
            let uses = gateway.door.board.uses(&usage.machines());
            // Most rounds bring nothing that is worth a picture.
            if uses != *self.model.uses() {
                self.act(Event::Uses(uses));
            }
        }
    }

    fn fail(&mut self, refusal: &Refusal) -> Option<Done> {
        let words = in_words(refusal, self.model.lang());
        self.act(Event::Failed(words))
    }

    /// Tells the model, and performs what it asks for.
    fn act(&mut self, event: Event) -> Option<Done> {
        self.happened = true;
        let visit = self.session.visit();
        let (user, lang) = (visit.guest.identity.user(), self.model.lang());
        match update(&mut self.model, event)? {
            Action::Quit => return Some(Done::Left),
            Action::Reserve(slot) => return self.reserve(slot),
            Action::Enter => return self.enter(),
            Action::Join(target) => return self.join(&target),
            // Not to be in it is as good as having left.
            Action::Leave => drop(visit.gateway.workspaces.leave_queue(user)),
            Action::Cancel => {
                if let Some(lease) = self.lease.take() {
                    visit.gateway.workspaces.give_back(lease);
                }
            }
            Action::StopWaiting => self.lease = None,
            Action::Release => match visit.gateway.workspaces.release(user) {
                Ok(was) => {
                    self.refresh();
                    return self.act(Event::Told(Mine::Released { slot: &was.slot }.say(lang)));
                }
                Err(refusal) => return self.fail(&refusal),
            },
            Action::NewPassword => self.begin(errands::new_password(visit, lang)),
            Action::ShowKeys => self.begin(errands::show_keys(visit, lang)),
            Action::AddKey(text) => {
                self.begin(errands::change_keys(visit, vec!["key".into(), "add".into()], text, lang))
            }
            Action::RemoveKey(fingerprint) => {
                let words = vec!["key".into(), "remove".into(), fingerprint];
                self.begin(errands::change_keys(visit, words, String::new(), lang));
            }
            Action::Speak(lang) => self.begin(errands::speak(visit, lang)),
        }
        None
    }

    fn begin(&self, errand: impl Future<Output = Vec<Event>> + Send + 'a) {
        if self.errands.len() < MOST_ERRANDS {
            self.errands.push(Box::pin(errand));
        }
    }

    fn join(&mut self, target: &Target) -> Option<Done> {
        let visit = self.session.visit();
        match visit.gateway.workspaces.join_queue(&visit.guest.identity, target) {
            // The screen that was drawn at once knows of it at once.
            Ok(()) => self.refresh(),
            Err(refusal) => return self.fail(&refusal),
        }
        None
    }

    fn reserve(&mut self, slot: SlotId) -> Option<Done> {
        let visit = self.session.visit();
        let reserved =
            visit.gateway.workspaces.reserve(&visit.guest.identity, Target::Slot(slot), Cause::Explicit);
        match reserved {
            Ok(lease) => {
                let found = lease.was_found();
                self.lease = Some(lease);
                if found {
                    self.act(Event::Joined);
                }
            }
            Err(refusal) => return self.fail(&refusal),
        }
        None
    }

    fn enter(&mut self) -> Option<Done> {
        let visit = self.session.visit();
        match visit.gateway.workspaces.lease(visit.guest.identity.user(), &Target::Any) {
            Ok(Some(lease)) => {
                let mine = self.container.take();
                if let Some(known) =
                    mine.filter(|known| lease.reservation().is_some_and(|r| r.id == known.reservation.id))
                {
                    return Some(Done::Chose(known));
                }
                self.lease = Some(lease);
                None
            }
            Ok(None) => self.fail(&Refusal::NothingReserved),
            Err(refusal) => self.fail(&refusal),
        }
    }
}

/// What the client's terminal can show, by what it has told of it.
pub(super) fn palette(session: &Session, pty: &Pty) -> Palette {
    let find = |name: &str| session.env.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    let locale = find("LC_ALL").or_else(|| find("LC_CTYPE")).or_else(|| find("LANG")).unwrap_or_default();
    Palette::for_terminal(&pty.term, locale, find("NO_COLOR").is_some_and(|value| !value.is_empty()))
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

/// The lease's next step; without a lease there is none to wait for.
async fn progress(lease: &mut Option<Lease>) -> Option<Option<Stage>> {
    match lease {
        Some(lease) => lease.progress().await,
        None => std::future::pending().await,
    }
}

/// What was asked for, if it was.
async fn asked(facts: &mut Option<BoxFuture<'_, Facts>>) -> Facts {
    match facts {
        Some(facts) => facts.await,
        None => std::future::pending().await,
    }
}
