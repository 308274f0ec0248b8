//! `clusteria user`

use std::io::{BufRead, IsTerminal, Read};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::{ConfigFile, Failure, load};
use crate::audit::{self, Event, Outcome};
use crate::auth::{MAX_PASSWORD, authorized_key, password};
use crate::config::Config;
use crate::frontdoor::{admin::user_line, moment_of};
use crate::reservation::UserName;
use crate::store::Ledger;

#[derive(Debug, Args)]
pub(super) struct UserArguments {
    #[command(flatten)]
    file: ConfigFile,
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Add a user. Without --password-stdin or --no-password the password is asked for.
    Add {
        /// Login name.
        name: UserName,
        #[command(flatten)]
        password: PasswordSource,
        /// No password: keys only.
        #[arg(long, conflicts_with = "password_stdin")]
        no_password: bool,
    },
    /// List users.
    List,
    /// Remove a user and their keys; what runs for them runs until its deadline.
    Remove {
        /// Login name.
        name: UserName,
    },
    /// Set a user's password.
    Password {
        /// Login name.
        name: UserName,
        #[command(flatten)]
        password: PasswordSource,
    },
    /// Make somebody an administrator, or not.
    Admin {
        /// Login name.
        name: UserName,
        /// on or off.
        #[arg(value_parser = on_off, action = clap::ArgAction::Set)]
        on: bool,
    },
    /// Lock somebody out; what runs for them runs until its deadline.
    Disable {
        /// Login name.
        name: UserName,
    },
    /// Let somebody in again.
    Enable {
        /// Login name.
        name: UserName,
    },
    /// From when on somebody does not get in any more.
    Expire {
        /// Login name.
        name: UserName,
        /// `2027-06-30` (its beginning, UTC), `2027-06-30T18:00:00Z`, or `never`.
        #[arg(value_parser = when)]
        when: When,
    },
    /// Forget somebody's second factor.
    TotpOff {
        /// Login name.
        name: UserName,
    },
    /// A user's public keys.
    Key {
        /// Login name.
        name: UserName,
        #[command(subcommand)]
        command: KeyCommand,
    },
}

#[derive(Debug, Args)]
struct PasswordSource {
    /// Read the password from the first line of standard input.
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Add the keys in a .pub or authorized_keys file (`-` for standard input).
    Add {
        /// The file.
        file: PathBuf,
    },
    /// List keys.
    List,
    /// Remove a key.
    Remove {
        /// As `key list` shows it.
        fingerprint: String,
    },
}

/// A moment or never.
#[derive(Debug, Clone, Copy)]
struct When(Option<Timestamp>);

fn when(word: &str) -> Result<When, String> {
    if word == "never" {
        return Ok(When(None));
    }
    moment_of(word).map(|time| When(Some(time))).ok_or_else(|| "write it like 2027-06-30, or never".into())
}

fn on_off(word: &str) -> Result<bool, String> {
    match word {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("it is on or off".into()),
    }
}

pub(super) fn run(arguments: UserArguments) -> Result<(), Failure> {
    let config = load(&arguments.file.config)?;
    let ledger = Ledger::open(&config.store.path)?;
    let act = described(&arguments.command);
    let outcome = perform(&ledger, arguments.command);
    if let Some((act, target)) = act {
        note(&config, act, target, outcome.is_ok())?;
    }
    outcome
}

/// Beside the gateway, in the same log.
fn note(config: &Config, act: &str, target: String, done: bool) -> Result<(), Failure> {
    let Some(path) = &config.audit.path else { return Ok(()) };
    let outcome = if done { Outcome::Ok } else { Outcome::Refused };
    let admin = "root (command line)".to_owned();
    Ok(audit::append(path, &Event::Admin { admin, act: act.to_owned(), target, outcome })?)
}

fn described(command: &UserCommand) -> Option<(&'static str, String)> {
    let (act, name) = match command {
        UserCommand::List | UserCommand::Key { command: KeyCommand::List, .. } => return None,
        UserCommand::Add { name, .. } => ("user add", name),
        UserCommand::Remove { name } => ("user remove", name),
        UserCommand::Password { name, .. } => ("user password", name),
        UserCommand::Admin { name, on: true } => ("user admin on", name),
        UserCommand::Admin { name, on: false } => ("user admin off", name),
        UserCommand::Disable { name } => ("user disable", name),
        UserCommand::Enable { name } => ("user enable", name),
        UserCommand::Expire { name, .. } => ("user expire", name),
        UserCommand::TotpOff { name } => ("user totp off", name),
        UserCommand::Key { name, command: KeyCommand::Add { .. } } => ("user key add", name),
        UserCommand::Key { name, command: KeyCommand::Remove { .. } } => ("user key remove", name),
    };
    Some((act, name.to_string()))
}

