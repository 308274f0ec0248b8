//! The front-door commands: the same words over SSH (`ssh HOST clusteria status`) and inside containers.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::json;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::audit::Audit;
use crate::auth::{Authenticator, Identity};
use crate::charter::Charter;
use crate::connect::Places;
use crate::handover::Asked;
use crate::languages::Languages;
use crate::menu::Pictures;
use crate::reservation::view::{ClusterView, SlotState};
use crate::reservation::{Cause, Ended, Refusal, Reservation, SlotId, Target, UserName};
use crate::store::Ledger;
use crate::text::agent::Notice;
use crate::text::door::{Door, slot_state};
use crate::text::refusal::Refused;
use crate::text::session::{Line, moment};
use crate::text::usage::brief;
use crate::text::{Lang, Say, printable};
use crate::workspace::usage::Seen;
use crate::workspace::{Container, Workspaces};

pub mod admin;
mod admin_words;
mod ask;
mod idle;
pub mod inside;
mod jupyter;
pub mod local;
mod own;
pub mod queue;
mod shells;
pub(crate) mod usage;
mod words;

pub use jupyter::state as jupyter_state;

pub use admin_words::{AdminCommand, UserCommand, Whom, moment as moment_of};
pub use words::{
    Command, KeyCommand, QueueCommand, TotpCommand, UsageError, Wants, parse, split_command_line,
};

/// What the commands work with. Cheap to clone.
#[derive(Clone)]
pub struct FrontDoor {
    /// Reservations.
    pub workspaces: Workspaces,
    /// Accounts.
    pub auth: Authenticator,
    /// What must be accepted.
    pub charter: Charter,
    /// Where acts are noted.
    pub audit: Audit,
    /// People.
    pub ledger: Ledger,
    /// Who has chosen which language.
    pub languages: Languages,
    /// Where all menus look.
    pub board: Pictures,
    /// The gateway stops: who is at a menu must have their terminal back.
    pub stopping: CancellationToken,
    begun: own::Begun,
}

impl FrontDoor {
    /// Over the rooms it opens.
    #[must_use]
    pub fn new(
        workspaces: Workspaces,
        auth: Authenticator,
        charter: Charter,
        audit: Audit,
        ledger: Ledger,
    ) -> Self {
        let (languages, board, begun) =
            (Languages::open(&ledger), Pictures::default(), own::Begun::default());
        Self {
            workspaces,
            auth,
            charter,
            audit,
            ledger,
            languages,
            board,
            stopping: CancellationToken::new(),
            begun,
        }
    }
}

impl FrontDoor {
    /// Until this token says that the gateway stops.
    #[must_use]
    pub fn until(self, stopping: CancellationToken) -> Self {
        Self { stopping, ..self }
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub enum Caller {
    /// Somebody who has logged in.
    Client {
        /// Who.
        who: Identity,
        /// From where.
        from: IpAddr,
    },
    /// Somebody in a user's container: they can do what needs no proof of who they are.
    Inside(UserName),
    /// Root on the gateway's own host.
    Host,
}

impl Caller {
    /// Whose reservation is meant. Root has none.
    fn user(&self) -> Option<&UserName> {
        match self {
            Self::Client { who, .. } => Some(who.user()),
            Self::Inside(user) => Some(user),
            Self::Host => None,
        }
    }

    fn name(&self) -> String {
        self.user().map_or_else(|| "root".to_owned(), ToString::to_string)
    }
}

/// What a command prints, and its exit status: 0 done, 1 refused, 2 not understood.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// For standard output.
    pub stdout: String,
    /// For standard error.
    pub stderr: String,
    /// Exit status.
    pub status: u8,
}

impl Answer {
    fn out(stdout: String) -> Self {
        Self { stdout: stdout + "\n", ..Self::default() }
    }

