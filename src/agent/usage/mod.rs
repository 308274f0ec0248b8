//! What the container uses: sampled by threads that may hang, reported by one that never does.
//!
//! A request is answered from what is known. Being asked makes nvidia-smi be asked again soon; otherwise that is
//! done seldom, because on a sleeping GPU it costs a second of processor time. What must be told to the people on
//! the terminals is told from here, gateway or not.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

pub mod alarm;
mod cgroup;
mod machine;
mod nvidia;
pub mod report;
mod smi;
mod stores;

use alarm::{Alarm, Alarms};
use report::{Amount, Budget, Gpus, Usage};
use stores::Stores;

use super::probe;
use super::protocol::GpuPlan;
use super::run::{RunError, named};
use super::serve::Agent;
use crate::text::agent::Notice;

/// Between two looks at the control group: a handful of small files.
const PERIOD: Duration = Duration::from_secs(2);
/// Between two questions to nvidia-smi, while somebody looks and while nobody does.
const GPU_PERIOD: Duration = Duration::from_secs(2);
const GPU_IDLE_PERIOD: Duration = Duration::from_secs(20);
/// A program that cannot fork tries again and again: people are told once in this time.
const FORKS_AGAIN: Duration = Duration::from_secs(60);

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    stores: Stores,
    state: Mutex<State>,
    /// Rung by who asks.
    asked: Condvar,
}

#[derive(Debug, Default)]
struct State {
    usage: Usage,
    /// Since when nvidia-smi is being waited for.
    asking: Option<Instant>,
    somebody_asked: bool,
}

