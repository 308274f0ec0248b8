//! Opening: claim → ledger → run directory → engine → agent. Whatever fails, nothing is left behind.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::lease::{Container, Lease, Start};
use super::role::Role;
use super::{Inner, clock, close, usage};
use crate::agent::protocol::{Account, AgentConfig, CONFIG_NAME, FAILURE_NAME};
use crate::audit::Event;
use crate::auth::{Identity, ReservationPassword};
use crate::bridge;
use crate::config::Slot;
use crate::engine::labels::container_name;
use crate::engine::{AgentPlace, ContainerSpec, Engine, EngineError, Labels, Progress, Stage};
use crate::error_chain::in_full;
use crate::handover::Fate;
use crate::reservation::{Book, EndReason, Refusal, Reservation, ReservationId};

/// From a started container to an answering agent.
const AGENT_LIMIT: Duration = Duration::from_secs(20);
/// For a name that is being freed.
const NAME_LIMIT: Duration = Duration::from_secs(3);
/// After so long without an answer the engine is asked whether the container still runs.
const FIRST_LOOK: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

impl Inner {
    /// Hands a fresh claim to a task of its own.
    pub(super) fn begin_start(
        self: &Arc<Self>,
        reservation: Reservation,
        who: Identity,
        password: Option<ReservationPassword>,
    ) -> Lease {
        let (told, start) = watch::channel(Start::Working(None));
        self.audit.note(Event::Claimed {
            user: reservation.user.clone(),
            slot: reservation.slot.clone(),
            reservation: reservation.id.clone(),
            deadline: reservation.deadline,
        });
        self.starts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(reservation.id.clone(), start.clone());
        let container = Container { password: password.clone(), ..self.container(reservation.clone()) };
        let lease = Lease::claimed(container, start);
        let left = self.config.reservation.lifetime;
        let opening = Opening { reservation, who, password, left };
        self.kept.spawn(run(self.clone(), opening, told));
        lease
    }
}

/// What is being opened, for whom.
struct Opening {
    reservation: Reservation,
    who: Identity,
    password: Option<ReservationPassword>,
    /// How long it lasts from now on.
    left: Duration,
}

impl Opening {
    /// A wall clock that was set meanwhile has moved the deadline in the book: what the container is told must be of one
    /// look at both.
    fn look_at_the_clock(&mut self, inner: &Inner) {
        let mut take = |book: &Book, now| {
            if let Some(held) = book.get(&self.reservation.id) {
                self.reservation.deadline = held.deadline;
            }
            self.left = self.reservation.left(now);
        };
        let mut look = || {
            inner.desk.change_if(|book| {
                let (now, was_set) = clock::look(book);
                take(book, now);
                was_set
            })
        };
        // A book that another owns has the deadlines that its owner has told.
        if inner.roles.as_owner(&mut look).is_err() {
            inner.desk.read(|book| take(book, clock::wall()));
        }
    }
}

async fn run(inner: Arc<Inner>, mut opening: Opening, told: watch::Sender<Start>) {
    let id = opening.reservation.id.clone();
    let outcome = start(&inner, &mut opening, &told).await;
    let reservation = opening.reservation;
    let ready = conclude(&inner, &id, outcome.is_ok()).await;
    let said = match outcome {
        Ok(()) if ready => {
            tracing::info!(reservation = %id, user = %reservation.user, slot = %reservation.slot, "active");
            inner.audit.note(Event::Ready {
                user: reservation.user.clone(),
                slot: reservation.slot.clone(),
                reservation: id,
            });
            Start::Ready
        }
        Ok(()) => {
            close::close(inner.clone(), reservation, EndReason::Released, None).await;
            Start::Failed(Refusal::Cancelled)
        }
        Err(refusal) => {
            let detail = detail_of(&refusal);
            tracing::error!(reservation = %id, user = %reservation.user, slot = %reservation.slot,
                detail, "start failed");
            inner.finish(&id, EndReason::Failed, Some(detail)).await;
            Start::Failed(refusal)
        }
    };
    told.send_replace(said);
}

