//! What one's container uses of what there is, as bars: of the menu, and of the page.

use super::figures::percent;
use crate::agent::usage::report::{Amount, Gpu, Gpus, StoreState, Usage};
use crate::text::mine::Mine;
use crate::text::usage::{bytes, short_model, store_trouble, trouble, used_of};
use crate::text::uses::Uses;
use crate::text::{Lang, Say};

/// How much of something is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gauge {
    /// Of what: text from outside.
    pub name: String,
    /// Out of 100; what cannot be measured has no bar.
    pub percent: Option<u64>,
    /// In words, such as `3.1 of 10 GiB`: text from outside.
    pub words: String,
}

impl Gauge {
    fn new(name: String, Amount { used, limit }: Amount, more: &[String], lang: Lang) -> Self {
        let of = match limit {
            Some(total) => used_of(used, total, lang),
            None => bytes(used, lang),
        };
        let words = std::iter::once(of).chain(more.iter().cloned()).collect::<Vec<_>>().join(" · ");
        Self { name, percent: limit.map(|total| percent(used, total)), words }
    }

    fn words(name: String, words: String) -> Self {
        Self { name, percent: None, words }
    }

    fn of_gpu(gpu: &Gpu, lang: Lang) -> Self {
        let busy = gpu.busy_percent.map(|percent| Uses::Percent { percent }.say(lang));
        let celsius = gpu.celsius.map(|degrees| Uses::Celsius { degrees }.say(lang));
        let more: Vec<String> = busy.into_iter().chain(celsius).collect();
        let name = Uses::Gpu { index: gpu.index, name: short_model(&gpu.name) }.say(lang);
        match gpu.memory_used {
            Some(used) => Self::new(name, Amount { used, limit: gpu.memory_total }, &more, lang),
            None => Self::words(name, more.join(" · ")),
        }
    }

    /// All that is known of a container: GPUs, memory, storage.
    #[must_use]
    pub fn all(usage: &Usage, lang: Lang) -> Vec<Self> {
        let without = |words: Uses<'_>| Self::words(Uses::Gpus { count: 1 }.say(lang), words.say(lang));
        let mut gauges: Vec<Self> = match &usage.gpus {
            Gpus::Listed { gpus, .. } => gpus.iter().map(|gpu| Self::of_gpu(gpu, lang)).collect(),
            Gpus::None => vec![without(Uses::NoGpu)],
            Gpus::Unknown => vec![without(Uses::NotYet)],
            other => {
                trouble(other, lang).map(|words| Self::words(String::new(), words)).into_iter().collect()
            }
        };
        gauges.extend(usage.budget.and_then(|budget| {
            let over = budget.is_over().then(|| Uses::OverShare.say(lang));
            let share = Amount { used: budget.used?, limit: Some(budget.bytes) };
            Some(Self::new(Uses::Share.say(lang), share, over.as_slice(), lang))
        }));
        gauges.extend(usage.memory.map(|memory| Self::new(Mine::Memory.say(lang), memory, &[], lang)));
        for store in &usage.stores {
            gauges.push(match &store.state {
                StoreState::Space { used, total } => {
                    let full = (store.state.percent() >= Some(99)).then(|| Uses::Full.say(lang));
                    let space = Amount { used: *used, limit: Some(*total) };
                    Self::new(store.target.clone(), space, full.as_slice(), lang)
                }
                other => Self::words(store.target.clone(), store_trouble(other, lang)),
            });
        }
        gauges
    }
}
