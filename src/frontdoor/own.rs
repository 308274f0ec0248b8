//! Commands about one's own account.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::words::{KeyCommand, TotpCommand};
use super::{Answer, Caller, FrontDoor};
use crate::auth::{Identity, OwnError, PasswordChange, totp};
use crate::reservation::UserName;
use crate::store::KeyRecord;
use crate::text::account::{Account, key_line};
use crate::text::{Lang, Say, qr};

/// A second factor that is begun must be confirmed within this time.
const BEGUN: Duration = Duration::from_secs(600);
/// Second factors that are begun at once.
const MOST_BEGUN: usize = 1024;

/// Secrets that have been shown and not been confirmed yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Begun {
    secrets: Arc<Mutex<HashMap<UserName, (Instant, String)>>>,
}

impl Begun {
    fn keep(&self, user: &UserName, secret: String) {
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        if secrets.len() >= MOST_BEGUN {
            secrets.retain(|_, (since, _)| since.elapsed() < BEGUN);
        }
        if secrets.len() < MOST_BEGUN {
            secrets.insert(user.clone(), (Instant::now(), secret));
        }
    }

    fn find(&self, user: &UserName) -> Option<String> {
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, secret) = secrets.get(user)?;
        (since.elapsed() < BEGUN).then(|| secret.clone())
    }

    fn forget(&self, user: &UserName) {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).remove(user);
    }
}

pub(super) async fn key(
    door: &FrontDoor,
    caller: &Caller,
    command: KeyCommand,
    input: &[String],
    as_json: bool,
    lang: Lang,
) -> Answer {
    let Caller::Client { who, .. } = caller else { return from_outside(lang) };
    if command != KeyCommand::List && is_restricted(who) {
        return refused(&Account::Restricted, lang);
    }
    let outcome = match command {
        KeyCommand::Add(key) => {
            let text = key.unwrap_or_else(|| input.join("\n"));
            door.auth
                .add_keys(who, &text)
                .await
                .map(|keys| told(&keys, as_json, |k| Account::KeyAdded(k).say(lang)))
        }
        KeyCommand::List => door.auth.keys(who).await.map(|keys| match keys.as_slice() {
            [] if !as_json => Account::NoKeys.say(lang),
            keys => told(keys, as_json, |key| key_line(key, lang)),
        }),
        KeyCommand::Remove(word) => door
            .auth
            .remove_key(who, &word)
            .await
            .map(|key| told(&[key], as_json, |key| Account::KeyRemoved(key).say(lang))),
    };
    answer(outcome, lang)
}

fn told(keys: &[KeyRecord], as_json: bool, line: impl Fn(&KeyRecord) -> String) -> String {
    if as_json {
        let fact = |key: &KeyRecord| {
            json!({ "fingerprint": key.fingerprint, "comment": key.comment, "key": key.line,
                "last_used": key.last_used })
        };
        return serde_json::Value::from(keys.iter().map(fact).collect::<Vec<_>>()).to_string();
    }
    keys.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Three lines when they were typed (old, new, new again), two when a program gave them.
pub(super) async fn password(door: &FrontDoor, caller: &Caller, input: &[String], lang: Lang) -> Answer {
    let Caller::Client { who, from } = caller else { return from_outside(lang) };
    if is_restricted(who) {
        return refused(&Account::Restricted, lang);
    }
    let mut lines = input.iter().cloned();
    let mut next = || lines.next().unwrap_or_default();
    let change = PasswordChange { old: next(), new: next(), again: lines.next() };
    let outcome = door.auth.change_password(who, *from, change).await;
    answer(outcome.map(|()| Account::PasswordChanged.say(lang)), lang)
}

pub(super) async fn factor(door: &FrontDoor, caller: &Caller, command: TotpCommand, lang: Lang) -> Answer {
    let Caller::Client { who, from } = caller else { return from_outside(lang) };
    if is_restricted(who) {
        return refused(&Account::Restricted, lang);
    }
    let outcome = match command {
        TotpCommand::Begin => begin(door, caller, lang).await,
        TotpCommand::Off(code) => {
            door.auth.remove_factor(who, *from, &code).await.map(|()| Account::FactorRemoved.say(lang))
        }
        TotpCommand::Confirm(code) => match door.begun.find(who.user()) {
            None => return refused(&Account::NothingBegun, lang),
            Some(secret) => door.auth.confirm_factor(who, &secret, &code).await.map(|()| {
                door.begun.forget(who.user());
                Account::FactorAdded.say(lang)
            }),
        },
    };
    answer(outcome, lang)
}

async fn begin(door: &FrontDoor, caller: &Caller, lang: Lang) -> Result<String, OwnError> {
    let Caller::Client { who, .. } = caller else { return Err(OwnError::NoFactor) };
    if door.auth.has_factor(who).await? {
        return Ok(Account::FactorThere.say(lang));
    }
    let secret = door.auth.new_factor()?;
    door.begun.keep(who.user(), secret.clone());
    let uri = totp::uri(&door.workspaces.config().cluster.name, who.user().as_str(), &secret);
    let picture = qr::picture(&uri);
    Ok(Account::FactorBegun { uri: &uri, secret: &secret, picture: &picture }.say(lang))
}

pub(super) fn charter(door: &FrontDoor, user: Option<&UserName>, lang: Lang) -> Answer {
    let Some(text) = door.charter.text(lang) else { return Answer::out(Account::NoCharter.say(lang)) };
    let missing = user.is_some_and(|user| !door.charter.is_accepted(user));
    let last = if missing { Account::CharterToAccept } else { Account::CharterAccepted };
    Answer::out(format!("{text}\n\n{}", last.say(lang)))
}

pub(super) async fn accept(door: &FrontDoor, caller: &Caller, lang: Lang) -> Answer {
    let Caller::Client { who, .. } = caller else { return from_outside(lang) };
    if door.charter.version().is_none() {
        return Answer::out(Account::NoCharter.say(lang));
    }
    let outcome = door.charter.accept(who.user()).await.map_err(OwnError::from);
    answer(outcome.map(|()| Account::CharterAccepted.say(lang)), lang)
}

fn is_restricted(who: &Identity) -> bool {
    !who.permissions().enrolment
}

fn from_outside(lang: Lang) -> Answer {
    refused(&Account::FromOutside, lang)
}

fn answer(outcome: Result<String, OwnError>, lang: Lang) -> Answer {
    match outcome {
        Ok(text) => Answer::out(text),
        Err(error) => refused(&Account::Refused(&error), lang),
    }
}

fn refused(words: &Account<'_>, lang: Lang) -> Answer {
    Answer { stderr: words.say(lang) + "\n", status: 1, ..Answer::default() }
}
