//! `clusteria queue`: who waits, a place, and waiting on the line until it is one's turn.

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc::Sender;

use super::words::QueueCommand;
use super::{Answer, Caller, reserve};
use crate::handover::Waits;
use crate::reservation::view::{ClusterView, WaitingView};
use crate::reservation::{Missed, Refusal, Target, UserName};
use crate::text::queue::Line;
use crate::text::{Lang, Say};
use crate::workspace::Workspaces;

/// Everything but [`wait`], which goes on.
pub(super) async fn run(
    workspaces: &Workspaces,
    caller: &Caller,
    command: QueueCommand,
    as_json: bool,
    lang: Lang,
) -> Result<Answer, Refusal> {
    let user = caller.user().ok_or(Refusal::NotQueued)?;
    let waiting = match command {
        QueueCommand::Show => return Ok(show(workspaces, user, as_json, lang)),
        QueueCommand::Join(target) => join(workspaces, caller, target).await?,
        QueueCommand::Wait(target) => join(workspaces, caller, wanted(workspaces, user, target)).await?,
        QueueCommand::Leave => {
            workspaces.queue(Waits::Leaves { user: user.clone() }).await?;
            None
        }
    };
    if as_json {
        return Ok(Answer::out(json!({ "user": user, "waiting": waiting }).to_string()));
    }
    let words = waiting.map(|waiting| mine(&waiting, Timestamp::now(), lang));
    Ok(Answer::out(words.unwrap_or_else(|| Line::Left.say(lang))))
}

async fn join(
    workspaces: &Workspaces,
    caller: &Caller,
    target: Target,
) -> Result<Option<WaitingView>, Refusal> {
    let Caller::Client { who, .. } = caller else {
        // What runs in a container has a reservation, or is about to end.
        return Err(held(workspaces, caller).unwrap_or(Refusal::NotQueued));
    };
    workspaces.queue(Waits::Joins { who: Box::new(who.clone()), target }).await
}

fn held(workspaces: &Workspaces, caller: &Caller) -> Option<Refusal> {
    let mine = workspaces.desk().read(|book| book.of(caller.user()?).cloned())?;
    Some(Refusal::HoldsAnother { slot: mine.slot, deadline: mine.deadline })
}

/// What is waited for: what is asked for, or what is waited for already, or any slot.
pub(crate) fn wanted(workspaces: &Workspaces, user: &UserName, target: Option<Target>) -> Target {
    let known = || workspaces.desk().read(|book| book.queue().get(user).map(|w| w.target.clone()));
    target.or_else(known).unwrap_or_default()
}

fn look(workspaces: &Workspaces, user: &UserName) -> (ClusterView, Option<Missed>) {
    let now = Timestamp::now();
    workspaces.desk().read(|book| (book.view(now), book.queue().missed().get(user).cloned()))
}

/// Who waits, and their own place: for programs.
pub(crate) fn facts(workspaces: &Workspaces, user: &UserName) -> Value {
    let (view, _) = look(workspaces, user);
    json!({ "user": user, "waiting": view.waiting(user), "queue": view.queue })
}

fn show(workspaces: &Workspaces, user: &UserName, as_json: bool, lang: Lang) -> Answer {
    if as_json {
        return Answer::out(facts(workspaces, user).to_string());
    }
    let (view, _) = look(workspaces, user);
    let mut lines: Vec<String> =
        view.queue.iter().map(|waiting| Line::Other { waiting, now: view.now }.say(lang)).collect();
    if lines.is_empty() {
        lines.push(Line::Nobody.say(lang));
    }
    lines.extend(lines_of(workspaces, user, lang));
    if view.waiting(user).is_none() && workspaces.desk().read(|book| book.of(user).is_none()) {
        lines.push(Line::HowToJoin.say(lang));
    }
    Answer::out(lines.join("\n"))
}

/// What somebody's status says of the queue: their place, their turn, or that it has passed.
pub(super) fn lines_of(workspaces: &Workspaces, user: &UserName, lang: Lang) -> Vec<String> {
    let (view, missed) = look(workspaces, user);
    match (view.waiting(user), missed) {
        (Some(waiting), _) => vec![mine(waiting, view.now, lang)],
        (None, Some(missed)) => vec![Line::MissedTurn(&missed).say(lang)],
        (None, None) => Vec::new(),
    }
}

/// The same as facts.
pub(super) fn facts_of(workspaces: &Workspaces, user: &UserName) -> (Value, Value) {
    let (view, missed) = look(workspaces, user);
    let missed = missed.map(|missed| json!({ "slot": missed.slot, "at": missed.at }));
    (json!(view.waiting(user)), json!(missed))
}

fn mine(waiting: &WaitingView, now: Timestamp, lang: Lang) -> String {
    let said = Line::Mine { waiting, now }.say(lang);
    if waiting.held.is_some() { format!("{said} {}", Line::TakeTurn.say(lang)) } else { said }
}

/// Joins, tells of every change, and reserves when it is their turn. Whoever hangs up keeps the place.
///
/// # Errors
/// Any [`Refusal`] of joining or reserving; [`Refusal::NotQueued`] for who has been taken out meanwhile.
pub async fn wait(
    workspaces: &Workspaces,
    caller: &Caller,
    target: Option<Target>,
    as_json: bool,
    lang: Lang,
    tell: Sender<String>,
) -> Result<Answer, Refusal> {
    let user = caller.user().ok_or(Refusal::NotQueued)?;
    let mut changes = workspaces.desk().changes();
    join(workspaces, caller, wanted(workspaces, user, target)).await?;
    let mut last = None;
    loop {
        changes.mark_unchanged();
        let (view, _) = look(workspaces, user);
        let Some(waiting) = view.waiting(user) else {
            // Another connection of theirs has taken the turn: that is as good.
            let mine = workspaces.desk().read(|book| book.of(user).map(|r| Target::Slot(r.slot.clone())));
            return reserve(workspaces, caller, mine.ok_or(Refusal::NotQueued)?, as_json, lang).await;
        };
        if let Some(held) = &waiting.held {
            let taken = reserve(workspaces, caller, Target::Slot(held.slot.clone()), as_json, lang).await;
            // Its machine may have gone in this moment: then the place is still there, and so are we.
            if taken.is_ok() || workspaces.desk().read(|book| book.queue().get(user).is_none()) {
                return taken;
            }
        }
        // The time left alone is no news.
        let news = Some((waiting.place, waiting.estimate));
        if news != last {
            last = news;
            let said = match as_json {
                true => json!({ "user": user, "waiting": waiting }).to_string(),
                false => Line::Mine { waiting, now: view.now }.say(lang),
            };
            if tell.send(said + "\n").await.is_err() {
                return Ok(Answer::default());
            }
        }
        if changes.changed().await.is_err() {
            return Err(Refusal::ShuttingDown);
        }
    }
}
