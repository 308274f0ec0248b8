//! One machine: its engine and what it can do, then what a container on it sees.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;

use super::{Notes, seen};
use crate::agent::probe::{Findings, LIMIT, Question};
use crate::config::{Config, Limits, Machine, Mount, Slot};
use crate::engine::labels::bridge_name;
use crate::engine::{AgentPlace, ContainerSpec, Engine, EngineError, Examination, Labels};
use crate::reservation::{ReservationId, UserName};

/// Who probes.
const NOBODY: &str = "clusteria-doctor";
/// Creating a container may mount a file system of another host, which may be dead.
const PROBE_LIMIT: Duration = Duration::from_secs(LIMIT.as_secs() + 10);
/// Deadlines are kept by two clocks.
const SKEW: Duration = Duration::from_secs(2);
/// What a machine often offers to others: SSH, name service, NFS, the web, the engine, JupyterLab, metrics.
const HOST_PORTS: [u16; 10] = [22, 53, 80, 111, 443, 2049, 2375, 2376, 8888, 9100];

pub(super) async fn look(notes: &mut Notes, config: &Config, machine: &Machine, engine: &dyn Engine) {
    let found = match engine.examine(&config.cluster.name, &config.container.image).await {
        Ok(found) => found,
        Err(e) => {
            return notes.error(
                "engine",
                e.to_string(),
                "is it running (systemctl status docker), and is its address in [[machine]] engine right?",
            );
        }
    };
    engine_itself(notes, &found);
    limits(notes, machine, &found);
    clock(notes, &found);
    network_itself(notes, config, &found);
    image(notes, config, &found);
    if found.image.is_some() {
        inside(notes, config, machine, engine).await;
    }
}

fn engine_itself(notes: &mut Notes, found: &Examination) {
    let Examination { version, api, cgroup, storage, .. } = found;
    notes.ok("engine", format!("{version}, API {api}, cgroups by {cgroup}, {storage}"));
    if !found.live_restore {
        notes.warn(
            "live-restore",
            "it is off: an engine that is restarted ends everybody's container",
            "put \"live-restore\": true into /etc/docker/daemon.json, then: systemctl reload docker",
        );
    }
}

fn limits(notes: &mut Notes, machine: &Machine, found: &Examination) {
    let wants = |pick: fn(&Limits) -> bool| machine.slots.iter().any(|slot| pick(&slot.limits));
    let boot = "boot with cgroup_enable=memory swapaccount=1, or use a kernel with control groups version 2";
    if wants(|limits| limits.memory.is_some()) {
        if !found.memory_limit {
            notes.error("memory limit", "the engine cannot limit memory", boot);
        } else if !found.swap_limit {
            notes.warn("memory limit", "swap cannot be limited: a container may use it on top", boot);
        }
    }
    if wants(|limits| limits.pids.is_some()) && !found.pids_limit {
        notes.error(
            "pids limit",
            "the engine cannot limit processes",
            "use a kernel with the pids controller",
        );
    }
    if wants(|limits| limits.cpus.is_some()) && !found.cpu_limit {
        notes.error("cpus limit", "the engine cannot limit processors", "use a kernel with CFS quotas");
    }
    if wants(|limits| limits.disk.is_some()) && !found.disk_limits {
        notes.error(
            "disk limit",
            format!("the engine cannot limit a container's own layer on {}", found.storage),
            "put the engine's data on XFS mounted with pquota (overlay2), or remove disk from the configuration",
        );
    }
    if machine.slots.iter().flat_map(|slot| &slot.gpus).any(|gpu| gpu.contains('=')) && !found.cdi {
        notes.error(
            "CDI",
            format!("slots name CDI devices, and engine {} does not give them", found.version),
            "use Docker Engine 25 or newer with \"features\": {\"cdi\": true} in /etc/docker/daemon.json, or name GPUs by index or UUID",
        );
    }
}

fn clock(notes: &mut Notes, found: &Examination) {
    let Some(theirs) = found.time else { return };
    let apart = Timestamp::now().duration_since(theirs).unsigned_abs();
    if apart > SKEW {
        notes.error(
            "clock",
            format!("it is {} s from the gateway's", apart.as_secs()),
            "let both keep the time: timedatectl set-ntp true",
        );
    } else {
        notes.ok("clock", "as the gateway's");
    }
}

