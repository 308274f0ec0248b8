//! `[[machine]]` and `[[machine.slot]]`

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::container::{container_path, limits};
use crate::config::table::{Section, Table};
use crate::config::value::Value;
use crate::config::words::quoted;
use crate::config::{AgentTransport, EngineAddress, EngineTls, Limits, Machine, Slot, SshHost};
use crate::reservation::{MachineName, SlotId};

pub(super) const MACHINE: Section = Section {
    title: "[[machine]]",
    key: "machine",
    keys: &["name", "label", "engine", "tls", "agent", "address", "agent_port", "slot"],
    later: &[],
};

pub(super) const TLS: Section =
    Section { title: "[[machine]] tls", key: "tls", keys: &["ca", "cert", "key"], later: &[] };

pub(super) const SLOT: Section = Section {
    title: "[[machine.slot]]",
    key: "slot",
    keys: &["gpus", "memory", "cpus", "shm", "pids", "disk", "gpu_memory"],
    later: &[],
};

const DEFAULT_ENGINE: &str = "/var/run/docker.sock";
const LONGEST_LABEL: usize = 64;
const DEFAULT_AGENT_PORT: u16 = 61022;

pub(super) fn machines(root: &mut Table<'_, '_>, defaults: &Limits, folder: &Path) -> Vec<Machine> {
    let mut seen = Seen::default();
    let machines = root.sections(&MACHINE, |table| machine(table, defaults, folder, &mut seen));
    if machines.is_empty() {
        root.missing(
            "[[machine]] is missing: there must be at least one, with at least one [[machine.slot]]",
        );
    }
    machines.into_iter().flatten().collect()
}

/// What no two machines may share.
#[derive(Default)]
struct Seen {
    names: Vec<MachineName>,
    ports: HashMap<SocketAddr, SlotId>,
}

fn machine(table: &mut Table<'_, '_>, defaults: &Limits, folder: &Path, seen: &mut Seen) -> Option<Machine> {
    let name = table.required("name", "\"gpu1\"").and_then(|value| {
        let name: MachineName = value.checked(str::parse)?;
        if seen.names.contains(&name) {
            value.refuse(format!("two machines are named {name}"));
        }
        seen.names.push(name.clone());
        Some(name)
    });
    let label = table.take("label").and_then(|value| value.line(LONGEST_LABEL));
    let (engine, is_elsewhere) = engine(table, folder);
    let agent = agent(table, is_elsewhere);
    let slots = slots(table, defaults, name.as_ref());
    for slot in &slots {
        match agent.published(&slot.id) {
            None if agent == AgentTransport::Unix => {}
            None => table.missing(&format!("[[machine]] agent_port: {} is left without a port", slot.id)),
            Some(address) => {
                if let Some(other) = seen.ports.insert(address, slot.id.clone()) {
                    table.missing(&format!(
                        "[[machine]] agent_port: the agents of {other} and {} would both be at {address}",
                        slot.id
                    ));
                }
            }
        }
    }
    Some(Machine { name: name?, label, engine, agent, slots })
}

/// The engine's address, and whether it is on another host.
fn engine(table: &mut Table<'_, '_>, folder: &Path) -> (EngineAddress, bool) {
    let default = || EngineAddress::Unix(PathBuf::from(DEFAULT_ENGINE));
    let value = table.take("engine");
    let address = value.as_ref().and_then(|value| value.checked(address)).unwrap_or_else(default);
    let written = table.take("tls");
    let is_plain = written.is_none();
    let files = written.and_then(|value| {
        if !matches!(address, EngineAddress::Tcp { .. }) {
            value.refuse("it is for an engine at tcp://");
        }
        value.into_table(&TLS).read(|table| tls(table, folder))
    });
    match address {
        EngineAddress::Tcp { host, port, .. } => {
            let is_here = is_loopback(&host);
            if let Some(value) = value.filter(|_| is_plain && !is_here) {
                value.refuse_unless_broken(
                    "an engine at tcp:// without TLS makes everybody who reaches it root there; \
                     write tls = { ca = …, cert = …, key = … }",
                );
            }
            (EngineAddress::Tcp { host, port, tls: files }, !is_here)
        }
        EngineAddress::Ssh(_) => (address, true),
        EngineAddress::Unix(_) => (address, false),
    }
}