impl Sampler {
    /// Over the mounts that people write to.
    pub(super) fn over(targets: &[String]) -> Self {
        Self { stores: Stores::watch(targets), ..Self::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known, at once. Somebody looks: nvidia-smi is asked again soon.
    pub(super) fn report(&self, plan: &GpuPlan) -> Usage {
        self.state().somebody_asked = true;
        self.asked.notify_all();
        self.known(plan)
    }

    fn known(&self, plan: &GpuPlan) -> Usage {
        let mut usage = {
            let state = self.state();
            let mut usage = state.usage.clone();
            if let Some(waited) = state.asking.map(|since| since.elapsed()).filter(|w| *w > smi::LIMIT) {
                usage.gpus = Gpus::Silent { seconds: u32::try_from(waited.as_secs()).unwrap_or(u32::MAX) };
            }
            usage
        };
        usage.stores = self.stores.report();
        usage.budget = plan.budget.map(|bytes| Budget { bytes, used: used(&usage.gpus, plan) });
        usage
    }

    fn ask_gpus(&self, agent: &Agent) {
        let Some(program) = smi::find() else {
            let none = if agent.config.gpus.count == 0 { Gpus::None } else { Gpus::Missing };
            self.state().usage.gpus = none;
            return;
        };
        self.state().asking = Some(Instant::now());
        let gpus = smi::ask(agent, &program);
        let mut state = self.state();
        (state.usage.gpus, state.asking) = (gpus, None);
    }

    /// Until somebody asks, or for long.
    fn wait(&self) {
        sleep(GPU_PERIOD);
        let state = self.state();
        let waited = self.asked.wait_timeout_while(state, GPU_IDLE_PERIOD, |state| !state.somebody_asked);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.somebody_asked = false;
    }
}

/// The container's own part where the driver tells it; all of a GPU that nobody shares.
fn used(gpus: &Gpus, plan: &GpuPlan) -> Option<u64> {
    let Gpus::Listed { gpus, processes } = gpus else { return None };
    if !plan.shared {
        return Some(gpus.iter().filter_map(|gpu| gpu.memory_used).fold(0, u64::saturating_add));
    }
    let own = processes.iter().filter_map(|process| process.memory);
    (!processes.is_empty()).then(|| own.fold(0, u64::saturating_add))
}

/// Starts the threads that look.
pub(super) fn start(agent: &Arc<Agent>) -> Result<(), RunError> {
    // A thread is a process to the limit of them: none where there is nothing to ask.
    if agent.config.gpus.count == 0 && smi::find().is_none() {
        agent.usage.state().usage.gpus = Gpus::None;
    } else {
        let own = agent.clone();
        named("gpus", move || {
            while !own.end.has_begun() {
                own.usage.ask_gpus(&own);
                own.usage.wait();
            }
        })?;
    }
    let own = agent.clone();
    named("usage", move || watch(&own))
}

fn watch(agent: &Agent) {
    let mut alarms = Alarms::default();
    let mut before: Option<(Instant, u64)> = None;
    let mut forks_told: Option<Instant> = None;
    while !agent.end.has_begun() {
        let (found, machine) = (cgroup::look(Path::new(cgroup::ROOT)), machine::look());
        let now = Instant::now();
        let percent = before.zip(found.processor_us).and_then(|((then, start), end)| {
            let wall = u64::try_from(now.duration_since(then).as_micros()).ok()?;
            u32::try_from(end.saturating_sub(start).saturating_mul(100).checked_div(wall)?).ok()
        });
        before = found.processor_us.map(|time| (now, time));
        {
            let usage = &mut agent.usage.state().usage;
            (usage.memory, usage.processes) = (found.memory, found.processes);
            (usage.oom_kills, usage.forks_refused) = (found.oom_kills, found.forks_refused);
            usage.load_hundredths = machine.load_hundredths;
            (usage.machine_memory, usage.machine_processors) = (machine.memory, machine.processors);
            usage.processors_percent = percent;
        }
        for alarm in alarms.look(&agent.usage.known(&agent.config.gpus), agent.config.gpus.count) {
            let is_forks = matches!(alarm, Alarm::TooManyProcesses { .. });
            if is_forks && forks_told.is_some_and(|told| told.elapsed() < FORKS_AGAIN) {
                continue;
            }
            forks_told = if is_forks { Some(now) } else { forks_told };
            agent.terminals.say(&Notice::Alarm(&alarm));
        }
        sleep(PERIOD);
    }
}

/// What `clusteria doctor`'s probe is told of memory and processes.
pub(super) fn container_limits() -> (Option<Amount>, Option<Amount>) {
    let found = cgroup::look(Path::new(cgroup::ROOT));
    (found.memory, found.processes)
}

/// What it is told of GPUs; whoever asks keeps the time.
pub(super) fn gpus_of_probe() -> Gpus {
    let Some(program) = smi::find() else { return Gpus::Missing };
    let answer = probe::output(&program, &nvidia::GPUS).and_then(|answer| nvidia::gpus(&answer));
    match answer {
        Ok(gpus) => Gpus::Listed { gpus, processes: Vec::new() },
        Err(why) => Gpus::Failed { why: nvidia::short(why.lines().next().unwrap_or("it failed")) },
    }
}

#[cfg(test)]
mod tests {
    use super::report::{Gpu, GpuProcess};
    use super::*;

    #[test]
    fn what_counts_towards_the_share() {
        let gpu = |used| Gpu {
            index: 0,
            uuid: "GPU-1".into(),
            name: String::new(),
            memory_used: Some(used),
            memory_total: None,
            busy_percent: None,
            celsius: None,
        };
        let process = GpuProcess { pid: 5, command: String::new(), gpu: "GPU-1".into(), memory: Some(30) };
        let plan = |shared| GpuPlan { count: 1, shared, budget: Some(50) };
        let listed = |processes| Gpus::Listed { gpus: vec![gpu(70)], processes };
        assert_eq!(used(&listed(vec![process.clone()]), &plan(true)), Some(30), "not the neighbours'");
        assert_eq!(used(&listed(vec![]), &plan(true)), None, "whose it is nobody tells");
        assert_eq!(used(&listed(vec![process]), &plan(false)), Some(70));
        assert_eq!(used(&Gpus::Missing, &plan(false)), None);
    }
}
