//! Docker Engine, API 1.41 (20.10) and up: the only user of bollard.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bollard::errors::Error;
use bollard::models::ContainerSummaryStateEnum;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, EventsOptionsBuilder, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder, UploadToContainerOptionsBuilder,
};
use bollard::{Docker, body_full};
use futures_util::StreamExt;
use tokio::sync::{Notify, OnceCell};
use tokio::time::{sleep, timeout};

use super::labels::{CLUSTER, bridge_name, network_name};
use super::{
    AgentPlace, ContainerKey, ContainerSpec, Engine, EngineError, Examination, Found, Labels, Progress, Stage,
};
use crate::config::EngineAddress;
use crate::error_chain::in_full;

mod agent_volume;
mod examine;
mod image;
mod line;
mod run_files;
mod spec;
mod ssh;

/// An engine that does not answer a question in this time is as good as gone.
const CALL_LIMIT: Duration = Duration::from_secs(10);
/// Between two looks at a container that is going.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Creating and starting touch the disk and the GPU driver.
const START_LIMIT: Duration = Duration::from_secs(60);

/// So much of why an engine does not answer, in characters.
const MOST_WORDS: usize = 300;

/// One machine's engine.
#[derive(Debug)]
pub struct DockerEngine {
    address: EngineAddress,
    agent: agent_volume::AgentBinary,
    /// Forgotten when the line breaks: what returns may be another engine, or the same with another disk.
    met: Mutex<Option<Arc<Met>>>,
}

/// An engine that has answered.
#[derive(Debug)]
struct Met {
    docker: Docker,
    network: OnceCell<String>,
    agent_volume: OnceCell<String>,
}

impl DockerEngine {
    /// An engine. Nothing is asked yet, so one that is down is no error here.
    #[must_use]
    pub fn new(address: &EngineAddress, agent_binary: &Path) -> Self {
        Self {
            address: address.clone(),
            agent: agent_volume::AgentBinary::at(agent_binary),
            met: Mutex::default(),
        }
    }

    /// The engine, its API version agreed on (bollard's default is newer than what 20.10 speaks).
    async fn meet(&self) -> Result<Arc<Met>, EngineError> {
        if let Some(met) = &*self.met.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(met.clone());
        }
        let docker = limited(CALL_LIMIT, line::client(&self.address)).await?;
        let met = Arc::new(Met { docker, network: OnceCell::new(), agent_volume: OnceCell::new() });
        *self.met.lock().unwrap_or_else(PoisonError::into_inner) = Some(met.clone());
        Ok(met)
    }

    fn forget(&self) {
        *self.met.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn wait_removed(&self, found: &ContainerKey) -> Result<(), EngineError> {
        let met = self.meet().await?;
        let docker = &met.docker;
        let gone = async {
            loop {
                match limited(CALL_LIMIT, docker.inspect_container(&found.0, None)).await {
                    Err(EngineError::Refused(why)) if why.starts_with("404") => return Ok(()),
                    Err(other) => return Err(other),
                    Ok(_) => sleep(LOOK_AGAIN).await,
                }
            }
        };
        timeout(START_LIMIT, gone)
            .await
            .unwrap_or_else(|_| Err(EngineError::Unreachable("a container is being removed for ever".into())))
    }

    /// The agent's volume and the cluster's network, made at their first use.
    async fn surroundings<'m>(
        &self,
        met: &'m Met,
        spec: &ContainerSpec,
        image: &str,
    ) -> Result<(&'m str, &'m str), EngineError> {
        let (docker, cluster) = (&met.docker, &spec.labels.cluster);
        let volume = || agent_volume::ensure(docker, &self.agent, image, cluster);
        let volume = met.agent_volume.get_or_try_init(volume).await?;
        let network = met.network.get_or_try_init(|| ensure_network(docker, cluster)).await?;
        Ok((volume, network))
    }

    async fn create(
        &self,
        spec: &ContainerSpec,
        progress: Progress<'_>,
    ) -> Result<ContainerKey, EngineError> {
        let met = self.meet().await?;
        let docker = &met.docker;
        let image = image::ensure(docker, &spec.image, progress).await?;
        progress(Stage::Creating);
        let (volume, network) = self.surroundings(&met, spec, &image).await?;
        let body = spec::body(spec, &image, volume, network);
        let options = CreateContainerOptionsBuilder::default().name(&spec.name).build();
        match limited(START_LIMIT, docker.create_container(Some(options), body)).await {
            Ok(created) => Ok(ContainerKey(created.id)),
            Err(EngineError::Refused(why)) if why.starts_with("409") => {
                Err(EngineError::NameTaken(spec.name.clone()))
            }
            Err(other) => Err(other),
        }
    }
}

