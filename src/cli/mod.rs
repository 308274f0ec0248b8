//! The commands of the binary; nothing else.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::auth::certificate::Authorities;
use crate::auth::directory::Directory;
use crate::charter::Texts;
use crate::config::Config;
use crate::error_chain::in_full;

mod admin;
mod doctor;
mod firewall;
mod log;
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
    /// Have the running gateway start its binary anew, configuration included: nobody is cut off.
    Reload(ConfigFile),
    /// Check a configuration file: every problem at once, with its line.
    Check(ConfigFile),
    /// Ask everything that the configuration names, on every machine, and say what to do about what is wrong.
    Doctor(doctor::DoctorArguments),
    /// Print the packet filter's rules for the machines, as a script: what containers may reach.
    Firewall(ConfigFile),
    /// Make the host keys that are missing and show the fingerprints of all.
    Hostkey(ConfigFile),
    /// Copy the ledger while it is in use: whole or not at all, readable by its owner only.
    Backup(BackupArguments),
    /// Users of the ledger: add, list, remove, password, key.
    User(user::UserArguments),
    /// Ask the running gateway: list, watch, message, end, drain, undrain, user.
    Admin(admin::AdminArguments),
}

#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// The configuration file.
    #[arg(short, long, global = true, value_name = "FILE", default_value = "/etc/clusteria/clusteria.toml")]
    config: PathBuf,
}

#[derive(Debug, clap::Args)]
struct BackupArguments {
    #[command(flatten)]
    file: ConfigFile,
    /// The copy: a file, replaced if it is there.
    target: PathBuf,
}

/// What a command says when it cannot be done; the exit status is 1.
type Failure = Box<dyn std::error::Error>;

/// Runs the command line.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(file) => load(&file.config).and_then(serve::serve),
        Command::Reload(file) => load(&file.config).and_then(|config| serve::reload(&config)),
        Command::Check(file) => load(&file.config).and_then(|config| check(&file.config, &config)),
        Command::Doctor(arguments) => return doctor::run(&arguments),
        Command::Firewall(file) => load(&file.config).map(|config| firewall::print(&config)),
        Command::Hostkey(file) => load(&file.config).and_then(|config| host_keys(&config)),
        Command::Backup(BackupArguments { file, target }) => load(&file.config)
            .and_then(|config| Ok(crate::store::backup(&config.store.path, &target)?))
            .map(|()| println!("{}: the ledger as it is now", target.display())),
        Command::User(arguments) => user::run(arguments),
        Command::Admin(arguments) => {
            return admin::run(arguments).unwrap_or_else(|failure| {
                eprintln!("{}", in_full(failure.as_ref()));
                ExitCode::FAILURE
            });
        }
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

/// Also what the file only names: the charter's texts, the directory's certificates.
fn check(file: &Path, config: &Config) -> Result<(), Failure> {
    config.cluster.charter.as_ref().map(Texts::read).transpose()?;
    Authorities::load(&config.auth.user_ca)?;
    config.auth.ldap.clone().map(Directory::new).transpose()?;
    println!("{}: no problems", file.display());
    Ok(())
}

fn host_keys(config: &Config) -> Result<(), Failure> {
    for key in crate::ssh::host_keys::generate(&config.ssh.host_keys)? {
        println!("{}  {}", key.fingerprint, key.path.display());
        println!("  {}", key.public);
    }
    Ok(())
}
