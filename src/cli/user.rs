//! `clusteria user`

use std::io::{BufRead, IsTerminal, Read};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::{ConfigFile, Failure, load};
use crate::auth::{authorized_key, password};
use crate::reservation::UserName;
use crate::store::Ledger;

/// The longest password that is taken, in bytes: hashing is not for novels.
const MAX_PASSWORD: usize = 1024;

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

pub(super) fn run(arguments: UserArguments) -> Result<(), Failure> {
    let config = load(&arguments.file.config)?;
    let ledger = Ledger::open(&config.store.path)?;
    match arguments.command {
        UserCommand::Add { name, password, no_password } => {
            let hash = if no_password { None } else { Some(read_hash(&password, &name)?) };
            let uid = ledger.add_user(&name, hash.as_deref(), Timestamp::now())?;
            println!("added {name} with user id {uid}");
        }
        UserCommand::List => list(&ledger)?,
        UserCommand::Remove { name } => {
            ledger.remove_user(&name)?;
            println!("removed {name}");
        }
        UserCommand::Password { name, password } => {
            ledger.set_password(&name, &read_hash(&password, &name)?)?;
            println!("password of {name} set");
        }
        UserCommand::Key { name, command } => keys(&ledger, &name, command)?,
    }
    Ok(())
}

fn list(ledger: &Ledger) -> Result<(), Failure> {
    for user in ledger.users()? {
        let password = if user.password.is_some() { "password" } else { "-" };
        let keys = ledger.keys(&user.name)?.len();
        println!("{:<20} {:>6}  {password:<8}  {keys} keys  added {}", user.name, user.uid, user.created);
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