    fn refused(refusal: &Refusal, lang: Lang) -> Self {
        let text = Refused { refusal, now: Timestamp::now() }.say(lang);
        Self { stderr: text + "\n", status: 1, ..Self::default() }
    }
}

/// Runs a command for somebody. `input` is what it [`Command::wants`], line by line.
pub async fn run(
    door: &FrontDoor,
    caller: &Caller,
    words: &[String],
    input: &[String],
    lang: Lang,
) -> Answer {
    if let Some(answer) = by_heir(door, caller, words, input, lang).await {
        return answer;
    }
    let command = match parse(words) {
        Ok(command) => command,
        Err(error) => {
            let text = error.say(lang);
            return Answer { stderr: text + "\n", status: 2, ..Answer::default() };
        }
    };
    match command {
        Command::Help => Answer { stdout: Door::Help.say(lang), ..Answer::default() },
        Command::Menu => {
            let text = Line::NeedsTerminal.say(lang);
            Answer { stderr: text + "\n", status: 2, ..Answer::default() }
        }
        Command::Key { key, json } => own::key(door, caller, key, input, json, lang).await,
        Command::AccountPassword => own::password(door, caller, input, lang).await,
        Command::Totp(command) => own::factor(door, caller, command, lang).await,
        Command::SshConfig { json } => ssh_config(door, caller, json),
        Command::Charter => own::charter(door, caller.user(), lang),
        Command::Accept => own::accept(door, caller, lang).await,
        Command::Admin { admin, json } => admin::run(door, caller, admin, input, json, lang).await,
        command => {
            let outcome = about_reservations(&door.workspaces, caller, command, lang).await;
            outcome.unwrap_or_else(|refusal| Answer::refused(&refusal, lang))
        }
    }
}

/// A newer gateway has taken over: what is asked on a connection of ours is its to do.
async fn by_heir(
    door: &FrontDoor,
    caller: &Caller,
    words: &[String],
    input: &[String],
    lang: Lang,
) -> Option<Answer> {
    let Caller::Client { who, from } = caller else { return None };
    let heir = door.workspaces.heir().await?;
    let asked = Asked { who: who.clone(), from: *from, words: words.to_vec(), input: input.to_vec(), lang };
    Some(heir.command(asked).await.unwrap_or_else(|| Answer::refused(&Refusal::ShuttingDown, lang)))
}

async fn about_reservations(
    workspaces: &Workspaces,
    caller: &Caller,
    command: Command,
    lang: Lang,
) -> Result<Answer, Refusal> {
    if let Command::Machines { json } = command {
        return Ok(machines(workspaces, json, lang));
    }
    let user = caller.user().ok_or(Refusal::NothingReserved)?;
    match command {
        Command::Reserve { target, json } => reserve(workspaces, caller, target, json, lang).await,
        Command::Queue { queue: command, json } => queue::run(workspaces, caller, command, json, lang).await,
        Command::Release { json } => release(workspaces, user, json, lang),
        Command::Status { json } => Ok(status(workspaces, user, json, lang).await),
        Command::Password { json } => password(workspaces, caller, json, lang).await,
        _ => Err(Refusal::NothingReserved),
    }
}

/// The lines for one's own computer, and the ways that are in them.
fn ssh_config(door: &FrontDoor, caller: &Caller, as_json: bool) -> Answer {
    let Some(user) = caller.user() else { return Answer { status: 1, ..Answer::default() } };
    let config = door.workspaces.config();
    let places = Places::new(config, None);
    let machines: Vec<_> = config.machines.iter().map(|machine| machine.name.clone()).collect();
    let text = places.ssh_config(user, &machines);
    if as_json {
        let facts = json!({ "ssh": places.shell(user), "scp": places.copy(user),
            "jupyter": places.forward(user), "vscode": places.editor(user), "ssh_config": text });
        return Answer::out(facts.to_string());
    }
    Answer { stdout: text, ..Answer::default() }
}

/// A reservation as JSON, the same everywhere.
pub fn facts(reservation: &Reservation, now: Timestamp) -> serde_json::Value {
    json!({
        "id": reservation.id,
        "slot": reservation.slot,
        "state": match reservation.state {
            crate::reservation::State::Starting => "starting",
            crate::reservation::State::Active => "active",
            crate::reservation::State::Ending(_) => "ending",
        },
        "started": reservation.started,
        "deadline": reservation.deadline,
        "seconds_left": reservation.left(now).as_secs(),
    })
}

/// One more fact.
pub(crate) fn add_fact(facts: &mut serde_json::Value, name: &str, value: serde_json::Value) {
    if let Some(facts) = facts.as_object_mut() {
        facts.insert(name.to_owned(), value);
    }
}

fn mine_and_last(workspaces: &Workspaces, user: &UserName) -> (Option<Reservation>, Option<Ended>) {
    workspaces.desk().read(|book| (book.of(user).cloned(), book.last_of(user).cloned()))
}

/// The container is asked for all at once: one that hangs costs one limit.
async fn known_facts(workspaces: &Workspaces, r: &Reservation) -> serde_json::Value {
    let (jupyter, shells, idle, usage) = tokio::join!(
        jupyter::facts(workspaces, r),
        shells::facts(workspaces, r),
        idle::facts(workspaces, r),
        usage::facts(workspaces, r),
    );
    let mut facts = facts(r, Timestamp::now());
    for (name, value) in jupyter.into_iter().chain([("shells", shells), ("idle", idle)]).chain(usage) {
        add_fact(&mut facts, name, value);
    }
    facts
}

/// What somebody has, and what is known of it: for programs.
pub(crate) async fn status_facts(workspaces: &Workspaces, user: &UserName) -> serde_json::Value {
    let (mine, last) = mine_and_last(workspaces, user);
    let last = last.map(|ended| {
        json!({ "id": ended.id, "slot": ended.slot, "ended": ended.at, "reason": ended.reason,
            "detail": ended.detail })
    });
    let mine = match mine {
        Some(r) => Some(known_facts(workspaces, &r).await),
        None => None,
    };
    let (queue, missed) = queue::facts_of(workspaces, user);
    json!({ "user": user, "reservation": mine, "last": last, "queue": queue, "missed": missed })
}

async fn status(workspaces: &Workspaces, user: &UserName, as_json: bool, lang: Lang) -> Answer {
    if as_json {
        return Answer::out(status_facts(workspaces, user).await.to_string());
    }
    let now = Timestamp::now();
    let (mine, last) = mine_and_last(workspaces, user);
    Answer::out(match mine {
        Some(r) => {
            let until = moment(r.deadline);
            let holding = Door::Holding { slot: &r.slot, state: r.state, left: r.left(now), until: &until };
            let (idle, jupyter, shells, usage) = tokio::join!(
                idle::line(workspaces, &r, lang),
                jupyter::lines(workspaces, &r, lang),
                shells::lines(workspaces, &r, lang),
                usage::lines(workspaces, &r, lang),
            );
            let first = [Some(holding.say(lang)), idle, ends_soon(workspaces, &r, now, lang)];
            let lines = first.into_iter().flatten().chain(jupyter).chain(shells).chain(usage);
            lines.collect::<Vec<_>>().join("\n")
        }
        None => {
            let mut text = Door::Nothing.say(lang);
            if let Some(ended) = last {
                text.push('\n');
                text.push_str(&Line::LastEnded(&ended).say(lang));
            }
            for line in queue::lines_of(workspaces, user, lang) {
                text.push('\n');
                text.push_str(&line);
            }
            text
        }
    })
}

/// What its terminals have been told, from the first warning on.
#[must_use]
pub fn ends_soon(workspaces: &Workspaces, r: &Reservation, now: Timestamp, lang: Lang) -> Option<String> {
    let first = workspaces.config().reservation.warnings.iter().max()?;
    let (slot, left) = (r.slot.to_string(), r.left(now));
    (left <= *first).then(|| Notice::EndsIn { slot: &slot, left }.say(lang))
}

/// Machines, slots, who holds them and what is used there: for programs.
pub(crate) fn machine_facts(workspaces: &Workspaces) -> serde_json::Value {
    let mut view = json!(workspaces.desk().read(|book| book.view(Timestamp::now())));
    if let Some(machines) = view.get_mut("machines") {
        usage::add_to_slots(machines, &workspaces.usage().picture(), false);
    }
    view
}

fn machines(workspaces: &Workspaces, as_json: bool, lang: Lang) -> Answer {
    if as_json {
        return Answer::out(machine_facts(workspaces).to_string());
    }
    let view = workspaces.desk().read(|book| book.view(Timestamp::now()));
    let seen = workspaces.usage().picture();
    Answer::out(machine_lines(&view, &seen, lang).join("\n"))
}

fn machine_lines(view: &ClusterView, seen: &BTreeMap<SlotId, Seen>, lang: Lang) -> Vec<String> {
    let mut lines = Vec::new();
    for machine in &view.machines {
        let label = machine.label.as_deref().map(|l| format!("  {}", printable(l))).unwrap_or_default();
        let free = match &machine.offline {
            Some(reason) => {
                format!("{}: {}", slot_state(&SlotState::Offline, view.now, lang), printable(reason))
            }
            None => Door::Free { free: machine.free(), total: machine.slots.len() }.say(lang),
        };
        lines.push(format!("{:<10} {free}{label}", machine.name));
        for slot in &machine.slots {
            let used =
                seen.get(&slot.id).map(|seen| brief(&seen.usage, lang)).filter(|words| !words.is_empty());
            let used = used.map(|words| format!(" · {words}")).unwrap_or_default();
            lines.push(format!("  {:<10} {}{used}", slot.id, slot_state(&slot.state, view.now, lang)));
        }
    }
    lines
}

async fn reserve(
    workspaces: &Workspaces,
    caller: &Caller,
    target: Target,
    as_json: bool,
    lang: Lang,
) -> Result<Answer, Refusal> {
    let lease = match caller {
        Caller::Client { who, .. } => workspaces.reserve(who, target, Cause::Explicit)?,
        Caller::Inside(user) => workspaces.lease(user, &target)?.ok_or(Refusal::NothingReserved)?,
        Caller::Host => return Err(Refusal::NothingReserved),
    };
    let Container { reservation, password, .. } = lease.ready().await?;
    let now = Timestamp::now();
    if as_json {
        let mut facts = facts(&reservation, now);
        if let Some(password) = &password {
            add_fact(&mut facts, "password", password.reveal().into());
        }
        return Ok(Answer::out(facts.to_string()));
    }
    let until = moment(reservation.deadline);
    let said = Door::Reserved { slot: &reservation.slot, left: reservation.left(now), until: &until };
    let mut lines = vec![said.say(lang)];
    lines.extend(password.map(|password| Line::Password(&password).say(lang)));
    Ok(Answer::out(lines.join("\n")))
}

/// Only for somebody who has proved who they are: what runs in a container has not.
async fn password(
    workspaces: &Workspaces,
    caller: &Caller,
    as_json: bool,
    lang: Lang,
) -> Result<Answer, Refusal> {
    let Caller::Client { who, .. } = caller else {
        let text = Door::PasswordOutsideOnly.say(lang);
        return Ok(Answer { stderr: text + "\n", status: 1, ..Answer::default() });
    };
    let (reservation, password) = workspaces.renew_password(who.user()).await?;
    tracing::info!(user = %reservation.user, reservation = %reservation.id, "new reservation password");
    if as_json {
        let facts = json!({ "id": reservation.id, "password": password.reveal() });
        return Ok(Answer::out(facts.to_string()));
    }
    Ok(Answer::out(Line::Password(&password).say(lang)))
}

fn release(workspaces: &Workspaces, user: &UserName, as_json: bool, lang: Lang) -> Result<Answer, Refusal> {
    let was = workspaces.release(user)?;
    if as_json {
        return Ok(Answer::out(json!({ "released": was.slot, "id": was.id }).to_string()));
    }
    Ok(Answer::out(Door::Released(&was.slot).say(lang)))
}
