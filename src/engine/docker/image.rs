//! Images: found by tag or digest, fetched when missing, used by their id.

use std::collections::HashMap;
use std::time::Duration;

use bollard::Docker;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;
use tokio::time::timeout;

use super::{CALL_LIMIT, limited};
use crate::engine::{EngineError, Progress, Stage};
use crate::error_chain::in_full;

/// A registry that sends nothing for this long has stopped sending.
const PULL_SILENCE: Duration = Duration::from_secs(120);

/// The image's id, if the engine has it. The id, so that a tag moved meanwhile changes nothing.
pub(super) async fn find(docker: &Docker, image: &str) -> Result<Option<String>, EngineError> {
    match limited(CALL_LIMIT, docker.inspect_image(image)).await {
        Ok(inspected) => Ok(inspected.id),
        Err(EngineError::Refused(why)) if why.starts_with("404") => Ok(None),
        Err(other) => Err(other),
    }
}

/// The image's id; fetches it first where it is missing.
pub(super) async fn ensure(
    docker: &Docker,
    image: &str,
    progress: Progress<'_>,
) -> Result<String, EngineError> {
    if let Some(id) = find(docker, image).await? {
        return Ok(id);
    }
    let missing = |detail: String| EngineError::ImageMissing { image: image.to_owned(), detail };
    pull(docker, image, progress).await.map_err(missing)?;
    find(docker, image).await?.ok_or_else(|| missing("it was fetched but is not there".into()))
}

async fn pull(docker: &Docker, image: &str, progress: Progress<'_>) -> Result<(), String> {
    let options = CreateImageOptionsBuilder::default().from_image(image).build();
    let mut steps = docker.create_image(Some(options), None, None);
    let mut layers = HashMap::new();
    loop {
        match timeout(PULL_SILENCE, steps.next()).await {
            Err(_) => return Err(format!("the registry sent nothing for {} s", PULL_SILENCE.as_secs())),
            Ok(None) => return Ok(()),
            Ok(Some(Err(e))) => return Err(in_full(&e)),
            Ok(Some(Ok(step))) => {
                note(&mut layers, &step);
                progress(summary(&layers));
            }
        }
    }
}

struct Layer {
    bytes: u64,
    done: bool,
}

fn note(layers: &mut HashMap<String, Layer>, step: &CreateImageInfo) {
    let Some(id) = &step.id else { return };
    let status = step.status.as_deref().unwrap_or_default();
    let layer = layers.entry(id.clone()).or_insert(Layer { bytes: 0, done: false });
    if status == "Downloading"
        && let Some(current) = step.progress_detail.as_ref().and_then(|d| d.current)
    {
        layer.bytes = u64::try_from(current).unwrap_or_default();
    }
    layer.done |= matches!(status, "Pull complete" | "Already exists");
}

fn summary(layers: &HashMap<String, Layer>) -> Stage {
    Stage::Pulling {
        layers_done: layers.values().filter(|l| l.done).count(),
        layers: layers.len(),
        bytes: layers.values().map(|l| l.bytes).sum(),
    }
}
