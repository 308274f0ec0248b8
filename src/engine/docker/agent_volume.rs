//! The agent's binary on a machine: one read-only volume for each build of it, filled once.
//!
//! A volume can only be written through a container, so a container that is never started is made
//! for it from the image at hand. A half-filled volume (we were killed) is seen by its size and filled again.

use std::path::{Path, PathBuf};

use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType};
use bollard::query_parameters::{
    ContainerArchiveInfoOptionsBuilder, RemoveContainerOptionsBuilder, UploadToContainerOptionsBuilder,
};
use bollard::{Docker, body_full};
use sha2::{Digest, Sha256};

use super::{CALL_LIMIT, START_LIMIT, limited};
use crate::agent::protocol::{BIN_DIR, BINARY_NAME};
use crate::engine::EngineError;
use crate::engine::labels::CLUSTER;

/// `clusteria` inside the container is the agent by another name.
const DOOR_NAME: &str = "clusteria";

#[derive(Debug)]
pub(super) struct AgentBinary {
    path: PathBuf,
}

impl AgentBinary {
    pub(super) fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    async fn read(&self) -> Result<Vec<u8>, EngineError> {
        tokio::fs::read(&self.path)
            .await
            .map_err(|e| EngineError::Local(format!("the agent's binary {}: {e}", self.path.display())))
    }
}

/// The volume's name, after making sure that it holds the agent.
pub(super) async fn ensure(
    docker: &Docker,
    agent: &AgentBinary,
    image: &str,
    cluster: &str,
) -> Result<String, EngineError> {
    let binary = agent.read().await?;
    let digest = Sha256::digest(&binary);
    let hash: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let volume = format!("clusteria-agent-{}-{hash}", env!("CARGO_PKG_VERSION"));
    let helper = create_helper(docker, image, &volume, cluster).await?;
    let filled = fill(docker, &helper, &binary).await;
    let options = RemoveContainerOptionsBuilder::default().force(true).build();
    limited(START_LIMIT, docker.remove_container(&helper, Some(options))).await?;
    filled.map(|()| volume)
}

async fn create_helper(
    docker: &Docker,
    image: &str,
    volume: &str,
    cluster: &str,
) -> Result<String, EngineError> {
    let mount = Mount {
        target: Some(BIN_DIR.into()),
        source: Some(volume.into()),
        typ: Some(MountType::VOLUME),
        ..Default::default()
    };
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: Some(vec![format!("{BIN_DIR}/{BINARY_NAME}")]),
        // Not the cluster's label: reconciliation must not take it for a reservation.
        labels: Some([(format!("{CLUSTER}.helper"), cluster.to_owned())].into()),
        host_config: Some(HostConfig {
            mounts: Some(vec![mount]),
            network_mode: Some("none".into()),
            ..Default::default()
        }),
        ..Default::default()
    };
    let none = None::<bollard::query_parameters::CreateContainerOptions>;
    Ok(limited(START_LIMIT, docker.create_container(none, body)).await?.id)
}

async fn fill(docker: &Docker, helper: &str, binary: &[u8]) -> Result<(), EngineError> {
    // The second name is written last: when it is whole, so is the first.
    let probe = ContainerArchiveInfoOptionsBuilder::default().path(&format!("{BIN_DIR}/{DOOR_NAME}")).build();
    if let Ok(info) = limited(CALL_LIMIT, docker.get_container_archive_info(helper, Some(probe))).await
        && usize::try_from(info.size).is_ok_and(|size| size == binary.len())
    {
        return Ok(());
    }
    let archive = archive(binary).map_err(|e| EngineError::Local(format!("packing the agent: {e}")))?;
    let options = UploadToContainerOptionsBuilder::default().path(BIN_DIR).build();
    let upload = docker.upload_to_container(helper, Some(options), body_full(archive.into()));
    limited(START_LIMIT, upload).await
}

fn archive(binary: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for name in [BINARY_NAME, DOOR_NAME] {
        let mut header = tar::Header::new_gnu();
        header.set_size(binary.len() as u64);
        header.set_mode(0o755);
        header.set_mtime(0);
        tar.append_data(&mut header, name, binary)?;
    }
    tar.into_inner()
}
