//! The commands of the binary; nothing else.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Config;
use crate::error_chain::in_full;

mod serve;
mod user;

/// The SSH front door of a small GPU cluster.
#[derive(Debug, Parser)]
#[command(name = "clusteria", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway.
    Serve(ConfigFile),
    /// Check a configuration file: every problem at once, with its line.
    Check(ConfigFile),
    /// Make the host keys that are missing and show the fingerprints of all.
    Hostkey(ConfigFile),
    /// Users of the ledger: add, list, remove, password, key.
    User(user::UserArguments),
}

#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", default_value = "/etc/clusteria/clusteria.toml")]
    config: PathBuf,
}

/// What a command says when it cannot be done; the exit status is 1.
type Failure = Box<dyn std::error::Error>;

/// Runs the command line.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(file) => load(&file.config).and_then(serve::serve),
        Command::Check(file) => {
            load(&file.config).map(|_| println!("{}: no problems", file.config.display()))
        }
        Command::Hostkey(file) => load(&file.config).and_then(|config| host_keys(&config)),
        Command::User(arguments) => user::run(arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{}", in_full(failure.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn load(file: &Path) -> Result<Config, Failure> {
    Ok(Config::load(file)?)
}

fn host_keys(config: &Config) -> Result<(), Failure> {
    for key in crate::ssh::host_keys::generate(&config.ssh.host_keys)? {
        println!("{}  {}", key.fingerprint, key.path.display());
        println!("  {}", key.public);
    }
    Ok(())
}
