//! `[[machine]]` and `[[machine.slot]]`

use std::path::PathBuf;

use super::container::{container_path, limits};
use crate::config::table::{Section, Table};
use crate::config::value::Value;
use crate::config::words::quoted;
use crate::config::{AgentTransport, EngineAddress, Limits, Machine, Slot};
use crate::reservation::{MachineName, SlotId};

pub(super) const MACHINE: Section = Section {
    title: "[[machine]]",
    key: "machine",
    keys: &["name", "label", "engine", "agent", "slot"],
    later: &[],
};

pub(super) const SLOT: Section = Section {
    title: "[[machine.slot]]",
    key: "slot",
    keys: &["gpus", "memory", "cpus", "shm", "pids", "disk", "gpu_memory"],
    later: &[],
};

const DEFAULT_ENGINE: &str = "/var/run/docker.sock";
const LONGEST_LABEL: usize = 64;

pub(super) fn machines(root: &mut Table<'_, '_>, defaults: &Limits) -> Vec<Machine> {
    let mut names: Vec<MachineName> = Vec::new();
    let machines = root.sections(&MACHINE, |table| machine(table, defaults, &mut names));
    if machines.is_empty() {
        root.missing(
            "[[machine]] is missing: there must be at least one, with at least one [[machine.slot]]",
        );
    }
    machines.into_iter().flatten().collect()
}

fn machine(table: &mut Table<'_, '_>, defaults: &Limits, names: &mut Vec<MachineName>) -> Option<Machine> {
    let name = table.required("name", "\"gpu1\"").and_then(|value| {
        let name: MachineName = value.checked(str::parse)?;
        if names.contains(&name) {
            value.refuse(format!("two machines are named {name}"));
        }
        names.push(name.clone());
        Some(name)
    });
    let label = table.take("label").and_then(|value| value.line(LONGEST_LABEL));
    let engine = table.take("engine").and_then(|value| value.checked(engine));
    let agent = table.take("agent").and_then(|value| value.checked(agent));
    let slots = slots(table, defaults, name.as_ref());
    Some(Machine {
        name: name?,
        label,
        engine: engine.unwrap_or_else(|| EngineAddress::Unix(PathBuf::from(DEFAULT_ENGINE))),
        agent: agent.unwrap_or(AgentTransport::Unix),
        slots,
    })
}

fn engine(text: &str) -> Result<EngineAddress, String> {
    match text.split_once("://") {
        Some(("unix", path)) if path != "/" && container_path(path).is_ok() => {
            Ok(EngineAddress::Unix(PathBuf::from(path)))
        }
        Some((scheme @ ("tcp" | "ssh" | "http" | "https"), _)) => Err(format!(
            "an engine at {scheme}:// is not supported by this version of clusteria, only unix:// is"
        )),
        _ => {
            let example = format!("\"unix://{DEFAULT_ENGINE}\"");
            Err(format!("{} is not an engine's address; write it like {example}", quoted(text)))
        }
    }
}

fn agent(text: &str) -> Result<AgentTransport, String> {
    match text {
        "unix" => Ok(AgentTransport::Unix),
        "tls" => Err("\"tls\" is not supported by this version of clusteria, only \"unix\" is".to_owned()),
        _ => Err(format!("{} is not a way to the agent; write \"unix\"", quoted(text))),
    }
}

fn slots(table: &mut Table<'_, '_>, defaults: &Limits, machine: Option<&MachineName>) -> Vec<Slot> {
    let mut number: u16 = 0;
    let slots = table.sections(&SLOT, |table| {
        let gpus = table.take("gpus").map(gpus).unwrap_or_default();
        let written = limits(table);
        let Some(next) = number.checked_add(1) else {
            table.missing("[[machine.slot]]: a machine has at most 65535 slots");
            return None;
        };
        number = next;
        let id = SlotId { machine: machine?.clone(), number };
        Some(Slot { id, gpus, limits: filled(written, defaults) })
    });
    if slots.is_empty() {
        table.missing("[[machine]] has no slot: write at least one [[machine.slot]] after it");
    }
    slots.into_iter().flatten().collect()
}

fn filled(written: Limits, defaults: &Limits) -> Limits {
    Limits {
        memory: written.memory.or(defaults.memory),
        cpus: written.cpus.or(defaults.cpus),
        shm: written.shm.or(defaults.shm),
        pids: written.pids.or(defaults.pids),
        disk: written.disk.or(defaults.disk),
        gpu_memory: written.gpu_memory.or(defaults.gpu_memory),
    }
}

/// Two slots may share a GPU; within one, twice is a mistake.
fn gpus(value: Value<'_, '_>) -> Vec<String> {
    let mut gpus: Vec<String> = Vec::new();
    for value in value.list().unwrap_or_default() {
        let Some(gpu) = value.checked(gpu) else { continue };
        if gpus.contains(&gpu) {
            value.refuse(format!("{} is there twice", quoted(&gpu)));
        }
        gpus.push(gpu);
    }
    gpus
}

fn gpu(text: &str) -> Result<String, String> {
    let wrong = |c: char| c == ',' || c.is_whitespace() || c.is_control();
    if text.is_empty() || text.contains(wrong) {
        let examples = r#""0", "GPU-5fa1…", "nvidia.com/gpu=0""#;
        return Err(format!(
            "{} is not one GPU; write each in its own quotes, like {examples}",
            quoted(text)
        ));
    }
    Ok(text.to_owned())
}
