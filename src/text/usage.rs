//! What containers use and may use, in words.

use super::uses::Uses;
use super::{Lang, Say, printable};
use crate::agent::usage::alarm::Alarm;
use crate::agent::usage::report::{Amount, Budget, Gpu, GpuProcess, Gpus, Store, StoreState, Usage};
use crate::config::Limits;

/// A quantity as people read it: `8 GiB`, `11.5 GiB`, `512 MiB`.
#[must_use]
pub fn bytes(count: u64, lang: Lang) -> String {
    const UNITS: [(u64, &str, &str); 4] =
        [(1 << 40, "TiB", "Tio"), (1 << 30, "GiB", "Gio"), (1 << 20, "MiB", "Mio"), (1 << 10, "KiB", "Kio")];
    let Some((size, en, fr)) = UNITS.into_iter().find(|(size, ..)| count >= *size) else {
        return lang.pick(format!("{count} B"), format!("{count} o"));
    };
    let tenths = u128::from(count) * 10 / u128::from(size);
    let (whole, tenth) = (tenths / 10, tenths % 10);
    match (tenth, whole) {
        (0, _) | (_, 100..) => format!("{whole} {}", lang.pick(en, fr)),
        _ => lang.pick(format!("{whole}.{tenth} {en}"), format!("{whole},{tenth} {fr}")),
    }
}

/// So much of so much, the unit once where it is the same: `31 of 48 GiB`.
#[must_use]
pub fn used_of(used: u64, total: u64, lang: Lang) -> String {
    let (used, total) = (bytes(used, lang), bytes(total, lang));
    let same = used.split_once(' ').zip(total.split_once(' ')).filter(|(used, total)| used.1 == total.1);
    let used = same.map_or(used.as_str(), |(used, _)| used.0);
    lang.pick(format!("{used} of {total}"), format!("{used} sur {total}"))
}

/// What people call a GPU: the maker's name and its brand tell nobody anything.
#[must_use]
pub fn short_model(name: &str) -> &str {
    let name = name.trim();
    let name = name.strip_prefix("NVIDIA ").unwrap_or(name);
    name.strip_prefix("GeForce ").unwrap_or(name)
}

/// Something that somebody must be told, on their terminals.
pub(super) fn alarm(alarm: &Alarm, lang: Lang) -> String {
    let size = |count| bytes(count, lang);
    match alarm {
        Alarm::OutOfMemory { kills, limit } => {
            let limit_en = limit.map_or_else(|| "the memory limit".into(), |l| format!("the memory limit of {}", size(l)));
            let limit_fr = limit.map_or_else(|| "la limite de mémoire".into(), |l| format!("la limite de mémoire de {}", size(l)));
            match kills {
                1 => lang.pick(
                    format!("a process was killed: over {limit_en}"),
                    format!("un processus a été tué : au-delà de {limit_fr}"),
                ),
                kills => lang.pick(
                    format!("{kills} processes were killed: over {limit_en}"),
                    format!("{kills} processus ont été tués : au-delà de {limit_fr}"),
                ),
            }
        }
        Alarm::TooManyProcesses { limit } => {
            let limit = limit.map(|limit| format!(" ({limit})")).unwrap_or_default();
            lang.pick(
                format!("a process could not be started: the limit of processes is reached{limit}"),
                format!("un processus n'a pas pu démarrer : la limite du nombre de processus est atteinte{limit}"),
            )
        }
        Alarm::StoreFull { target, percent } => {
            let target = printable(target);
            lang.pick(
                format!("{target} is full ({percent} %): nothing more can be saved there. Delete what you no longer need"),
                format!("{target} est plein ({percent} %) : plus rien ne peut y être enregistré. Supprimez ce qui ne sert plus"),
            )
        }
        Alarm::StoreSilent { target } => {
            let target = printable(target);
            lang.pick(
                format!("{target} does not answer: programs that use it wait. Work in your home meanwhile"),
                format!("{target} ne répond pas : les programmes qui l'utilisent attendent. Travaillez dans votre dossier en attendant"),
            )
        }
        Alarm::OverBudget { used, budget } => {
            let (used, budget) = (size(*used), size(*budget));
            lang.pick(
                format!("your programs use {used} of GPU memory; the share of this slot is {budget}. Please reduce batch sizes: others work on this GPU"),
                format!("vos programmes utilisent {used} de mémoire GPU ; la part de cette place est de {budget}. Merci de réduire la taille des lots : d'autres travaillent sur ce GPU"),
            )
        }
        Alarm::GpusLost { wanted, found } => lang.pick(
            format!("{found} of {wanted} GPUs answer. Save your work; your administrator can see it too"),
            format!("{found} GPU sur {wanted} répondent. Enregistrez votre travail ; l'administrateur le voit aussi"),
        ),
    }
}

