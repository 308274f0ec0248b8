//! The rows of the lists, and what is said about a slot.

use jiff::Timestamp;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::model::Model;
use super::wrap::{cut, fit, width};
use crate::reservation::SlotId;
use crate::reservation::view::{MachineView, SlotState, SlotView, WaitingView};
use crate::text::menu::{Menu, Until};
use crate::text::{Say, queue};

/// Columns of the cursor's mark, the digit, the dot and the blanks between.
const FRAME: usize = 9;
/// Columns kept for a machine's state when its label wants room.
const STATE: usize = 20;

fn dot(free: bool) -> Span<'static> {
    match free {
        true => Span::styled("● ", Style::new().fg(Color::Green)),
        false => Span::raw("○ "),
    }
}

pub(super) fn mark(selected: bool, number: usize) -> Span<'static> {
    let cursor = if selected { '>' } else { ' ' };
    Span::raw(format!("{cursor} {number:>2}  "))
}

/// One row for each machine.
pub(super) fn machine_rows(model: &Model, columns: usize) -> Vec<Line<'static>> {
    let all = &model.cluster.machines;
    let machines = model.machines();
    let longest = |text: fn(&MachineView) -> &str| machines.iter().map(|m| width(text(m))).max().unwrap_or(0);
    let room = columns.saturating_sub(FRAME + STATE);
    let name = longest(|machine| machine.name.as_str()).min(room.max(4));
    let rest = room.saturating_sub(name + 2);
    let label = longest(label).min(if rest < 8 { 0 } else { rest });
    let row = |machine: &MachineView| {
        let selected = Some(&machine.name) == model.machine.as_ref();
        // Its number is that of the whole list: the digit that opens it.
        let index = all.iter().position(|other| other.name == machine.name).unwrap_or(0);
        let mut spans = vec![mark(selected, index.saturating_add(1))];
        spans.push(Span::raw(fit(machine.name.as_str(), name)));
        if label > 0 {
            let dim = Style::new().add_modifier(Modifier::DIM);
            spans.push(Span::styled(format!("  {}", fit(self::label(machine), label)), dim));
        }
        spans.push(Span::raw("  "));
        spans.push(dot(machine.free() > 0));
        let used = spans.iter().map(Span::width).sum();
        spans.push(machine_state(model, machine, columns.saturating_sub(used)));
        Line::from(spans)
    };
    machines.iter().copied().map(row).collect()
}

fn label(machine: &MachineView) -> &str {
    machine.label.as_deref().unwrap_or_default()
}

/// What a machine's row says last.
fn machine_state(model: &Model, machine: &MachineView, room: usize) -> Span<'static> {
    let (free, total) = (machine.free(), machine.slots.len());
    if let Some(reason) = &machine.offline {
        let text = Menu::MachineOffline { reason }.say(model.lang);
        return Span::styled(cut(&text, room), Style::new().fg(Color::Red));
    }
    if machine.draining && free == 0 {
        return Span::raw(Menu::MachineDraining.say(model.lang));
    }
    let short = Menu::FreeOf { free, total }.say(model.lang);
    let long = frees_first(machine).filter(|_| free == 0).map(|(slot, deadline)| {
        let until = Until { deadline, now: model.cluster.now };
        format!("{short}, {}", Menu::Frees { slot, until }.say(model.lang))
    });
    Span::raw(long.filter(|long| width(long) <= room).unwrap_or(short))
}

/// The slot of a machine that frees first, at its deadline.
fn frees_first(machine: &MachineView) -> Option<(&SlotId, Timestamp)> {
    let deadlines = machine.slots.iter().filter_map(|slot| match &slot.state {
        SlotState::Reserved { deadline, .. } | SlotState::Starting { deadline, .. } => {
            Some((&slot.id, *deadline))
        }
        _ => None,
    });
    deadlines.min_by_key(|(_, deadline)| *deadline)
}

/// One row for each slot of the opened machine.
pub(super) fn slot_rows(model: &Model, columns: usize) -> Vec<Line<'static>> {
    let row = |slot: &SlotView| {
        let mut spans = vec![mark(Some(&slot.id) == model.slot.as_ref(), usize::from(slot.id.number))];
        spans.push(dot(slot.state.is_for(&model.user)));
        let room = columns.saturating_sub(FRAME - 1);
        let state = slot_state(model, slot, room);
        let gpus = format!("  GPU {}", slot.gpus.join(","));
        let fits = width(&state) + width(&gpus) <= room;
        spans.push(Span::raw(state));
        if fits && !slot.gpus.is_empty() {
            spans.push(Span::styled(gpus, Style::new().add_modifier(Modifier::DIM)));
        }
        Line::from(spans)
    };
    model.slots().into_iter().map(row).collect()
}

