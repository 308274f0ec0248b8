//! Administrators' commands, over SSH and over the host's local socket. Every act is in the audit log.

use jiff::Timestamp;
use serde_json::json;
use tokio::sync::mpsc::Sender;

use super::admin_words::{AdminCommand, UserCommand, Whom};
use super::{Answer, Caller, FrontDoor, facts};
use crate::audit::{Event, Outcome};
use crate::auth::{OwnError, check_new_password};
use crate::error_chain::in_full;
use crate::reservation::{MachineName, Reservation, State};
use crate::store::{Ledger, Origin, StoreError, UserRecord};
use crate::text::account::Account;
use crate::text::admin::Admin;
use crate::text::queue;
use crate::text::{Lang, Say};

/// A caller who has been found to be an administrator: only [`permit`] makes one.
struct Permit {
    admin: String,
}

/// Still one? Asked at every command: a connection may be older than a decision.
async fn permit(door: &FrontDoor, caller: &Caller) -> Option<Permit> {
    match caller {
        Caller::Host => Some(Permit { admin: "root (local socket)".into() }),
        Caller::Client { who, .. } if door.auth.is_admin(who).await => {
            Some(Permit { admin: who.user().to_string() })
        }
        Caller::Client { .. } | Caller::Inside(_) => None,
    }
}

/// What came of an act, for the caller.
type Done = Result<Answer, String>;

pub(super) async fn run(
    door: &FrontDoor,
    caller: &Caller,
    command: AdminCommand,
    input: &[String],
    as_json: bool,
    lang: Lang,
) -> Answer {
    let (act, target) = described(&command);
    let Some(permit) = permit(door, caller).await else {
        note(door, caller.name(), &act, &target, Outcome::Refused);
        return refused(&Admin::NotAdmin, lang);
    };
    let outcome = perform(door, command, input, as_json, lang).await;
    let done = matches!(&outcome, Ok(answer) if answer.status == 0);
    note(door, permit.admin, &act, &target, if done { Outcome::Ok } else { Outcome::Refused });
    outcome.unwrap_or_else(|detail| refused(&Admin::Failed(&detail), lang))
}

fn note(door: &FrontDoor, admin: String, act: &str, target: &str, outcome: Outcome) {
    door.audit.note(Event::Admin { admin, act: act.to_owned(), target: target.to_owned(), outcome });
}

async fn perform(
    door: &FrontDoor,
    command: AdminCommand,
    input: &[String],
    as_json: bool,
    lang: Lang,
) -> Done {
    match command {
        AdminCommand::Help => Ok(Answer { stdout: Admin::Help.say(lang), ..Answer::default() }),
        // A watch that comes here has nobody to go on telling: one picture is what it gets.
        AdminCommand::List | AdminCommand::Watch => Ok(Answer::out(list(door, as_json, lang))),
        AdminCommand::Message { to, words } => Ok(message(door, &to, &words, as_json, lang).await),
        AdminCommand::End(whom) => Ok(end(door, &whom, as_json, lang)),
        AdminCommand::Drain { machine, draining } => drain(door, &machine, draining, as_json, lang).await,
        AdminCommand::User(command) => user(door, command, input, as_json, lang).await,
    }
}

/// Machines and who works where.
fn list(door: &FrontDoor, as_json: bool, lang: Lang) -> String {
    let now = Timestamp::now();
    let (view, held) =
        door.workspaces.desk().read(|book| (book.view(now), book.held().cloned().collect::<Vec<_>>()));
    let seen = door.workspaces.usage().picture();
    if as_json {
        let mut machines = json!(view.machines);
        super::usage::add_to_slots(&mut machines, &seen, true);
        let reservation = |r: &Reservation| {
            let mut facts = facts(r, now);
            if let Some(facts) = facts.as_object_mut() {
                facts.insert("user".into(), json!(r.user));
            }
            facts
        };
        let held: Vec<_> = held.iter().map(reservation).collect();
        return json!({ "now": now, "machines": machines, "reservations": held, "queue": view.queue })
            .to_string();
    }
    let mut lines = vec![super::machine_lines(&view, &seen, lang).join("\n"), String::new()];
    let line = |r: &Reservation| {
        let state = match r.state {
            State::Starting => "starting",
            State::Active => "active",
            State::Ending(_) => "ending",
        };
        Admin::Held { slot: &r.slot, user: &r.user, state, left: r.left(now) }.say(lang)
    };
    match held.as_slice() {
        [] => lines.push(Admin::NobodyWorks.say(lang)),
        held => lines.extend(held.iter().map(line)),
    }
    if !view.queue.is_empty() {
        lines.push(String::new());
        lines.extend(view.queue.iter().map(|waiting| queue::Line::Other { waiting, now }.say(lang)));
    }
    lines.join("\n")
}