/// Marks the reservation as active, if its container runs and nobody has ended it meanwhile.
async fn conclude(inner: &Inner, id: &ReservationId, runs: bool) -> bool {
    let mut active = false;
    // Not to be found as starting any more before anybody is told how it went.
    let mut conclude = || {
        active = runs && inner.desk.change(|book| book.activate(id));
        inner.starts.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    };
    loop {
        match inner.roles.as_owner(&mut conclude) {
            Ok(()) => return active,
            Err(Role::HandingOver) => drop(inner.roles.heir().await),
            Err(Role::Elder(heir)) => {
                conclude();
                if active {
                    // Who waits here need not wait for that.
                    let id = id.clone();
                    inner.kept.spawn(async move { heir.tell(&id, Fate::Active).await });
                }
                return active;
            }
            Err(Role::Owner) => {}
        }
    }
}

fn detail_of(refusal: &Refusal) -> String {
    match refusal {
        Refusal::StartFailed { detail, .. } | Refusal::LedgerFailed { detail } => detail.clone(),
        Refusal::GpusMissing { wanted, found, detail, .. } => {
            format!("{found} of {wanted} GPUs answer: {detail}")
        }
        other => format!("{other:?}"),
    }
}

async fn start(inner: &Inner, opening: &mut Opening, told: &watch::Sender<Start>) -> Result<(), Refusal> {
    let noted = opening.reservation.clone();
    let noted = inner.ledger.run(move |l| l.note_reservation(&noted)).await;
    noted.map_err(|e| Refusal::LedgerFailed { detail: in_full(&e) })?;
    let hash = match &opening.password {
        Some(password) => inner.set_password(&opening.reservation.id, password, None).await?,
        None => None,
    };
    opening.look_at_the_clock(inner);
    let reservation = &opening.reservation;
    let failed =
        |e: EngineError| Refusal::StartFailed { slot: reservation.slot.clone(), detail: e.to_string() };
    let engine = inner
        .engine(&reservation.slot.machine)
        .ok_or_else(|| Refusal::UnknownMachine(reservation.slot.machine.to_string()))?;
    let slot = find_slot(inner, reservation).ok_or(Refusal::UnknownSlot(reservation.slot.clone()))?;
    let place = agent_place(inner, reservation, &agent_config(inner, opening, hash)).map_err(&failed)?;
    let spec = spec(inner, opening, slot, place);
    let progress = |stage| {
        told.send_replace(Start::Working(Some(stage)));
    };
    start_when_name_is_free(engine.as_ref(), &spec, &progress).await.map_err(&failed)?;
    progress(Stage::Agent);
    if let Err(e) = wait_for_agent(inner, reservation, engine.as_ref(), &spec).await {
        remove_started(engine.as_ref(), &spec).await;
        return Err(failed(e));
    }
    if let Err(refusal) = usage::check_gpus(inner, reservation).await {
        remove_started(engine.as_ref(), &spec).await;
        return Err(refusal);
    }
    Ok(())
}

/// An engine frees a name a moment after the container that had it is gone. A name that somebody
/// really holds stays taken, and is the last word.
async fn start_when_name_is_free(
    engine: &dyn Engine,
    spec: &ContainerSpec,
    progress: Progress<'_>,
) -> Result<(), EngineError> {
    let limit = Instant::now() + NAME_LIMIT;
    loop {
        match engine.start(spec, progress).await {
            Err(EngineError::NameTaken(_)) if Instant::now() < limit => sleep(LONGEST_PAUSE).await,
            outcome => return outcome,
        }
    }
}

fn find_slot<'a>(inner: &'a Inner, reservation: &Reservation) -> Option<&'a Slot> {
    inner.config.machines.iter().flat_map(|m| &m.slots).find(|s| s.id == reservation.slot)
}

fn spec(inner: &Inner, opening: &Opening, slot: &Slot, agent: AgentPlace) -> ContainerSpec {
    let (config, reservation) = (&inner.config, &opening.reservation);
    let mut env: BTreeMap<String, String> = config.container.env.iter().cloned().collect();
    // The polite default: take GPU memory as it is needed, not all at once.
    env.entry("TF_FORCE_GPU_ALLOW_GROWTH".into()).or_insert_with(|| "true".into());
    if let Some(share) = slot.limits.gpu_memory {
        env.insert("CLUSTERIA_GPU_MEMORY".into(), share.to_string());
    }
    ContainerSpec {
        name: container_name(&config.cluster.name, &reservation.slot),
        labels: Labels {
            cluster: config.cluster.name.clone(),
            reservation: reservation.id.clone(),
            user: reservation.user.clone(),
            uid: opening.who.uid(),
            slot: reservation.slot.clone(),
            deadline: reservation.deadline,
        },
        hostname: format!("{}-{}", reservation.slot.machine, reservation.slot.number),
        image: config.container.image.clone(),
        env,
        gpus: slot.gpus.clone(),
        limits: slot.limits.clone(),
        mounts: config.mounts.clone(),
        agent,
    }
}