fn tls(table: &mut Table<'_, '_>, folder: &Path) -> Option<EngineTls> {
    let mut file = |key, example| table.required(key, example).and_then(|value| value.path(folder));
    let ca = file("ca", "\"/etc/clusteria/gpu2/ca.pem\"");
    let cert = file("cert", "\"/etc/clusteria/gpu2/cert.pem\"");
    let key = file("key", "\"/etc/clusteria/gpu2/key.pem\"");
    Some(EngineTls { ca: ca?, cert: cert?, key: key? })
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn address(text: &str) -> Result<EngineAddress, String> {
    match text.split_once("://") {
        Some(("unix", path)) if path != "/" && container_path(path).is_ok() => {
            Ok(EngineAddress::Unix(PathBuf::from(path)))
        }
        Some(("tcp", rest)) => match host_and_port(rest) {
            Some((host, Some(port))) => Ok(EngineAddress::Tcp { host, port, tls: None }),
            _ => {
                Err(format!("{} is not an engine's address; write it like \"tcp://gpu2:2376\"", quoted(text)))
            }
        },
        Some(("ssh", rest)) => ssh_host(rest).map(EngineAddress::Ssh).ok_or_else(|| {
            format!("{} is not an engine's address; write it like \"ssh://docker@gpu2\"", quoted(text))
        }),
        _ => Err(format!(
            "{} is not an engine's address; write it like \"unix://{DEFAULT_ENGINE}\", \"tcp://gpu2:2376\" or \
             \"ssh://docker@gpu2\"",
            quoted(text)
        )),
    }
}

/// `gpu2`, `gpu2:2376`, `192.0.2.7:2376`, `[2001:db8::7]:2376`
fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().ok().filter(|p| *p != 0)?)),
        _ => (text, None),
    };
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().ok().map(|address| (address.to_string(), port));
    }
    is_word(host).then(|| (host.to_owned(), port))
}

fn ssh_host(text: &str) -> Option<SshHost> {
    let text = text.strip_suffix('/').unwrap_or(text);
    let (user, rest) = match text.rsplit_once('@') {
        Some((user, rest)) => (Some(user.to_owned()).filter(|user| is_word(user)).map(Some)?, rest),
        None => (None, text),
    };
    let (host, port) = host_and_port(rest)?;
    Some(SshHost { user, host, port })
}

/// A name that no program can take for an option.
fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

fn agent(table: &mut Table<'_, '_>, is_elsewhere: bool) -> AgentTransport {
    let written = table.take("agent").and_then(|value| value.checked(transport));
    let address = table.take("address");
    let port = table.take("agent_port");
    if written == Some("tls") {
        if address.is_none() {
            table.missing(
                "[[machine]] address is required with agent = \"tls\": the machine's own address on the network \
                 that it shares with the gateway, like address = \"100.64.0.12\"",
            );
        }
        let address = address.and_then(|value| value.checked(machine_address));
        let port = port.and_then(|value| value.whole(1..=65535)).and_then(|port| u16::try_from(port).ok());
        return AgentTransport::Tls {
            address: address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            first_port: port.unwrap_or(DEFAULT_AGENT_PORT),
        };
    }
    if written.is_none() && is_elsewhere {
        table.missing(
            "[[machine]] agent is required for an engine elsewhere: \"tls\", or \"unix\" where it shares this \
             host's file system all the same",
        );
    }
    for value in [address, port].into_iter().flatten() {
        value.refuse_unless_broken("it is for agent = \"tls\"");
    }
    AgentTransport::Unix
}

fn transport(text: &str) -> Result<&'static str, String> {
    match text {
        "unix" => Ok("unix"),
        "tls" => Ok("tls"),
        _ => Err(format!("{} is not a way to the agent; write \"unix\" or \"tls\"", quoted(text))),
    }
}

/// One address: on all of them the agents would face the world.
fn machine_address(text: &str) -> Result<IpAddr, String> {
    match text.parse::<IpAddr>() {
        Ok(address) if !address.is_unspecified() && !address.is_multicast() => Ok(address),
        _ => Err(format!("{} is not one address of the machine, like \"100.64.0.12\"", quoted(text))),
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