/// Tells the list, and again at every change, until nobody listens. False for who may not.
pub async fn watch(
    door: &FrontDoor,
    caller: &Caller,
    as_json: bool,
    lang: Lang,
    tell: Sender<String>,
) -> bool {
    let Some(permit) = permit(door, caller).await else {
        note(door, caller.name(), "watch", "", Outcome::Refused);
        return false;
    };
    note(door, permit.admin, "watch", "", Outcome::Ok);
    let mut changes = door.workspaces.desk().changes();
    loop {
        changes.mark_unchanged();
        let gap = if as_json { "\n" } else { "\n\n" };
        if tell.send(list(door, as_json, lang) + gap).await.is_err() {
            return true;
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return true },
            () = tell.closed() => return true,
        }
    }
}

fn held(door: &FrontDoor, whom: &Whom) -> Vec<Reservation> {
    let is_meant = |r: &&Reservation| match whom {
        Whom::All => true,
        Whom::User(user) => r.user == *user,
        Whom::Slot(slot) => r.slot == *slot,
    };
    door.workspaces
        .desk()
        .read(|book| book.held().filter(|r| r.is_live()).filter(is_meant).cloned().collect())
}

async fn message(door: &FrontDoor, to: &Whom, words: &str, as_json: bool, lang: Lang) -> Answer {
    let meant = held(door, to);
    // Whose terminals they are is known, their language is not.
    let count = door.workspaces.say(&meant, &Admin::Message(words).say(Lang::default())).await;
    if count == 0 && *to != Whom::All {
        return refused(&Admin::NoSuchReservation(&whom_word(to)), lang);
    }
    done(as_json, &json!({ "said_in": count }), &Admin::Messaged(count), lang)
}

fn end(door: &FrontDoor, whom: &Whom, as_json: bool, lang: Lang) -> Answer {
    let meant = held(door, whom);
    let ended = meant.first().and_then(|reservation| door.workspaces.end_by_admin(&reservation.id));
    match ended {
        Some(was) => {
            let fact = json!({ "ended": was.slot, "user": was.user, "id": was.id });
            done(as_json, &fact, &Admin::Ended { slot: &was.slot, user: &was.user }, lang)
        }
        None => match whom {
            // Who has nothing to end may wait for something.
            Whom::User(user) if door.workspaces.leave_queue(user).is_ok() => {
                let said = queue::Line::Removed { user }.say(lang);
                let fact = json!({ "dequeued": user }).to_string();
                Answer::out(if as_json { fact } else { said })
            }
            _ => refused(&Admin::NoSuchReservation(&whom_word(whom)), lang),
        },
    }
}

async fn drain(door: &FrontDoor, machine: &MachineName, draining: bool, as_json: bool, lang: Lang) -> Done {
    if !door.workspaces.set_draining(machine, draining).await.map_err(|e| in_full(&e))? {
        return Ok(refused(&Admin::NoSuchMachine(machine), lang));
    }
    let words = if draining { Admin::Drained(machine) } else { Admin::Undrained(machine) };
    Ok(done(as_json, &json!({ "machine": machine, "draining": draining }), &words, lang))
}

async fn user(door: &FrontDoor, command: UserCommand, input: &[String], as_json: bool, lang: Lang) -> Done {
    let password = input.first().filter(|line| !line.is_empty()).cloned();
    let hash = match (&command, password) {
        (UserCommand::Password(_), None) => return Ok(refused(&Admin::NeedsPassword, lang)),
        (UserCommand::Password(_) | UserCommand::Add(_), Some(password)) => {
            match new_hash(door, password).await {
                Ok(hash) => Some(hash),
                Err(error) => return Ok(refused_own(&error, lang)),
            }
        }
        _ => None,
    };
    let said = door.ledger.run(move |ledger| change_user(ledger, command, hash.as_deref(), as_json));
    said.await.map(Answer::out).map_err(|e| in_full(&e))
}

async fn new_hash(door: &FrontDoor, password: String) -> Result<String, OwnError> {
    check_new_password(&password, None)?;
    door.auth.hash(password).await
}

