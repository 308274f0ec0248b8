//! The model as a picture.

use ratatui::Frame;
use ratatui::text::Line;

use super::lists::{hint, machine_rows, queue_rows, slot_rows, summary};
use super::model::{Model, Place};
use super::sheet::Sheet;
use super::wrap::wrap;
use crate::reservation::{MachineName, SlotId};
use crate::text::Say;
use crate::text::menu::Menu;

/// Draws the model, in any size.
pub fn view(model: &Model, frame: &mut Frame) {
    let area = frame.area();
    if area.is_empty() {
        return;
    }
    let columns = usize::from(area.width);
    let sheet = match &model.place {
        Place::Machines => machines(model, columns),
        Place::Slots(machine) => slots(model, machine, columns),
        Place::Waiting => waiting(model, columns),
        Place::Progress { slot, lines } => progress(model, slot, lines.iter(), columns),
    };
    sheet.draw(area, frame.buffer_mut());
}

/// What the lists have in common.
fn common(model: &Model) -> Sheet {
    Sheet {
        title: format!("{} · {}", model.cluster.cluster, model.user),
        clock: model.cluster.now.strftime("%H:%M UTC").to_string(),
        notice: model.notice.clone(),
        summary: summary(model),
        ..Sheet::default()
    }
}

fn keys(model: &Model, keys: &[Menu<'_>]) -> Vec<String> {
    keys.iter().map(|key| key.say(model.lang)).collect()
}

/// The way to the queue, from a list where it is worth going.
fn key_wait(model: &Model) -> Option<Menu<'static>> {
    match model.waiting() {
        Some(_) => Some(Menu::KeyPlace),
        None => model.worth_waiting_for().map(|_| Menu::KeyWait),
    }
}

fn waiting(model: &Model, columns: usize) -> Sheet {
    let common = common(model);
    let mine = model.waiting();
    let not_waiting = || Menu::NotWaiting.say(model.lang);
    let first = match mine {
        Some(waiting) if waiting.held.is_some() => vec![Menu::KeyReserve, Menu::KeyLeave],
        Some(_) => vec![Menu::KeyLeave],
        None => Vec::new(),
    };
    let shown: Vec<Menu<'_>> = first.into_iter().chain([Menu::KeyEscape, Menu::KeyQuit]).collect();
    Sheet {
        heading: Menu::Queue.say(model.lang),
        rows: queue_rows(model, columns),
        selected: model.cluster.queue.iter().position(|waiting| waiting.user == model.user),
        summary: mine.map_or_else(|| Some(not_waiting()), |_| common.summary.clone()),
        hint: mine.map(|_| Menu::KeepsPlace.say(model.lang)),
        keys: keys(model, &shown),
        ..common
    }
}

fn machines(model: &Model, columns: usize) -> Sheet {
    let wait = key_wait(model);
    let shown: Vec<Menu<'_>> = [Menu::KeyMove, Menu::KeyOpen]
        .into_iter()
        .chain(wait)
        .chain([Menu::KeyQuit, Menu::KeyDirect])
        .collect();
    Sheet {
        heading: Menu::ChooseMachine.say(model.lang),
        rows: machine_rows(model, columns),
        selected: model.machine_index(),
        keys: keys(model, &shown),
        ..common(model)
    }
}

fn slots(model: &Model, machine: &MachineName, columns: usize) -> Sheet {
    let label = model.opened().and_then(|machine| machine.label.as_deref());
    let heading = Menu::ChooseSlot { machine }.say(model.lang);
    let mut rows = slot_rows(model, columns);
    if rows.is_empty() {
        rows.push(Line::raw(Menu::NoSlots.say(model.lang)));
    }
    let back = model.can_go_back().then_some(Menu::KeyBack);
    let shown: Vec<Menu<'_>> = [Menu::KeyReserve]
        .into_iter()
        .chain(key_wait(model))
        .chain(back)
        .chain([Menu::KeyQuit, Menu::KeyMove, Menu::KeyDirect])
        .collect();
    Sheet {
        heading: label.map_or(heading.clone(), |label| format!("{heading} ({label})")),
        rows,
        selected: model.slot_index(),
        hint: hint(model),
        keys: keys(model, &shown),
        ..common(model)
    }
}

fn progress<'a>(
    model: &Model,
    slot: &SlotId,
    lines: impl Iterator<Item = &'a String>,
    columns: usize,
) -> Sheet {
    Sheet {
        heading: Menu::Reserving { slot }.say(model.lang),
        rows: lines.flat_map(|line| wrap(line, columns)).map(Line::raw).collect(),
        follow: true,
        keys: keys(model, &[Menu::KeyCancel]),
        summary: None,
        ..common(model)
    }
}
