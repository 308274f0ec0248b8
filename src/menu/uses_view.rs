//! The lines below a machine's or a slot's row: what is used there, and who works there.

use ratatui::text::{Line, Span};

use super::figures::{Figure, percent, row};
use super::model::Model;
use super::wrap::{cut, width};
use crate::agent::usage::report::{Amount, Gpu, Gpus, Usage};
use crate::reservation::view::{MachineView, SlotState, SlotView};
use crate::text::menu::Until;
use crate::text::usage::{trouble, used_of, wrong};
use crate::text::uses::Uses;
use crate::text::{Lang, Say};
use crate::workspace::usage::{MachineUse, Model as Kind};

/// Where these lines begin: below the name.
const INDENT: usize = 6;

/// Below a machine: its GPUs, then who has which slot. The first is worth most.
pub(super) fn below_machine(model: &Model, machine: &MachineView, columns: usize) -> Vec<Line<'static>> {
    let room = columns.saturating_sub(INDENT);
    let figures = match (&machine.offline, model.uses.machine(&machine.name)) {
        (None, Some(found)) => of_machine(machine, found, model.lang),
        _ => Vec::new(),
    };
    [row(figures, room), holders(model, machine, room)].into_iter().filter_map(indented).collect()
}

/// Below a slot: what runs in it uses.
pub(super) fn below_slot(model: &Model, slot: &SlotView, columns: usize) -> Vec<Line<'static>> {
    let figures = of_slot(model, slot);
    indented(row(figures, columns.saturating_sub(INDENT))).into_iter().collect()
}