/// Done in the ledger; says what was done. Names only: the same in both languages.
fn change_user(
    ledger: &Ledger,
    command: UserCommand,
    hash: Option<&str>,
    as_json: bool,
) -> Result<String, StoreError> {
    let (name, said) = match command {
        UserCommand::List => return list_users(ledger, as_json),
        UserCommand::Add(name) => {
            let uid = ledger.add_user(&name, hash, Timestamp::now())?;
            (name, format!("added, user id {uid}"))
        }
        UserCommand::Password(name) => {
            ledger.set_password(&name, hash.unwrap_or_default())?;
            (name, "password set".to_owned())
        }
        UserCommand::Remove(name) => {
            ledger.remove_user(&name)?;
            (name, "removed".to_owned())
        }
        UserCommand::Admin(name, on) => {
            ledger.set_admin(&name, on)?;
            (name, format!("admin {}", if on { "on" } else { "off" }))
        }
        UserCommand::Disable(name, disabled) => {
            ledger.set_disabled(&name, disabled)?;
            (name, if disabled { "disabled" } else { "enabled" }.to_owned())
        }
        UserCommand::Expire(name, when) => {
            ledger.set_expires(&name, when)?;
            (name, when.map_or_else(|| "never expires".to_owned(), |when| format!("expires {when}")))
        }
        UserCommand::TotpOff(name) => {
            ledger.forget_totp(&name)?;
            (name, "second factor removed".to_owned())
        }
    };
    Ok(if as_json { json!({ "user": name, "done": said }).to_string() } else { format!("{name}: {said}") })
}

fn list_users(ledger: &Ledger, as_json: bool) -> Result<String, StoreError> {
    let users = ledger.users()?;
    if as_json {
        let fact = |user: &UserRecord| {
            json!({ "user": user.name, "uid": user.uid, "admin": user.admin, "disabled": user.disabled,
                "expires": user.expires, "password": user.password.is_some(), "totp": user.totp.is_some(),
                "directory": user.origin == Origin::Directory, "created": user.created })
        };
        return Ok(serde_json::Value::from(users.iter().map(fact).collect::<Vec<_>>()).to_string());
    }
    Ok(users.iter().map(user_line).collect::<Vec<_>>().join("\n"))
}

/// One user as lists show them.
#[must_use]
pub fn user_line(user: &UserRecord) -> String {
    let mut marks = vec![match (user.origin, user.password.is_some()) {
        (Origin::Directory, _) => "directory".to_owned(),
        (Origin::Local, true) => "password".to_owned(),
        (Origin::Local, false) => "-".to_owned(),
    }];
    let flags = [(user.admin, "admin"), (user.totp.is_some(), "totp"), (user.disabled, "DISABLED")];
    marks.extend(flags.iter().filter(|(on, _)| *on).map(|(_, mark)| (*mark).to_owned()));
    marks.extend(user.expires.map(|time| format!("expires {time}")));
    format!("{:<20} {:>6}  {}  added {}", user.name, user.uid, marks.join(" "), user.created)
}

fn whom_word(whom: &Whom) -> String {
    match whom {
        Whom::All => "all".into(),
        Whom::User(user) => user.to_string(),
        Whom::Slot(slot) => slot.to_string(),
    }
}

/// An act and what it is done to, for the audit log.
fn described(command: &AdminCommand) -> (String, String) {
    let (act, target) = match command {
        AdminCommand::Help => ("help", String::new()),
        AdminCommand::List => ("list", String::new()),
        AdminCommand::Watch => ("watch", String::new()),
        AdminCommand::Message { to, .. } => ("message", whom_word(to)),
        AdminCommand::End(whom) => ("end", whom_word(whom)),
        AdminCommand::Drain { machine, draining: true } => ("drain", machine.to_string()),
        AdminCommand::Drain { machine, draining: false } => ("undrain", machine.to_string()),
        AdminCommand::User(command) => match command {
            UserCommand::List => ("user list", String::new()),
            UserCommand::Add(name) => ("user add", name.to_string()),
            UserCommand::Password(name) => ("user password", name.to_string()),
            UserCommand::Remove(name) => ("user remove", name.to_string()),
            UserCommand::Admin(name, true) => ("user admin on", name.to_string()),
            UserCommand::Admin(name, false) => ("user admin off", name.to_string()),
            UserCommand::Disable(name, true) => ("user disable", name.to_string()),
            UserCommand::Disable(name, false) => ("user enable", name.to_string()),
            UserCommand::Expire(name, _) => ("user expire", name.to_string()),
            UserCommand::TotpOff(name) => ("user totp off", name.to_string()),
        },
    };
    (act.to_owned(), target)
}

fn done(as_json: bool, fact: &serde_json::Value, words: &Admin<'_>, lang: Lang) -> Answer {
    Answer::out(if as_json { fact.to_string() } else { words.say(lang) })
}

fn refused(words: &Admin<'_>, lang: Lang) -> Answer {
    Answer { stderr: words.say(lang) + "\n", status: 1, ..Answer::default() }
}

fn refused_own(error: &OwnError, lang: Lang) -> Answer {
    Answer { stderr: Account::Refused(error).say(lang) + "\n", status: 1, ..Answer::default() }
}
