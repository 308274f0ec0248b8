//! What a container uses, in the wire's own types: people and programs are shown them too.

use serde::{Deserialize, Serialize};

/// One look at a container. Text in it comes from the container: bounded, and to be made printable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Its GPUs.
    pub gpus: Gpus,
    /// The slot's share of GPU memory, and how much of it is used.
    pub budget: Option<Budget>,
    /// Memory in bytes, without what the kernel can take back at once.
    pub memory: Option<Amount>,
    /// Processor time used, in percent of one processor.
    pub processors_percent: Option<u32>,
    /// The machine's load of the last minute, in hundredths.
    pub load_hundredths: Option<u32>,
    /// The machine's memory in bytes.
    #[serde(default)]
    pub machine_memory: Option<Amount>,
    /// The machine's processors.
    #[serde(default)]
    pub machine_processors: Option<u32>,
    /// Processes and threads.
    pub processes: Option<Amount>,
    /// The places people write to that are not the container's own.
    pub stores: Vec<Store>,
    /// Processes that the kernel has killed because memory was over.
    pub oom_kills: u64,
    /// Processes that could not be started because there were too many.
    pub forks_refused: u64,
}

/// So much, of so much where there is a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// In use.
    pub used: u64,
    /// At most.
    pub limit: Option<u64>,
}

/// A slot's share of GPU memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// In bytes.
    pub bytes: u64,
    /// In use by this container, where that can be known.
    pub used: Option<u64>,
}

impl Budget {
    /// Does the container use more than its share?
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.used.is_some_and(|used| used > self.bytes)
    }
}

/// What nvidia-smi says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gpus {
    /// It has not been asked yet.
    #[default]
    Unknown,
    /// The slot has none, and the image has no nvidia-smi.
    None,
    /// The slot has GPUs, but there is no nvidia-smi in the container.
    Missing,
    /// It was asked and has not answered for so long.
    Silent {
        /// Seconds.
        seconds: u32,
    },
    /// It failed.
    Failed {
        /// In its own words.
        why: String,
    },
    /// It answered.
    Listed {
        /// The GPUs.
        gpus: Vec<Gpu>,
        /// The processes on them that are this container's.
        processes: Vec<GpuProcess>,
    },
}

impl Gpus {
    /// How many there are; `None` when that is not known.
    #[must_use]
    pub fn count(&self) -> Option<usize> {
        match self {
            Self::Unknown => None,
            Self::Listed { gpus, .. } => Some(gpus.len()),
            Self::None | Self::Missing | Self::Silent { .. } | Self::Failed { .. } => Some(0),
        }
    }
}

/// One GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gpu {
    /// As the container counts.
    pub index: u32,
    /// Its own name, the same everywhere.
    pub uuid: String,
    /// What it is.
    pub name: String,
    /// Memory in use, by anybody, in bytes.
    pub memory_used: Option<u64>,
    /// Memory in all.
    pub memory_total: Option<u64>,
    /// How busy, in percent.
    pub busy_percent: Option<u32>,
    /// How warm, in degrees Celsius.
    pub celsius: Option<u32>,
}

/// A process on a GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuProcess {
    /// Its id in the container.
    pub pid: i32,
    /// What runs.
    pub command: String,
    /// Where, by the GPU's uuid.
    pub gpu: String,
    /// GPU memory in bytes.
    pub memory: Option<u64>,
}

/// A place that people write to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    /// Its path in the container.
    pub target: String,
    /// How it does.
    pub state: StoreState,
}

/// How a store does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreState {
    /// It answers.
    Space {
        /// Bytes in use.
        used: u64,
        /// Bytes in all, for users.
        total: u64,
    },
    /// It does not answer, for so long.
    Silent {
        /// Seconds.
        seconds: u32,
    },
    /// It cannot be looked at.
    Failed {
        /// In the system's words.
        why: String,
    },
}

impl StoreState {
    /// How full, in percent, rounded down: 100 is full.
    #[must_use]
    pub fn percent(&self) -> Option<u64> {
        match self {
            Self::Space { used, total } if *total > 0 => {
                Some(u64::try_from(u128::from(*used) * 100 / u128::from(*total)).unwrap_or(100))
            }
            _ => None,
        }
    }
}
