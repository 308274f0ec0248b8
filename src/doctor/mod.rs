//! `clusteria doctor`: asks everything that the configuration names, on every machine at once and within a time, and
//! says of what is wrong what to do about it.
//!
//! `gateway` looks at the gateway's own host, `machine` at one machine by its engine, partly through the eyes of a
//! container that is made as a reservation's is ([`crate::agent::probe`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;
use tokio::time::timeout;

use crate::config::Config;
use crate::engine::Engine;
use crate::reservation::MachineName;

mod gateway;
mod machine;
mod seen;

/// A machine that has not been looked over by then is given up.
const LIMIT: Duration = Duration::from_secs(90);

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// It is as it should be.
    Ok,
    /// It works, and should be otherwise.
    Warning,
    /// Something of what is configured does not work, or is not safe.
    Error,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `gateway`, or a machine's name.
    pub place: String,
    /// How much it matters.
    pub weight: Weight,
    /// What was looked at: `engine`, `image`, `mount /storage`, …
    pub subject: String,
    /// What was found.
    pub found: String,
    /// What to do about it; empty where nothing is to be done.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fix: String,
}

/// Findings of one place, as they come.
#[derive(Debug)]
struct Notes {
    place: String,
    findings: Vec<Finding>,
}

impl Notes {
    fn at(place: &str) -> Self {
        Self { place: place.to_owned(), findings: Vec::new() }
    }

    fn ok(&mut self, subject: &str, found: impl Into<String>) {
        self.add(Weight::Ok, subject, found.into(), "");
    }

    fn warn(&mut self, subject: &str, found: impl Into<String>, fix: &str) {
        self.add(Weight::Warning, subject, found.into(), fix);
    }

    fn error(&mut self, subject: &str, found: impl Into<String>, fix: &str) {
        self.add(Weight::Error, subject, found.into(), fix);
    }

    fn add(&mut self, weight: Weight, subject: &str, found: String, fix: &str) {
        // Much of it is in an engine's or a container's words.
        let found = crate::text::printable(&found).chars().take(400).collect();
        let (place, subject, fix) = (self.place.clone(), subject.to_owned(), fix.to_owned());
        self.findings.push(Finding { place, weight, subject, found, fix });
    }
}

/// Looks at everything. The gateway's own host comes first, then the machines as they are configured.
pub async fn examine(config: &Config, engines: &BTreeMap<MachineName, Arc<dyn Engine>>) -> Vec<Finding> {
    let machines = config.machines.iter().map(|machine| async move {
        let mut notes = Notes::at(machine.name.as_str());
        let Some(engine) = engines.get(&machine.name) else { return notes.findings };
        if timeout(LIMIT, machine::look(&mut notes, config, machine, engine.as_ref())).await.is_err() {
            let found = format!("the machine was not looked over within {} s", LIMIT.as_secs());
            notes.error("engine", found, "look at its engine's log: journalctl -u docker");
        }
        notes.findings
    });
    let (own, machines) = tokio::join!(gateway::look(config), join_all(machines));
    own.into_iter().chain(machines.into_iter().flatten()).collect()
}