fn agent_config(inner: &Inner, opening: &Opening, password: Option<String>) -> AgentConfig {
    let (config, reservation, who) = (&inner.config, &opening.reservation, &opening.who);
    let milliseconds = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    let name = config.container.user.clone().unwrap_or_else(|| who.user().to_string());
    AgentConfig {
        reservation: reservation.id.to_string(),
        slot: reservation.slot.to_string(),
        account: Account {
            home: format!("/home/{name}"),
            name,
            uid: who.uid(),
            gid: who.uid(),
            shell: config.container.shell.clone(),
        },
        lifetime_ms: milliseconds(opening.left),
        warnings_ms: config.reservation.warnings.iter().copied().map(milliseconds).collect(),
        grace_ms: milliseconds(config.reservation.grace),
        jupyter: config.container.jupyter,
        password,
        keep_shells: config.reservation.keep_shells,
        keep_shells_for_ms: config.reservation.keep_shells_for.map(milliseconds),
        idle_ms: config.reservation.idle.map(milliseconds),
        tls: inner
            .published(&reservation.slot)
            .and_then(|_| inner.agent_keys.as_ref()?.agent(&reservation.id)),
        gpus: usage::gpu_plan(config, &reservation.slot),
        stores: config.mounts.iter().filter(|m| !m.read_only).map(|m| m.target.clone()).collect(),
    }
}

/// Where the agent finds its configuration: in a directory of this host, or, elsewhere, in its container.
fn agent_place(
    inner: &Inner,
    reservation: &Reservation,
    config: &AgentConfig,
) -> Result<AgentPlace, EngineError> {
    let Some(address) = inner.published(&reservation.slot) else {
        let run_dir = inner.run_dir(&reservation.id);
        write_run_dir(&run_dir, config)
            .map_err(|e| EngineError::Local(format!("the run directory {}: {e}", run_dir.display())))?;
        return Ok(AgentPlace::Shared { run_dir });
    };
    let encoded = serde_json::to_vec(config).map_err(|e| EngineError::Local(e.to_string()))?;
    Ok(AgentPlace::Published { address, files: vec![(CONFIG_NAME.to_owned(), encoded)] })
}

/// The directory is root's alone, on both sides of the bind mount: the user in the container
/// must not reach the agent's socket.
fn write_run_dir(directory: &Path, config: &AgentConfig) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let mut file = std::fs::File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(directory.join(CONFIG_NAME))?;
    file.write_all(&serde_json::to_vec(config)?)
}

async fn wait_for_agent(
    inner: &Inner,
    reservation: &Reservation,
    engine: &dyn Engine,
    spec: &ContainerSpec,
) -> Result<(), EngineError> {
    let address = inner.container(reservation.clone()).agent;
    let limit = Instant::now() + AGENT_LIMIT;
    let (mut pause, mut look) = (FIRST_PAUSE, Instant::now() + FIRST_LOOK);
    loop {
        let error = match bridge::ping(&address).await {
            Ok(()) => return Ok(()),
            Err(e) => e,
        };
        if let AgentPlace::Shared { run_dir } = &spec.agent
            && let Ok(why) = tokio::fs::read_to_string(run_dir.join(FAILURE_NAME)).await
        {
            return Err(EngineError::Local(format!("the agent could not start: {}", why.trim())));
        }
        if Instant::now() >= look {
            look = Instant::now() + FIRST_LOOK;
            if engine.find(&spec.labels.cluster, &spec.name).await?.is_none_or(|found| !found.running) {
                return Err(EngineError::Local("the container started but ended at once".into()));
            }
        }
        if Instant::now() >= limit {
            return Err(EngineError::Local(format!("the container started but {}", in_full(&error))));
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Best effort: what cannot be removed now is found by reconciliation, by its labels.
async fn remove_started(engine: &dyn Engine, spec: &ContainerSpec) {
    let removed = match engine.find(&spec.labels.cluster, &spec.name).await {
        Ok(Some(found)) => engine.remove(&found.key).await,
        Ok(None) => Ok(()),
        Err(e) => Err(e),
    };
    if let Err(e) = removed {
        tracing::warn!(container = spec.name, "left for reconciliation: {e}");
    }
}
