//! A behaviour: written once, run by every client that has it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::client::CLIENTS;
use super::place::{Case, Place};

pub struct Behaviour {
    pub title: &'static str,
    /// Clients that do not have it, each with the reason: a row of the table in docs/clients.md.
    pub lacks: &'static [(&'static str, &'static str)],
    pub check: fn(&Case),
}

impl Behaviour {
    pub fn lack(&self, client: &str) -> Option<&'static str> {
        self.lacks.iter().find(|(name, _)| *name == client).map(|(_, reason)| *reason)
    }

    /// Every client; all that fail are told, not only the first. `CLIENT=paramiko` runs one.
    pub fn run(&self) {
        for (name, _) in self.lacks {
            assert!(CLIENTS.iter().any(|client| client.name() == *name), "no client is called {name}");
        }
        let only = std::env::var("CLIENT").ok();
        let place = Place::shared();
        let mut failed = Vec::new();
        for client in CLIENTS {
            if self.lack(client.name()).is_some() || only.as_deref().is_some_and(|one| one != client.name()) {
                continue;
            }
            let case = Case::new(*client, place.clone());
            if let Err(why) = catch_unwind(AssertUnwindSafe(|| (self.check)(&case))) {
                failed.push(format!("{}: {}", client.name(), words_of(&*why)));
            }
        }
        assert!(
            failed.is_empty(),
            "{}\n{}\n--- gateway\n{}",
            self.title,
            failed.join("\n"),
            tail(&place.cluster.log())
        );
    }
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default()
}

fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
