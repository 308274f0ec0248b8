//! What a probe has seen in a container, weighed. Pure.

use super::Notes;
use crate::agent::probe::{Findings, Knock, MountState};
use crate::agent::usage::report::Gpus;
use crate::config::{Config, Limits, Mount, MountSource, Slot};
use crate::engine::EngineError;
use crate::text::Lang;
use crate::text::usage::{bytes, trouble};

/// Less room than this is as good as none, in percent.
const ROOM: u64 = 5;
/// A full file system may have this left, in bytes, and take no file.
const HARDLY_ANYTHING: u64 = 64 << 10;

pub(super) fn limits(notes: &mut Notes, wanted: &Limits, found: &Findings) {
    let holds = |wanted: Option<u64>, found: Option<u64>| wanted.is_none() || wanted == found;
    let memory = found.memory.and_then(|memory| memory.limit);
    let pids = found.processes.and_then(|processes| processes.limit);
    let fix = "look at the machine's control groups: docker info, its warnings";
    // The kernel counts memory in pages.
    let pages = |bytes: u64| bytes / 4096;
    let broken = [
        ("memory limit", !holds(wanted.memory.map(pages), memory.map(pages))),
        ("pids limit", !holds(wanted.pids, pids)),
    ];
    for (subject, _) in broken.iter().filter(|(_, broken)| *broken) {
        notes.error(subject, "it does not hold in a container", fix);
    }
    if broken.iter().all(|(_, broken)| !broken) {
        notes.ok("container", "one starts, and its limits hold");
    }
}

pub(super) fn doors(notes: &mut Notes, config: &Config, found: &Findings) {
    let is_allowed = |place: &std::net::SocketAddr| {
        let std::net::IpAddr::V4(address) = place.ip() else { return false };
        config.network.allow.iter().any(|allowed| {
            let mask = u32::MAX.checked_shl(32 - u32::from(allowed.prefix)).unwrap_or(0);
            u32::from(address) & mask == u32::from(allowed.address)
                && allowed.port.is_none_or(|port| port == place.port())
        })
    };
    let open: Vec<String> = found
        .doors
        .iter()
        .filter(|(place, knock)| *knock != Knock::Closed && !is_allowed(place))
        .map(|(place, knock)| match knock {
            Knock::Open => format!("{place} (somebody answers)"),
            Knock::Refused | Knock::Closed => place.to_string(),
        })
        .collect();
    if found.doors.is_empty() || open.is_empty() {
        return notes.ok("network rules", "the machine and the gateway cannot be reached from a container");
    }
    notes.error(
        "network rules",
        format!("containers reach the machine or the gateway: {}", open.join(", ")),
        "install the packet filter's rules on this machine: clusteria firewall, deploy/machine/clusteria-firewall.service",
    );
}

pub(super) fn mount(notes: &mut Notes, mount: &Mount, found: Result<Findings, EngineError>) {
    let subject = format!("mount {}", mount.target);
    let source = match &mount.source {
        MountSource::Path(path) => format!("does {} exist on the machine?", path.display()),
        MountSource::Volume(name) => format!("look at the volume: docker volume inspect {name}"),
        MountSource::Nfs { server, path } => {
            format!("does {server} answer, and does it export {path} to this machine? showmount -e {server}")
        }
    };
    let state = match found {
        Ok(found) => found.mounts.into_iter().next().map(|mount| mount.state),
        Err(e) => return notes.error(&subject, e.to_string(), &source),
    };
    match state {
        None | Some(MountState::Silent) => notes.error(&subject, "it does not answer", &source),
        Some(MountState::Broken(why)) => notes.error(&subject, why, &source),
        Some(MountState::There { writable, free, total }) => {
            there(notes, &subject, mount, &writable, free, total);
        }
    }
}

fn there(
    notes: &mut Notes,
    subject: &str,
    mount: &Mount,
    writable: &Result<(), String>,
    free: u64,
    total: u64,
) {
    let size = |count| bytes(count, Lang::En);
    let room = format!("{} free of {}", size(free), size(total));
    let make_room = "delete what nobody needs, or make it larger";
    match (mount.read_only, writable) {
        (true, Ok(())) => {
            return notes.error(
                subject,
                "it is read-only in the configuration and can be written",
                "report this",
            );
        }
        // Room for nothing: what a full disk refuses is no right that is missing, and an empty file needs none. Where
        // nothing is counted, only a try tells.
        (false, tried) if free < HARDLY_ANYTHING && (tried.is_err() || total > 0) => {
            return notes.error(subject, format!("full: {room}"), make_room);
        }
        (false, Err(why)) => {
            return notes.error(
                subject,
                format!("people cannot write there: {why}"),
                "give everybody the right to (chmod 1777 keeps them from deleting others' files), or say read_only = true",
            );
        }
        (true, Err(_)) | (false, Ok(())) => {}
    }
    if !mount.read_only && u128::from(free) * 100 < u128::from(total) * u128::from(ROOM) {
        return notes.warn(subject, format!("nearly full: {room}"), make_room);
    }
    notes.ok(
        subject,
        if mount.read_only { "read-only, answers".to_owned() } else { format!("writable, {room}") },
    );
}

pub(super) fn gpus(notes: &mut Notes, slot: &Slot, found: Result<Findings, EngineError>) {
    let subject = format!("GPUs of {}", slot.id);
    let names = slot.gpus.join(", ");
    match found.map(|found| found.gpus) {
        Err(e) => notes.error(
            &subject,
            format!("{names}: {e}"),
            "is NVIDIA's container toolkit installed, and are these names right? nvidia-smi -L on the machine",
        ),
        Ok(Gpus::Listed { gpus, .. }) if gpus.len() >= slot.gpus.len() => {
            let listed: Vec<String> = gpus.iter().map(|gpu| format!("{} {}", gpu.uuid, gpu.name)).collect();
            notes.ok(&subject, listed.join(", "));
        }
        Ok(other) => {
            let listed = other.count().unwrap_or_default();
            let why = trouble(&other, Lang::En).map(|why| format!(": {why}")).unwrap_or_default();
            notes.error(
                &subject,
                format!("{names}: {listed} of {} answer in a container{why}", slot.gpus.len()),
                "run nvidia-smi on the machine; if it hangs or fails there too, restart the machine",
            );
        }
    }
}
