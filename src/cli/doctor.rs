//! `clusteria doctor`

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::{ConfigFile, Failure, load};
use crate::app;
use crate::doctor::{Finding, Weight, examine};
use crate::engine::Engine;
use crate::error_chain::in_full;
use crate::reservation::MachineName;

#[derive(Debug, Args)]
pub(super) struct DoctorArguments {
    #[command(flatten)]
    file: ConfigFile,
    /// For programs: one JSON object.
    #[arg(long)]
    json: bool,
}

/// 0: no errors; 1: errors.
pub(super) fn run(arguments: &DoctorArguments) -> ExitCode {
    match look(arguments) {
        Ok(findings) => {
            let errors = findings.iter().filter(|finding| finding.weight == Weight::Error).count();
            if arguments.json {
                let report = serde_json::json!({ "errors": errors, "findings": findings });
                println!("{report}");
            } else {
                show(&findings, errors);
            }
            ExitCode::from(u8::from(errors > 0))
        }
        Err(failure) => {
            eprintln!("{}", in_full(failure.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn look(arguments: &DoctorArguments) -> Result<Vec<Finding>, Failure> {
    let config = load(&arguments.file.config)?;
    let agent = app::agent_binary()?;
    let engines: BTreeMap<MachineName, Arc<dyn Engine>> =
        config.machines.iter().map(|machine| (machine.name.clone(), app::engine(machine, &agent))).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let findings = runtime.block_on(examine(&config, &engines));
    // A check that hangs in a dead file system must not keep us.
    runtime.shutdown_background();
    Ok(findings)
}

fn show(findings: &[Finding], errors: usize) {
    for Finding { place, weight, subject, found, fix } in findings {
        let mark = match weight {
            Weight::Ok => "ok     ",
            Weight::Warning => "warning",
            Weight::Error => "ERROR  ",
        };
        println!("{mark} {place}: {subject}: {found}");
        if !fix.is_empty() {
            println!("        to do: {fix}");
        }
    }
    let warnings = findings.iter().filter(|finding| finding.weight == Weight::Warning).count();
    println!("{errors} errors, {warnings} warnings");
}
