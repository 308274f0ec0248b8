//! The agent: PID 1 of a container. Called as `clusteria` it is the front door's command inside.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clusteria::agent::{door, probe, protocol::RUN_DIR, run, sftp};

const USAGE: &str = "usage: clusteria-agent run [DIRECTORY] | sftp | probe QUESTION | --version";

fn main() -> ExitCode {
    let mut arguments = std::env::args();
    let called_as = arguments.next().unwrap_or_default();
    if Path::new(&called_as).file_name().is_some_and(|name| name == "clusteria") {
        return ExitCode::from(door::knock(arguments.collect()));
    }
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("run"), directory) => {
            let directory = directory.map_or_else(|| PathBuf::from(RUN_DIR), PathBuf::from);
            eprintln!("clusteria-agent: {}", run(&directory));
            ExitCode::FAILURE
        }
        (Some("sftp"), None) => match sftp::serve(std::io::stdin(), std::io::stdout()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => {
                eprintln!("sftp: {e}");
                ExitCode::FAILURE
            }
        },
        (Some("probe"), Some(question)) => match probe::run(&question) {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => {
                eprintln!("probe: {e}");
                ExitCode::FAILURE
            }
        },
        (Some("--version"), None) => {
            println!("clusteria-agent {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}
