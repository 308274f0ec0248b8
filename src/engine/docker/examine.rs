//! Looking an engine over for `clusteria doctor`: what it is and can do, and a container that looks around inside.

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::models::{HostConfigLogConfig, SystemInfo};
use bollard::query_parameters::{
    CreateContainerOptions, LogsOptionsBuilder, RemoveContainerOptionsBuilder, WaitContainerOptions,
};
use futures_util::StreamExt;
use std::time::Duration;
use tokio::time::timeout;

use super::{CALL_LIMIT, START_LIMIT, limited, spec, translate};
use crate::engine::labels::{CLUSTER, network_name};
use crate::engine::{ContainerSpec, EngineError, Examination, FoundImage, FoundNetwork};

/// Longer answers are cut.
const LONGEST_ANSWER: usize = 256 * 1024;

pub(super) async fn examine(docker: &Docker, cluster: &str, image: &str) -> Result<Examination, EngineError> {
    let version = limited(CALL_LIMIT, docker.version()).await?;
    let info = limited(CALL_LIMIT, docker.info()).await?;
    let network = network(docker, cluster).await?;
    let image = found_image(docker, image).await?;
    Ok(Examination {
        version: version.version.unwrap_or_default(),
        api: version.api_version.unwrap_or_default(),
        cgroup: cgroup(&info),
        storage: storage(&info),
        disk_limits: has_disk_limits(&info),
        live_restore: info.live_restore_enabled.unwrap_or_default(),
        memory_limit: info.memory_limit.unwrap_or_default(),
        swap_limit: info.swap_limit.unwrap_or_default(),
        pids_limit: info.pids_limit.unwrap_or_default(),
        cpu_limit: info.cpu_cfs_quota.unwrap_or_default(),
        cdi: info.cdi_spec_dirs.as_ref().is_some_and(|folders| !folders.is_empty()),
        time: info.system_time.as_deref().and_then(|time| time.parse().ok()),
        image,
        network,
    })
}

fn cgroup(info: &SystemInfo) -> String {
    let driver = info.cgroup_driver.as_ref().map(ToString::to_string).unwrap_or_default();
    let version = info.cgroup_version.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("{driver}, version {version}")
}

fn status<'a>(info: &'a SystemInfo, name: &str) -> Option<&'a str> {
    let rows = info.driver_status.as_ref()?;
    rows.iter().find_map(|row| match row.as_slice() {
        [key, value, ..] if key == name => Some(value.as_str()),
        _ => None,
    })
}

fn storage(info: &SystemInfo) -> String {
    let driver = info.driver.as_deref().unwrap_or("unknown");
    match status(info, "Backing Filesystem") {
        Some(backing) => format!("{driver} on {backing}"),
        None => driver.to_owned(),
    }
}

/// btrfs and zfs always; overlay2 on XFS with project quotas, which the engine does not tell: the probe finds out.
fn has_disk_limits(info: &SystemInfo) -> bool {
    match info.driver.as_deref() {
        Some("overlay2") => status(info, "Backing Filesystem") == Some("xfs"),
        Some("btrfs" | "zfs" | "windowsfilter") => true,
        _ => false,
    }
}

async fn network(docker: &Docker, cluster: &str) -> Result<Option<FoundNetwork>, EngineError> {
    let found = match limited(CALL_LIMIT, docker.inspect_network(&network_name(cluster), None)).await {
        Ok(found) => found,
        Err(EngineError::Refused(why)) if why.starts_with("404") => return Ok(None),
        Err(other) => return Err(other),
    };
    let options = found.options.unwrap_or_default();
    let option = |name: &str| options.get(&format!("com.docker.network.bridge.{name}")).cloned();
    Ok(Some(FoundNetwork {
        separated: option("enable_icc").as_deref() == Some("false"),
        bridge: option("name"),
    }))
}

async fn found_image(docker: &Docker, image: &str) -> Result<Option<FoundImage>, EngineError> {
    match limited(CALL_LIMIT, docker.inspect_image(image)).await {
        Ok(found) => Ok(Some(FoundImage {
            id: found.id.unwrap_or_default(),
            digests: found.repo_digests.unwrap_or_default(),
        })),
        Err(EngineError::Refused(why)) if why.starts_with("404") => Ok(None),
        Err(other) => Err(other),
    }
}

/// Made as a reservation's container is, but for what runs in it, and gone afterwards.
pub(super) async fn probe(
    docker: &Docker,
    wanted: &ContainerSpec,
    command: Vec<String>,
    limit: Duration,
    volume: &str,
    network: &str,
) -> Result<String, EngineError> {
    let image = super::image::find(docker, &wanted.image).await?;
    let image = image.ok_or_else(|| EngineError::Local(format!("image {} is not here", wanted.image)))?;
    let mut body = spec::body(wanted, &image, volume, network);
    body.cmd = Some(command);
    // Not the cluster's label: reconciliation must not take it for a reservation.
    body.labels = Some([(format!("{CLUSTER}.helper"), wanted.labels.cluster.clone())].into());
    if let Some(host) = &mut body.host_config {
        // Whatever the engine does with logs by default: this is how the answer comes back.
        host.log_config = Some(HostConfigLogConfig { typ: Some("json-file".into()), config: None });
    }
    let made = limited(START_LIMIT, docker.create_container(None::<CreateContainerOptions>, body)).await?;
    let answer = timeout(limit, run(docker, &made.id)).await;
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    let removed = limited(START_LIMIT, docker.remove_container(&made.id, Some(options))).await;
    let late = || EngineError::Unreachable(format!("the probe did not end within {} s", limit.as_secs()));
    let answer = answer.map_err(|_| late())??;
    removed.map(|()| answer)
}

async fn run(docker: &Docker, id: &str) -> Result<String, EngineError> {
    limited(START_LIMIT, docker.start_container(id, None)).await?;
    let status = ended(docker, id).await?;
    let options = LogsOptionsBuilder::default().stdout(true).build();
    let mut lines = docker.logs(id, Some(options));
    let mut answer = Vec::new();
    while let Some(piece) = lines.next().await {
        if let LogOutput::StdOut { message } | LogOutput::Console { message } = piece.map_err(translate)? {
            answer.extend_from_slice(&message);
        }
        if answer.len() > LONGEST_ANSWER {
            break;
        }
    }
    if answer.is_empty() {
        return Err(EngineError::Local(format!("the probe ended with status {status} and said nothing")));
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Waits for its end. Returns its exit status.
async fn ended(docker: &Docker, id: &str) -> Result<i64, EngineError> {
    match docker.wait_container(id, None::<WaitContainerOptions>).next().await {
        Some(Ok(end)) => Ok(end.status_code),
        Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => Ok(code),
        Some(Err(e)) => Err(translate(e)),
        None => Err(EngineError::Local("the engine does not say how the probe ended".into())),
    }
}