/// The fullest wording that fits.
fn slot_state(model: &Model, slot: &SlotView, room: usize) -> String {
    let now = model.cluster.now;
    let (long, short) = match &slot.state {
        SlotState::Free => (Menu::Free, Menu::Free),
        SlotState::Reserved { user, deadline } => {
            let until = Until { deadline: *deadline, now };
            (Menu::Taken { user, until }, Menu::TakenShort { user, until })
        }
        SlotState::Starting { user, deadline } => {
            let until = Until { deadline: *deadline, now };
            (Menu::Starting { user, until }, Menu::StartingShort { user })
        }
        SlotState::Ending { user } => (Menu::Ending { user }, Menu::Ending { user }),
        SlotState::Held { user, until } if *user == model.user => {
            let until = Until { deadline: *until, now };
            (Menu::HeldForYou { until }, Menu::HeldForYou { until })
        }
        SlotState::Held { user, until } => {
            let until = Until { deadline: *until, now };
            (Menu::Held { user, until }, Menu::HeldShort { user })
        }
        SlotState::Offline => (Menu::Offline, Menu::Offline),
        SlotState::Draining => (Menu::Draining, Menu::Draining),
    };
    let text = long.say(model.lang);
    if width(&text) <= room { text } else { cut(&short.say(model.lang), room) }
}

/// Why the chosen slot cannot be had.
pub(super) fn hint(model: &Model) -> Option<String> {
    let slot = model.chosen().filter(|_| model.hint)?;
    let (id, now) = (&slot.id, model.cluster.now);
    let hint = match &slot.state {
        SlotState::Free => return None,
        SlotState::Reserved { user, deadline } => {
            Menu::HintTaken { slot: id, user, until: Until { deadline: *deadline, now } }
        }
        SlotState::Starting { user, deadline } => {
            Menu::HintStarting { slot: id, user, until: Until { deadline: *deadline, now } }
        }
        SlotState::Ending { user } => Menu::HintEnding { slot: id, user },
        SlotState::Held { user, .. } if *user == model.user => return None,
        SlotState::Held { user, until } => {
            Menu::HintHeld { slot: id, user, until: Until { deadline: *until, now } }
        }
        SlotState::Offline => Menu::HintOffline {
            machine: &id.machine,
            reason: model.opened().and_then(|machine| machine.offline.as_deref()),
        },
        SlotState::Draining => Menu::HintDraining { machine: &id.machine },
    };
    Some(hint.say(model.lang))
}

/// One row for each one who waits.
pub(super) fn queue_rows(model: &Model, columns: usize) -> Vec<Line<'static>> {
    let now = model.cluster.now;
    let row = |(index, waiting): (usize, &WaitingView)| {
        let mark = mark(waiting.user == model.user, index.saturating_add(1));
        let room = columns.saturating_sub(mark.width());
        let said = queue::Line::Other { waiting, now }.say(model.lang);
        Line::from(vec![mark, Span::raw(cut(&said, room))])
    };
    model.cluster.queue.iter().enumerate().map(row).collect()
}

/// For who waits: their place or their turn. Else, if nothing is free: what frees first.
pub(super) fn summary(model: &Model) -> Option<String> {
    if let Some(waiting) = model.waiting() {
        return Some(queue::Line::Mine { waiting, now: model.cluster.now }.say(model.lang));
    }
    let machines = &model.cluster.machines;
    if machines.is_empty() {
        return Some(Menu::NoMachines.say(model.lang));
    }
    if machines.iter().any(|machine| machine.free() > 0) {
        return None;
    }
    let usable = machines.iter().filter(|machine| machine.offline.is_none() && !machine.draining);
    let slots: Vec<&SlotView> = usable.flat_map(|machine| &machine.slots).collect();
    if let Some(slot) = slots.iter().find(|slot| matches!(slot.state, SlotState::Ending { .. })) {
        return Some(Menu::FullSoon { slot: &slot.id }.say(model.lang));
    }
    let deadlines = slots.iter().filter_map(|slot| match &slot.state {
        SlotState::Reserved { deadline, .. } | SlotState::Starting { deadline, .. } => {
            Some((*deadline, &slot.id))
        }
        _ => None,
    });
    let said = match deadlines.min_by_key(|(deadline, _)| *deadline) {
        Some((deadline, slot)) => {
            Menu::FullUntil { slot, until: Until { deadline, now: model.cluster.now } }.say(model.lang)
        }
        None => Menu::NothingUsable.say(model.lang),
    };
    Some(said)
}
