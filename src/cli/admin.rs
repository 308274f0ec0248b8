//! `clusteria admin`: the front door's `admin` commands, by the running gateway's local socket.

use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use clap::Args;

use super::{ConfigFile, Failure, load};
use crate::auth::MAX_PASSWORD;
use crate::frontdoor::{Wants, local, parse};

#[derive(Debug, Args)]
pub(super) struct AdminArguments {
    #[command(flatten)]
    file: ConfigFile,
    /// `list`, `watch`, `message`, `end`, `drain`, `undrain`, `user …`; `help` says more. With --json for programs.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "WORDS")]
    words: Vec<String>,
}

pub(super) fn run(arguments: AdminArguments) -> Result<ExitCode, Failure> {
    let config = load(&arguments.file.config)?;
    let socket = local::path(&config.store.runtime);
    let input = input(&arguments.words)?;
    let mut stream = UnixStream::connect(&socket).map_err(|e| {
        format!("no gateway answers at {} (is it running, are you root?): {e}", socket.display())
    })?;
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(variable).unwrap_or_default();
    let mut question = serde_json::to_vec(&local::Question { words: arguments.words, locale, input })?;
    question.push(b'\n');
    stream.write_all(&question)?;
    for line in BufReader::new(stream).lines() {
        match serde_json::from_str(&line?)? {
            local::Said::Stdout(text) => {
                std::io::stdout().write_all(text.as_bytes())?;
                std::io::stdout().flush()?;
            }
            local::Said::Stderr(text) => std::io::stderr().write_all(text.as_bytes())?,
            local::Said::Status(status) => return Ok(ExitCode::from(status)),
        }
    }
    Err("the gateway went away before it had answered".into())
}

/// What the command reads of its own standard input.
fn input(words: &[String]) -> Result<Vec<String>, Failure> {
    let all: Vec<String> = std::iter::once("admin".to_owned()).chain(words.iter().cloned()).collect();
    if parse(&all).map_or(Wants::Nothing, |command| command.wants()) == Wants::Nothing {
        return Ok(Vec::new());
    }
    if std::io::stdin().is_terminal() {
        return Ok(vec![rpassword::prompt_password("password (empty for none): ")?]);
    }
    let mut line = String::new();
    std::io::stdin().lock().take(2 * MAX_PASSWORD as u64).read_line(&mut line)?;
    Ok(vec![line.trim_end_matches(['\r', '\n']).to_owned()])
}