#[async_trait]
impl Engine for DockerEngine {
    async fn list(&self, cluster: &str) -> Result<Vec<Found>, EngineError> {
        let filters = HashMap::from([("label".to_owned(), vec![format!("{CLUSTER}={cluster}")])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let met = self.meet().await?;
        let docker = &met.docker;
        let summaries = limited(CALL_LIMIT, docker.list_containers(Some(options))).await?;
        let found = |summary: bollard::models::ContainerSummary| {
            let labels = summary.labels.unwrap_or_default();
            Some(Found {
                key: ContainerKey(summary.id?),
                running: summary.state.is_some_and(runs),
                labels: Labels::from_map(&labels),
            })
        };
        Ok(summaries.into_iter().filter_map(found).collect())
    }

    async fn find(&self, cluster: &str, name: &str) -> Result<Option<Found>, EngineError> {
        let met = self.meet().await?;
        let docker = &met.docker;
        let inspected = match limited(CALL_LIMIT, docker.inspect_container(name, None)).await {
            Err(EngineError::Refused(why)) if why.starts_with("404") => return Ok(None),
            other => other?,
        };
        let labels = inspected.config.and_then(|c| c.labels).unwrap_or_default();
        if labels.get(CLUSTER).is_none_or(|c| c != cluster) {
            return Ok(None);
        }
        Ok(inspected.id.map(|id| Found {
            key: ContainerKey(id),
            running: inspected.state.and_then(|s| s.running).unwrap_or_default(),
            labels: Labels::from_map(&labels),
        }))
    }

    async fn start(&self, spec: &ContainerSpec, progress: Progress<'_>) -> Result<(), EngineError> {
        let key = self.create(spec, progress).await?;
        progress(Stage::Starting);
        let met = self.meet().await?;
        let docker = &met.docker;
        let begin = async {
            if let AgentPlace::Published { files, .. } = &spec.agent {
                put_files(docker, &key, files).await?;
            }
            limited(START_LIMIT, docker.start_container(&key.0, None)).await
        };
        let started = begin.await;
        if started.is_err()
            && let Err(e) = self.remove(&key).await
        {
            tracing::warn!(container = spec.name, "could not remove what did not start: {e}");
        }
        started
    }

    async fn wait_stopped(&self, found: &ContainerKey) -> Result<(), EngineError> {
        let met = self.meet().await?;
        let docker = &met.docker;
        let mut exits = docker.wait_container(&found.0, None);
        match exits.next().await {
            // A non-zero exit and "no such container" are both answers: it does not run.
            None | Some(Ok(_) | Err(Error::DockerContainerWaitError { .. })) => Ok(()),
            Some(Err(Error::DockerResponseServerError { status_code: 404, .. })) => Ok(()),
            Some(Err(e)) => Err(translate(e)),
        }
    }

    async fn remove(&self, found: &ContainerKey) -> Result<(), EngineError> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let met = self.meet().await?;
        let docker = &met.docker;
        match limited(START_LIMIT, docker.remove_container(&found.0, Some(options))).await {
            Err(EngineError::Refused(why)) if why.starts_with("404") => Ok(()),
            // Being removed already: not gone before its name is free again.
            Err(EngineError::Refused(why)) if why.starts_with("409") => self.wait_removed(found).await,
            other => other,
        }
    }

    async fn listen(&self, cluster: &str, bell: &Notify) -> EngineError {
        let filters = HashMap::from([
            ("type".to_owned(), vec!["container".to_owned()]),
            ("event".to_owned(), vec!["die".to_owned(), "destroy".to_owned()]),
            ("label".to_owned(), vec![format!("{CLUSTER}={cluster}")]),
        ]);
        let options = EventsOptionsBuilder::default().filters(&filters).build();
        let met = match self.meet().await {
            Ok(met) => met,
            Err(e) => return e,
        };
        let mut events = met.docker.events(Some(options));
        let broken = loop {
            match events.next().await {
                Some(Ok(_)) => bell.notify_one(),
                Some(Err(e)) => break translate(e),
                None => break EngineError::Unreachable("the event stream ended".into()),
            }
        };
        self.forget();
        // Whoever holds the machine for well is told at once.
        bell.notify_one();
        broken
    }

    async fn has_image(&self, image: &str) -> Result<bool, EngineError> {
        image::find(&self.meet().await?.docker, image).await.map(|found| found.is_some())
    }

    async fn examine(&self, cluster: &str, image: &str) -> Result<Examination, EngineError> {
        examine::examine(&self.meet().await?.docker, cluster, image).await
    }

    async fn probe(
        &self,
        spec: &ContainerSpec,
        command: Vec<String>,
        limit: Duration,
    ) -> Result<String, EngineError> {
        let met = self.meet().await?;
        let (volume, network) = self.surroundings(&met, spec, &spec.image).await?;
        examine::probe(&met.docker, spec, command, limit, volume, network).await
    }

    async fn version(&self) -> Result<String, EngineError> {
        let version = limited(CALL_LIMIT, self.meet().await?.docker.version()).await?;
        Ok(version.version.unwrap_or_else(|| "unknown".into()))
    }
}

/// One that an administrator has paused goes on when they let it.
fn runs(state: ContainerSummaryStateEnum) -> bool {
    use ContainerSummaryStateEnum as S;
    matches!(state, S::RUNNING | S::PAUSED | S::RESTARTING)
}

/// Into a container that is not started yet: a machine elsewhere has no directory of ours.
async fn put_files(
    docker: &Docker,
    key: &ContainerKey,
    files: &[(String, Vec<u8>)],
) -> Result<(), EngineError> {
    let archive = run_files::archive(files);
    let archive = archive.map_err(|e| EngineError::Local(format!("packing the agent's files: {e}")))?;
    let options = UploadToContainerOptionsBuilder::default().path("/").build();
    limited(START_LIMIT, docker.upload_to_container(&key.0, Some(options), body_full(archive.into()))).await
}

/// One bridge for each cluster, on which containers cannot reach each other.
async fn ensure_network(docker: &Docker, cluster: &str) -> Result<String, EngineError> {
    let name = network_name(cluster);
    match limited(CALL_LIMIT, docker.inspect_network(&name, None)).await {
        Ok(_) => return Ok(name),
        Err(EngineError::Refused(why)) if why.starts_with("404") => {}
        Err(other) => return Err(other),
    }
    let request = bollard::models::NetworkCreateRequest {
        name: name.clone(),
        driver: Some("bridge".into()),
        options: Some(HashMap::from([
            ("com.docker.network.bridge.enable_icc".to_owned(), "false".to_owned()),
            // A name that the packet filter's rules can know.
            ("com.docker.network.bridge.name".to_owned(), bridge_name(cluster)),
        ])),
        labels: Some(HashMap::from([(CLUSTER.to_owned(), cluster.to_owned())])),
        ..Default::default()
    };
    match limited(START_LIMIT, docker.create_network(request)).await {
        Ok(_) => Ok(name),
        Err(EngineError::Refused(why)) if why.starts_with("409") => Ok(name),
        Err(other) => Err(other),
    }
}

async fn limited<T>(limit: Duration, call: impl Future<Output = Result<T, Error>>) -> Result<T, EngineError> {
    match timeout(limit, call).await {
        Ok(outcome) => outcome.map_err(translate),
        Err(_) => Err(EngineError::Unreachable(format!("no answer within {} s", limit.as_secs()))),
    }
}

fn translate(error: Error) -> EngineError {
    match error {
        Error::DockerResponseServerError { status_code, message } => {
            EngineError::Refused(format!("{status_code}: {message}"))
        }
        Error::DockerStreamError { error } => EngineError::Refused(error),
        other => EngineError::Unreachable(in_full(&other).chars().take(MOST_WORDS).collect()),
    }
}