fn indented(spans: Vec<Span<'static>>) -> Option<Line<'static>> {
    if spans.iter().all(|span| span.content.is_empty()) {
        return None;
    }
    let mut line = vec![Span::raw(" ".repeat(INDENT))];
    line.extend(spans);
    Some(Line::from(line))
}

fn of_machine(machine: &MachineView, found: &MachineUse, lang: Lang) -> Vec<Figure> {
    let load = found.load_hundredths.map(|hundredths| {
        Figure::words(6, Uses::Load { hundredths, processors: found.processors }.say(lang))
    });
    if found.gpus == 0 && found.trouble.is_none() {
        let none = Some(Uses::NoGpu.say(lang)).filter(|none| !is_said(machine, none));
        let memory = found.memory.and_then(|memory| of_amount(Uses::Memory, memory, 1, lang));
        return [none.map(|none| Figure::words(0, none)), memory, load].into_iter().flatten().collect();
    }
    let kind =
        kinds(&found.models, lang).unwrap_or_else(|| Uses::Gpus { count: found.gpus.max(1) }.say(lang));
    let kind = Some(kind).filter(|kind| !is_said(machine, kind));
    let mut figures: Vec<Figure> = kind.map(|kind| Figure::words(4, kind)).into_iter().collect();
    if found.measured == 0 {
        figures.push(Figure::words(0, unmeasured(machine, found, lang)));
    } else {
        figures.extend(measured(found.gpu_memory, found.busy_percent, found.celsius, lang));
        if found.measured < found.gpus {
            let part = Uses::PartMeasured { measured: found.measured, gpus: found.gpus };
            figures.push(Figure::words(3, part.say(lang)));
        }
    }
    figures.extend(load);
    figures
}

/// Does the machine's label say it already?
fn is_said(machine: &MachineView, words: &str) -> bool {
    let label = machine.label.as_deref().unwrap_or_default().to_lowercase();
    label.contains(&words.to_lowercase())
}

fn unmeasured(machine: &MachineView, found: &MachineUse, lang: Lang) -> String {
    if let Some(trouble) = found.trouble.as_ref().and_then(|gpus| trouble(gpus, lang)) {
        return trouble;
    }
    let works = machine.slots.iter().any(|slot| matches!(slot.state, SlotState::Reserved { .. }));
    if works { Uses::NotYet } else { Uses::NobodyWorks }.say(lang)
}

fn measured(
    memory: Option<Amount>,
    busy: Option<u32>,
    celsius: Option<u32>,
    lang: Lang,
) -> impl Iterator<Item = Figure> {
    let memory = memory.and_then(|memory| of_amount(Uses::GpuMemory, memory, 0, lang));
    let busy = busy.map(|busy| Figure {
        label: Uses::GpuBusy.say(lang),
        percent: Some(busy.into()),
        words: Uses::Percent { percent: busy }.say(lang),
        rank: 1,
    });
    let celsius = celsius.map(|degrees| Figure::words(5, Uses::Celsius { degrees }.say(lang)));
    [memory, busy, celsius].into_iter().flatten()
}

fn of_amount(label: Uses<'_>, amount: Amount, rank: u8, lang: Lang) -> Option<Figure> {
    let Amount { used, limit } = amount;
    let total = limit?;
    let words = used_of(used, total, lang);
    Some(Figure { label: label.say(lang), percent: Some(percent(used, total)), words, rank })
}

/// `2 × H100, A100`.
fn kinds(models: &[Kind], lang: Lang) -> Option<String> {
    let said = |kind: &Kind| Uses::Model { name: &cut(&kind.name, 24), count: kind.count }.say(lang);
    let said: Vec<String> = models.iter().take(2).map(said).collect();
    (!said.is_empty()).then(|| Uses::Kinds { said: &said, more: models.len() > said.len() }.say(lang))
}

fn of_slot(model: &Model, slot: &SlotView) -> Vec<Figure> {
    let lang = model.lang;
    let known = model.uses.slot(&slot.id);
    let kind = known.and_then(|known| kinds(&known.models, lang)).map(|kind| Figure::words(3, kind));
    match (known.and_then(|known| known.usage.as_ref()), &slot.state) {
        (Some(usage), _) => kind.into_iter().chain(of_usage(usage, lang)).collect(),
        // Where nothing at all is known, nobody has asked yet.
        (None, SlotState::Reserved { .. }) if model.uses.machine(&slot.id.machine).is_some() => {
            vec![Figure::words(0, Uses::NotYet.say(lang))]
        }
        _ => kind.into_iter().collect(),
    }
}

fn of_usage(usage: &Usage, lang: Lang) -> Vec<Figure> {
    let mut figures: Vec<Figure> = match &usage.gpus {
        Gpus::Listed { gpus, .. } if !gpus.is_empty() => of_gpus(gpus, lang).collect(),
        Gpus::None | Gpus::Listed { .. } => {
            let memory = usage.memory.and_then(|memory| of_amount(Uses::Memory, memory, 1, lang));
            std::iter::once(Figure::words(2, Uses::NoGpu.say(lang))).chain(memory).collect()
        }
        Gpus::Unknown => vec![Figure::words(1, Uses::NotYet.say(lang))],
        Gpus::Missing | Gpus::Silent { .. } | Gpus::Failed { .. } => Vec::new(),
    };
    // What is wrong is worth more than any figure.
    figures.extend(wrong(usage, lang).into_iter().map(|words| Figure::words(0, words)));
    figures
}

fn of_gpus(gpus: &[Gpu], lang: Lang) -> impl Iterator<Item = Figure> {
    let sum = |figure: fn(&Gpu) -> Option<u64>| {
        gpus.iter()
            .filter_map(figure)
            .fold(None, |sum: Option<u64>, one| Some(sum.unwrap_or(0).saturating_add(one)))
    };
    let memory = sum(|gpu| gpu.memory_used).map(|used| Amount { used, limit: sum(|gpu| gpu.memory_total) });
    let busy = gpus.iter().filter_map(|gpu| gpu.busy_percent).max();
    measured(memory, busy, gpus.iter().filter_map(|gpu| gpu.celsius).max(), lang)
}

/// Who has which slot, as many as fit.
fn holders(model: &Model, machine: &MachineView, room: usize) -> Vec<Span<'static>> {
    let mut line = String::new();
    for one in machine.slots.iter().filter_map(|slot| holder(model, slot)) {
        let gap = if line.is_empty() { "" } else { " · " };
        if width(&line) + width(gap) + width(&one) > room {
            // Room for the mark itself.
            line = if line.is_empty() { cut(&one, room) } else { cut(&format!("{line} · …"), room) };
            break;
        }
        line.push_str(gap);
        line.push_str(&one);
    }
    vec![Span::raw(line)]
}

fn holder(model: &Model, slot: &SlotView) -> Option<String> {
    let number = slot.id.number;
    let said = match &slot.state {
        SlotState::Reserved { user, deadline } => {
            Uses::Has { number, user, until: Until { deadline: *deadline, now: model.cluster.now } }
        }
        SlotState::Starting { user, .. } => Uses::StartingFor { number, user },
        SlotState::Ending { user } => Uses::EndingOf { number, user },
        SlotState::Held { user, .. } => Uses::HeldFor { number, user },
        SlotState::Free | SlotState::Offline | SlotState::Draining => return None,
    };
    Some(said.say(model.lang))
}