/// Parts of one too; French has its plural from two on.
fn processors(count: f64, lang: Lang) -> String {
    let few = lang.pick(count == 1.0, count < 2.0);
    let noun = lang.pick("processor", "processeur");
    let number = lang.pick(count.to_string(), count.to_string().replace('.', ","));
    format!("{number} {noun}{}", if few { "" } else { "s" })
}

/// What a slot may use; one line. Empty where nothing is limited.
#[derive(Debug)]
pub struct Limited<'a>(pub &'a Limits);

impl Say for Limited<'_> {
    fn say(&self, lang: Lang) -> String {
        let Limits { memory, cpus, shm, pids, disk, gpu_memory } = self.0;
        let size = |count: &Option<u64>, en: &str, fr: &str| {
            count.map(|count| format!("{} {}", lang.pick(en, fr), bytes(count, lang)))
        };
        let parts = [
            size(memory, "memory", "mémoire"),
            cpus.map(|cpus| processors(cpus, lang)),
            size(gpu_memory, "GPU memory", "mémoire GPU"),
            size(shm, "/dev/shm", "/dev/shm"),
            size(disk, "own disk", "disque propre"),
            pids.map(|pids| lang.pick(format!("{pids} processes"), format!("{pids} processus"))),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() {
            return String::new();
        }
        let parts = parts.join(" · ");
        lang.pick(format!("limits: {parts}"), format!("limites : {parts}"))
    }
}

/// What a container uses, line by line; with its processes for those whose they are.
#[must_use]
pub fn lines(usage: &Usage, with_processes: bool, lang: Lang) -> Vec<String> {
    let mut lines = vec![own(usage, lang)];
    lines.extend(gpus(&usage.gpus, with_processes, lang));
    lines.extend(usage.budget.as_ref().and_then(|share| budget(share, lang)));
    lines.extend(usage.stores.iter().map(|place| store(place, lang)));
    if usage.oom_kills > 0 {
        let kills = usage.oom_kills;
        lines.push(lang.pick(
            format!("killed because memory was over: {kills} so far"),
            format!("tués par manque de mémoire : {kills} jusqu'ici"),
        ));
    }
    lines.retain(|line| !line.is_empty());
    lines
}

fn amount(amount: Amount, show: impl Fn(u64) -> String, lang: Lang) -> String {
    let used = show(amount.used);
    match amount.limit.map(show) {
        Some(limit) => lang.pick(format!("{used} of {limit}"), format!("{used} sur {limit}")),
        None => used,
    }
}

