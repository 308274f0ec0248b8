//! What a container uses of what there is, as bars.

use crate::agent::usage::report::{Gpu, Gpus, StoreState, Usage};
use crate::text::mine::Mine;
use crate::text::usage::bytes;
use crate::text::{Lang, Say};

/// How much of something is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gauge {
    /// Of what: text from outside.
    pub name: String,
    /// Out of 100.
    pub percent: u8,
    /// In words, such as `3.1 of 10 GiB`: text from outside.
    pub words: String,
}

impl Gauge {
    fn new(name: String, used: u64, total: u64, more: &[String], lang: Lang) -> Self {
        let of = Mine::UsedOf { used: &bytes(used, lang), total: &bytes(total, lang) }.say(lang);
        let words = std::iter::once(of).chain(more.iter().cloned()).collect::<Vec<_>>().join(" · ");
        let percent = u128::from(used).saturating_mul(100) / u128::from(total.max(1));
        Self { name, percent: u8::try_from(percent).unwrap_or(u8::MAX), words }
    }

    fn of_gpu(gpu: &Gpu, lang: Lang) -> Option<Self> {
        let mut more: Vec<String> = gpu.busy_percent.iter().map(|busy| format!("{busy} %")).collect();
        more.extend(gpu.celsius.map(|celsius| format!("{celsius} °C")));
        let name = format!("GPU {} {}", gpu.index, gpu.name);
        Some(Self::new(name, gpu.memory_used?, gpu.memory_total?, &more, lang))
    }

    /// All that is known of a container: GPUs, memory, storage. What is not known has no bar.
    #[must_use]
    pub fn all(usage: &Usage, lang: Lang) -> Vec<Self> {
        let mut gauges = Vec::new();
        if let Gpus::Listed { gpus, .. } = &usage.gpus {
            gauges.extend(gpus.iter().filter_map(|gpu| Self::of_gpu(gpu, lang)));
        }
        if let Some((memory, limit)) = usage.memory.and_then(|memory| Some((memory, memory.limit?))) {
            gauges.push(Self::new(Mine::Memory.say(lang), memory.used, limit, &[], lang));
        }
        for store in &usage.stores {
            if let StoreState::Space { used, total } = store.state {
                gauges.push(Self::new(store.target.clone(), used, total, &[], lang));
            }
        }
        gauges
    }
}