fn perform(ledger: &Ledger, command: UserCommand) -> Result<(), Failure> {
    match command {
        UserCommand::Add { name, password, no_password } => {
            let hash = if no_password { None } else { Some(read_hash(&password, &name)?) };
            let uid = ledger.add_user(&name, hash.as_deref(), Timestamp::now())?;
            println!("added {name} with user id {uid}");
        }
        UserCommand::List => list(ledger)?,
        UserCommand::Admin { name, on } => {
            ledger.set_admin(&name, on)?;
            println!("{name} is {} administrator", if on { "an" } else { "no" });
        }
        UserCommand::Disable { name } => {
            ledger.set_disabled(&name, true)?;
            println!("{name} is disabled");
        }
        UserCommand::Enable { name } => {
            ledger.set_disabled(&name, false)?;
            println!("{name} is enabled");
        }
        UserCommand::Expire { name, when: When(time) } => {
            ledger.set_expires(&name, time)?;
            println!("{name} {}", time.map_or_else(|| "never expires".into(), |t| format!("expires {t}")));
        }
        UserCommand::TotpOff { name } => {
            ledger.forget_totp(&name)?;
            println!("{name} has no second factor");
        }
        UserCommand::Remove { name } => {
            ledger.remove_user(&name)?;
            println!("removed {name}");
        }
        UserCommand::Password { name, password } => {
            ledger.set_password(&name, &read_hash(&password, &name)?)?;
            println!("password of {name} set");
        }
        UserCommand::Key { name, command } => keys(ledger, &name, command)?,
    }
    Ok(())
}

fn list(ledger: &Ledger) -> Result<(), Failure> {
    for user in ledger.users()? {
        let keys = ledger.keys(&user.name)?.len();
        println!("{}  {keys} keys", user_line(&user));
    }
    Ok(())
}

fn keys(ledger: &Ledger, name: &UserName, command: KeyCommand) -> Result<(), Failure> {
    match command {
        KeyCommand::Add { file } => {
            let text = if file.as_os_str() == "-" {
                std::io::read_to_string(std::io::stdin().lock().take(1 << 20))?
            } else {
                std::fs::read_to_string(&file)?
            };
            let lines = text.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#'));
            let parsed = lines.map(authorized_key::parse).collect::<Result<Vec<_>, _>>()?;
            if parsed.is_empty() {
                return Err(authorized_key::KeyError::NotAKey.into());
            }
            for key in parsed {
                ledger.add_key(name, &key, Timestamp::now())?;
                println!("added {} {}", key.fingerprint, key.comment);
            }
        }
        KeyCommand::List => {
            for key in ledger.keys(name)? {
                let used = key.last_used.map_or_else(|| "never used".into(), |t| format!("last used {t}"));
                println!("{}  {}  {used}", key.fingerprint, key.comment);
            }
        }
        KeyCommand::Remove { fingerprint } => {
            if !ledger.remove_key(name, &fingerprint)? {
                return Err(format!("{name} has no key {fingerprint}").into());
            }
            println!("removed {fingerprint}");
        }
    }
    Ok(())
}

fn read_hash(source: &PasswordSource, name: &UserName) -> Result<String, Failure> {
    let text = if source.password_stdin {
        let mut line = String::new();
        std::io::stdin().lock().take(2 * MAX_PASSWORD as u64).read_line(&mut line)?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    } else if std::io::stdin().is_terminal() {
        let first = rpassword::prompt_password(format!("password for {name}: "))?;
        if rpassword::prompt_password("again: ")? != first {
            return Err("the two do not match: nothing was changed".into());
        }
        first
    } else {
        return Err("there is no terminal to ask on: use --password-stdin (or --no-password)".into());
    };
    if text.is_empty() || text.len() > MAX_PASSWORD {
        return Err(format!("a password has 1 to {MAX_PASSWORD} bytes: nothing was changed").into());
    }
    Ok(password::hash(&text)?)
}