fn network_itself(notes: &mut Notes, config: &Config, found: &Examination) {
    // It is made with the first container.
    let Some(network) = &found.network else { return };
    let anew = format!(
        "once nobody works there: docker network rm clusteria-{}; it is made anew",
        config.cluster.name
    );
    if !network.separated {
        notes.error("network", "containers on it can reach each other", &anew);
    }
    if network.bridge.as_deref() != Some(bridge_name(&config.cluster.name).as_str()) {
        notes.warn("network", "its bridge has a name that the packet filter's rules do not know", &anew);
    }
}

fn image(notes: &mut Notes, config: &Config, found: &Examination) {
    let name = &config.container.image;
    match &found.image {
        None => notes.error(
            "image",
            format!("{name} is not on this machine: the first start fetches it, and people wait"),
            &format!("docker pull {name}, or deploy/image/build on the machine"),
        ),
        Some(image) if image.digests.is_empty() => {
            notes.ok("image", format!("{name}, built on the machine: {}", image.id));
        }
        Some(image) => notes.ok("image", format!("{name}: {}", image.digests.join(" "))),
    }
}

/// One probe for the rest, and one for each mount and each slot with GPUs: what is wrong with one hides no other.
async fn inside(notes: &mut Notes, config: &Config, machine: &Machine, engine: &dyn Engine) {
    let (Some(slot), Ok(user)) = (machine.slots.first(), NOBODY.parse()) else { return };
    let plain = template(config, slot, user);
    let plain = &plain;
    let question = Question { host_ports: host_ports(config), places: places(config), ..Question::default() };
    // The first makes network and volume, which the others share.
    match ask(engine, plain, &question).await {
        Ok(found) => {
            seen::limits(notes, &plain.limits, &found);
            seen::doors(notes, config, &found);
        }
        Err(e) => {
            return notes.error("container", e.to_string(), "look at the engine's log: journalctl -u docker");
        }
    }
    let mounts = config.mounts.iter().map(|mount| async move {
        let spec = ContainerSpec { mounts: vec![mount.clone()], ..plain.clone() };
        let mounts = vec![(mount.target.clone(), mount.read_only)];
        (mount, ask(engine, &spec, &Question { mounts, ..Question::default() }).await)
    });
    let slots = machine.slots.iter().filter(|slot| !slot.gpus.is_empty()).map(|slot| async move {
        let spec = ContainerSpec { gpus: slot.gpus.clone(), ..plain.clone() };
        (slot, ask(engine, &spec, &Question { gpus: true, ..Question::default() }).await)
    });
    let (mounts, slots): (Vec<(&Mount, _)>, Vec<(&Slot, _)>) =
        tokio::join!(join_all(mounts), join_all(slots));
    for (mount, found) in mounts {
        seen::mount(notes, mount, found);
    }
    for (slot, found) in slots {
        seen::gpus(notes, slot, found);
    }
}

async fn ask(
    engine: &dyn Engine,
    spec: &ContainerSpec,
    question: &Question,
) -> Result<Findings, EngineError> {
    let odd = |e: serde_json::Error| EngineError::Local(format!("the probe's answer makes no sense: {e}"));
    let question = serde_json::to_string(question).map_err(odd)?;
    let answer = engine.probe(spec, vec!["probe".to_owned(), question], PROBE_LIMIT).await?;
    serde_json::from_str(&answer).map_err(odd)
}

fn host_ports(config: &Config) -> Vec<u16> {
    let own = config.ssh.listen.iter().map(|listen| listen.address.port());
    let mut ports: Vec<u16> = HOST_PORTS.into_iter().chain(own).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// The gateway, by the addresses that others reach it at.
fn places(config: &Config) -> Vec<SocketAddr> {
    let listen = config.ssh.listen.iter().map(|listen| listen.address);
    listen.filter(|address| is_elsewhere(address.ip())).collect()
}

fn is_elsewhere(address: IpAddr) -> bool {
    !address.is_loopback() && !address.is_unspecified() && address.is_ipv4()
}

/// As a reservation's container on this slot would be, without mounts and GPUs.
fn template(config: &Config, slot: &Slot, user: UserName) -> ContainerSpec {
    ContainerSpec {
        name: String::new(),
        labels: Labels {
            cluster: config.cluster.name.clone(),
            reservation: ReservationId::new(),
            user,
            uid: 0,
            slot: slot.id.clone(),
            deadline: Timestamp::now(),
        },
        hostname: "doctor".to_owned(),
        image: config.container.image.clone(),
        env: BTreeMap::new(),
        gpus: Vec::new(),
        limits: slot.limits.clone(),
        mounts: Vec::new(),
        agent: AgentPlace::Nowhere,
    }
}
