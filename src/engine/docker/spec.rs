//! What a container is made with (design: never privileged, no Docker socket, capabilities dropped).

use std::collections::HashMap;
use std::net::SocketAddr;

use bollard::models::{
    ContainerCreateBody, DeviceRequest, HostConfig, Mount as DockerMount, MountType, MountVolumeOptions,
    MountVolumeOptionsDriverConfig, PortBinding, RestartPolicy, RestartPolicyNameEnum,
};

use crate::agent::protocol::{BIN_DIR, BINARY_NAME, RUN_DIR, TLS_PORT};
use crate::config::{Limits, Mount, MountSource};
use crate::engine::{AgentPlace, ContainerSpec};

/// What the agent needs as PID 1: to give the user their home and terminals, to become the user,
/// and to end the user's processes. The user's own processes have none of these.
const CAPABILITIES: [&str; 5] = ["CHOWN", "DAC_OVERRIDE", "KILL", "SETGID", "SETUID"];

pub(super) fn body(spec: &ContainerSpec, image: &str, volume: &str, network: &str) -> ContainerCreateBody {
    ContainerCreateBody {
        hostname: Some(spec.hostname.clone()),
        image: Some(image.to_owned()),
        entrypoint: Some(vec![format!("{BIN_DIR}/{BINARY_NAME}")]),
        cmd: Some(vec!["run".into(), RUN_DIR.into()]),
        env: Some(spec.env.iter().map(|(key, value)| format!("{key}={value}")).collect()),
        labels: Some(spec.labels.to_map()),
        user: Some("0:0".into()),
        working_dir: Some("/".into()),
        exposed_ports: matches!(spec.agent, AgentPlace::Published { .. }).then(|| vec![agent_port()]),
        host_config: Some(host_config(spec, volume, network)),
        ..Default::default()
    }
}

fn host_config(spec: &ContainerSpec, volume: &str, network: &str) -> HostConfig {
    let Limits { memory, cpus, shm, pids, disk, .. } = spec.limits;
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let mut mounts = vec![agent_binary(volume)];
    let mut port_bindings = None;
    match &spec.agent {
        AgentPlace::Shared { run_dir } => mounts.push(bind(&run_dir.to_string_lossy(), RUN_DIR, false)),
        AgentPlace::Published { address, .. } => port_bindings = Some(published(address)),
        AgentPlace::Nowhere => {}
    }
    mounts.extend(spec.mounts.iter().map(site_mount));
    HostConfig {
        // Not `AutoRemove`: an engine that was killed removes such containers when it returns, live-restore or not (seen
        // with 20.10). What has stopped we remove ourselves.
        auto_remove: Some(false),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        cap_drop: Some(vec!["ALL".into()]),
        cap_add: Some(CAPABILITIES.map(String::from).into()),
        security_opt: Some(vec!["no-new-privileges".into()]),
        network_mode: Some(network.to_owned()),
        memory: memory.map(signed),
        // As much swap as memory would let a container push its neighbours out of the page cache.
        memory_swap: memory.map(signed),
        nano_cpus: cpus.map(nano),
        shm_size: shm.map(signed),
        pids_limit: pids.map(signed),
        device_requests: device_requests(&spec.gpus),
        storage_opt: disk.map(|bytes| HashMap::from([("size".to_owned(), bytes.to_string())])),
        mounts: Some(mounts),
        port_bindings,
        ..Default::default()
    }
}

/// The agent's port, on this one address of the machine's.
fn published(address: &SocketAddr) -> HashMap<String, Option<Vec<PortBinding>>> {
    let (host_ip, host_port) = (Some(address.ip().to_string()), Some(address.port().to_string()));
    HashMap::from([(agent_port(), Some(vec![PortBinding { host_ip, host_port }]))])
}

fn agent_port() -> String {
    format!("{TLS_PORT}/tcp")
}

#[allow(clippy::cast_possible_truncation)] // checked configuration: at most some thousand processors
fn nano(cpus: f64) -> i64 {
    (cpus * 1e9) as i64
}

fn device_requests(gpus: &[String]) -> Option<Vec<DeviceRequest>> {
    let (cdi, plain): (Vec<_>, Vec<_>) = gpus.iter().cloned().partition(|gpu| gpu.contains('='));
    let request = |driver: &str, ids: Vec<String>, capabilities| DeviceRequest {
        driver: Some(driver.into()),
        device_ids: Some(ids),
        capabilities,
        ..Default::default()
    };
    let mut requests = Vec::new();
    if !plain.is_empty() {
        requests.push(request("nvidia", plain, Some(vec![vec!["gpu".into()]])));
    }
    if !cdi.is_empty() {
        requests.push(request("cdi", cdi, None));
    }
    (!requests.is_empty()).then_some(requests)
}

fn agent_binary(volume: &str) -> DockerMount {
    DockerMount {
        target: Some(BIN_DIR.into()),
        source: Some(volume.into()),
        typ: Some(MountType::VOLUME),
        read_only: Some(true),
        ..Default::default()
    }
}

fn bind(source: &str, target: &str, read_only: bool) -> DockerMount {
    DockerMount {
        target: Some(target.into()),
        source: Some(source.into()),
        typ: Some(MountType::BIND),
        read_only: Some(read_only),
        ..Default::default()
    }
}

fn site_mount(mount: &Mount) -> DockerMount {
    match &mount.source {
        MountSource::Path(path) => bind(&path.to_string_lossy(), &mount.target, mount.read_only),
        MountSource::Volume(name) => DockerMount {
            target: Some(mount.target.clone()),
            source: Some(name.clone()),
            typ: Some(MountType::VOLUME),
            read_only: Some(mount.read_only),
            ..Default::default()
        },
        MountSource::Nfs { server, path } => nfs(server, path, mount),
    }
}

/// A volume of Docker's local driver that mounts the export when the container starts. Hard, as is NFS's default: while its
/// server is away who writes waits, and nothing that was written is lost. Nothing of an image is copied into it.
fn nfs(server: &str, path: &str, mount: &Mount) -> DockerMount {
    let access = if mount.read_only { "ro" } else { "rw" };
    let options = HashMap::from([
        ("type".to_owned(), "nfs".to_owned()),
        ("o".to_owned(), format!("addr={server},{access},nfsvers=4,nosuid,nodev")),
        ("device".to_owned(), format!(":{path}")),
    ]);
    DockerMount {
        target: Some(mount.target.clone()),
        typ: Some(MountType::VOLUME),
        read_only: Some(mount.read_only),
        volume_options: Some(MountVolumeOptions {
            no_copy: Some(true),
            driver_config: Some(MountVolumeOptionsDriverConfig {
                name: Some("local".into()),
                options: Some(options),
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}