fn own(usage: &Usage, lang: Lang) -> String {
    let memory = usage.memory.map(|memory| {
        let memory = amount(memory, |count| bytes(count, lang), lang);
        lang.pick(format!("memory {memory}"), format!("mémoire {memory}"))
    });
    let processors = usage
        .processors_percent
        .map(|percent| lang.pick(format!("processors {percent} %"), format!("processeurs {percent} %")));
    let processes = usage.processes.map(|processes| {
        let processes = amount(processes, |count| count.to_string(), lang);
        lang.pick(format!("processes {processes}"), format!("processus {processes}"))
    });
    let load = usage.load_hundredths.map(|load| {
        let (whole, part) = (load / 100, load % 100);
        lang.pick(
            format!("load of the machine {whole}.{part:02}"),
            format!("charge de la machine {whole},{part:02}"),
        )
    });
    [memory, processors, processes, load].into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

fn gpus(gpus: &Gpus, with_processes: bool, lang: Lang) -> Vec<String> {
    match gpus {
        Gpus::Listed { gpus, processes } => {
            let mut lines: Vec<String> = gpus.iter().map(|one| gpu(one, lang)).collect();
            if with_processes {
                lines.extend(processes.iter().map(|one| process(one, lang)));
            }
            lines
        }
        other => trouble(other, lang).into_iter().collect(),
    }
}

/// Why nothing is known of GPUs that should be there.
#[must_use]
pub fn trouble(gpus: &Gpus, lang: Lang) -> Option<String> {
    match gpus {
        Gpus::Unknown | Gpus::None | Gpus::Listed { .. } => None,
        Gpus::Missing => Some(lang.pick(
            "GPU: there is no nvidia-smi in the container".into(),
            "GPU : pas de nvidia-smi dans le conteneur".into(),
        )),
        Gpus::Silent { seconds } => Some(lang.pick(
            format!("GPU: nvidia-smi has not answered for {seconds} s"),
            format!("GPU : nvidia-smi ne répond pas depuis {seconds} s"),
        )),
        Gpus::Failed { why } => {
            let why = printable(why);
            Some(lang.pick(format!("GPU: {why}"), format!("GPU : {why}")))
        }
    }
}

fn gpu(gpu: &Gpu, lang: Lang) -> String {
    let name = printable(short_model(&gpu.name));
    let mut parts = vec![Uses::Gpu { index: gpu.index, name: &name }.say(lang)];
    if let Some(used) = gpu.memory_used {
        let memory = amount(Amount { used, limit: gpu.memory_total }, |count| bytes(count, lang), lang);
        parts.push(lang.pick(format!("memory {memory}"), format!("mémoire {memory}")));
    }
    if let Some(busy) = gpu.busy_percent {
        parts.push(lang.pick(format!("busy {busy} %"), format!("occupé à {busy} %")));
    }
    parts.extend(gpu.celsius.map(|degrees| Uses::Celsius { degrees }.say(lang)));
    parts.join(" · ")
}

fn process(process: &GpuProcess, lang: Lang) -> String {
    let memory = process.memory.map(|memory| format!(" · {}", bytes(memory, lang))).unwrap_or_default();
    format!("  {} {}{memory}", process.pid, printable(&process.command))
}

fn budget(budget: &Budget, lang: Lang) -> Option<String> {
    let of =
        amount(Amount { used: budget.used?, limit: Some(budget.bytes) }, |count| bytes(count, lang), lang);
    let over = if budget.is_over() { lang.pick(": over it", " : dépassée") } else { "" };
    Some(lang.pick(format!("share of GPU memory: {of}{over}"), format!("part de mémoire GPU : {of}{over}")))
}

fn store(store: &Store, lang: Lang) -> String {
    let target = printable(&store.target);
    let said = match &store.state {
        StoreState::Space { used, total } => {
            let of = amount(Amount { used: *used, limit: Some(*total) }, |count| bytes(count, lang), lang);
            let percent = store.state.percent().unwrap_or_default();
            let full = if percent >= 99 { lang.pick(": full", " : plein") } else { "" };
            format!("{of} ({percent} %){full}")
        }
        other => store_trouble(other, lang),
    };
    lang.pick(format!("{target}: {said}"), format!("{target} : {said}"))
}

/// Why nothing is known of a store; empty where something is.
#[must_use]
pub fn store_trouble(state: &StoreState, lang: Lang) -> String {
    match state {
        StoreState::Space { .. } => String::new(),
        StoreState::Silent { seconds } => lang
            .pick(format!("has not answered for {seconds} s"), format!("ne répond pas depuis {seconds} s")),
        StoreState::Failed { why } => printable(why),
    }
}

/// A few words for a list: GPU memory and how busy, or what is wrong. Empty where there is nothing to say.
#[must_use]
pub fn brief(usage: &Usage, lang: Lang) -> String {
    let mut parts = Vec::new();
    if let Gpus::Listed { gpus, .. } = &usage.gpus {
        // A container may lie: its numbers have no bounds.
        let used = gpus.iter().filter_map(|gpu| gpu.memory_used).fold(0, u64::saturating_add);
        let total = gpus.iter().filter_map(|gpu| gpu.memory_total).fold(0, u64::saturating_add);
        if total > 0 {
            parts.push(format!(
                "GPU {}",
                amount(Amount { used, limit: Some(total) }, |c| bytes(c, lang), lang)
            ));
        }
        if let Some(busy) = gpus.iter().filter_map(|gpu| gpu.busy_percent).max() {
            parts.push(Uses::Percent { percent: busy }.say(lang));
        }
    }
    parts.extend(wrong(usage, lang));
    parts.join(" · ")
}

/// What is wrong, in a few words each: GPUs, the share of them, stores.
#[must_use]
pub fn wrong(usage: &Usage, lang: Lang) -> Vec<String> {
    let mut parts: Vec<String> = trouble(&usage.gpus, lang).into_iter().collect();
    if usage.budget.is_some_and(|budget| budget.is_over()) {
        parts.push(Uses::OverShare.say(lang));
    }
    let silent_or_full = |store: &&Store| store.state.percent().is_none_or(|percent| percent >= 99);
    parts.extend(usage.stores.iter().filter(silent_or_full).map(|place| store(place, lang)));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        let read = |count| bytes(count, Lang::En);
        assert_eq!(read(8 << 30), "8 GiB");
        assert_eq!(read((11 << 30) + (1 << 29)), "11.5 GiB");
        assert_eq!(read(999), "999 B");
        assert_eq!(bytes(1536, Lang::Fr), "1,5 Kio");
        assert_eq!(used_of(17 << 29, 24 << 30, Lang::En), "8.5 of 24 GiB");
        assert_eq!(used_of(512 << 20, 24 << 30, Lang::Fr), "512 Mio sur 24 Gio");
    }

    #[test]
    fn one_processor_is_one() {
        let said = |count| [Lang::En, Lang::Fr].map(|lang| processors(count, lang));
        assert_eq!(said(1.0), ["1 processor", "1 processeur"]);
        assert_eq!(said(1.5), ["1.5 processors", "1,5 processeur"]);
        assert_eq!(said(8.0), ["8 processors", "8 processeurs"]);
    }

    #[test]
    fn models_are_called_by_what_tells_them_apart() {
        for (name, short) in [
            ("NVIDIA GeForce RTX 4090", "RTX 4090"),
            ("NVIDIA H100 80GB HBM3", "H100 80GB HBM3"),
            ("GeForce GTX 1080", "GTX 1080"),
            (" Tesla T4 ", "Tesla T4"),
            ("", ""),
        ] {
            assert_eq!(short_model(name), short);
        }
    }

    #[test]
    fn limits_are_one_line_and_none_is_no_line() {
        let limits = Limits { memory: Some(8 << 30), pids: Some(64), ..Limits::default() };
        assert_eq!(Limited(&limits).say(Lang::En), "limits: memory 8 GiB · 64 processes");
        assert_eq!(Limited(&Limits::default()).say(Lang::En), "");
    }

    #[test]
    fn killed_for_memory_says_so() {
        let killed = Alarm::OutOfMemory { kills: 1, limit: Some(8 << 30) };
        assert_eq!(alarm(&killed, Lang::En), "a process was killed: over the memory limit of 8 GiB");
        assert_eq!(
            alarm(&killed, Lang::Fr),
            "un processus a été tué : au-delà de la limite de mémoire de 8 Gio"
        );
    }

    #[test]
    fn numbers_without_bounds_are_no_trouble() {
        let all = u64::MAX;
        let gpu = Gpu {
            index: u32::MAX,
            uuid: String::new(),
            name: String::new(),
            memory_used: Some(all),
            memory_total: Some(all),
            busy_percent: Some(u32::MAX),
            celsius: Some(u32::MAX),
        };
        let usage = Usage {
            gpus: Gpus::Listed { gpus: vec![gpu.clone(), gpu], processes: Vec::new() },
            budget: Some(Budget { bytes: 1, used: Some(all) }),
            memory: Some(Amount { used: all, limit: Some(0) }),
            stores: vec![Store { target: "/s".into(), state: StoreState::Space { used: all, total: 1 } }],
            oom_kills: all,
            forks_refused: all,
            load_hundredths: Some(u32::MAX),
            processors_percent: Some(u32::MAX),
            ..Usage::default()
        };
        for lang in [Lang::En, Lang::Fr] {
            assert!(!lines(&usage, true, lang).is_empty() && !brief(&usage, lang).is_empty());
        }
        let mut alarms = crate::agent::usage::alarm::Alarms::default();
        alarms.look(&Usage::default(), usize::MAX);
        assert!(alarms.look(&usage, usize::MAX).iter().all(|told| !alarm(told, Lang::Fr).is_empty()));
    }

    #[test]
    fn nothing_from_a_container_paints_on_the_screen() {
        let gpus = Gpus::Failed { why: "\x1b[2J".into() };
        let usage = Usage { gpus, ..Usage::default() };
        assert!(lines(&usage, true, Lang::En).iter().all(|line| !line.contains('\x1b')));
        assert!(!brief(&usage, Lang::Fr).contains('\x1b'));
    }
}
