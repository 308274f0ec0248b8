//! The model as a picture.

use ratatui::Frame;
use ratatui::text::Line;

use super::lists::{hint, machine_rows, queue_rows, slot_rows, summary};
use super::model::{Model, Place};
use super::sheet::{Sheet, Spots};
use super::uses_view::{below_machine, below_slot};
use super::wrap::wrap;
use super::{help, mine_view};
use crate::reservation::MachineName;
use crate::text::Say;
use crate::text::menu::Menu;
use crate::text::mine::Mine;

/// Draws the model, in any size. Says where the rows are that can be clicked.
pub fn view(model: &Model, frame: &mut Frame) -> Spots {
    let area = frame.area();
    if area.is_empty() {
        return Spots::default();
    }
    sheet(model, usize::from(area.width)).draw(area, frame.buffer_mut())
}

/// What the model's screen says in so many columns.
pub(super) fn sheet(model: &Model, columns: usize) -> Sheet {
    if let Some(top) = model.help {
        return Sheet { title: title(model), clock: clock(model), ..help::sheet(model, top, columns) };
    }
    match &model.place {
        Place::Machines => machines(model, columns),
        Place::Slots(machine) => slots(model, machine, columns),
        Place::Waiting => waiting(model, columns),
        Place::Progress { slot, steps, begun } => mine_view::progress(model, slot, steps, *begun, columns),
        Place::Mine => mine_view::mine(model, columns),
        Place::Ways => mine_view::ways(model, None, columns),
        Place::Card(password) => mine_view::ways(model, Some(password), columns),
        Place::Keys => mine_view::keys(model, columns),
        Place::Paste(text) => mine_view::paste(model, text, columns),
    }
}

fn title(model: &Model) -> String {
    format!("{} · {}", model.cluster.cluster, model.user)
}

fn clock(model: &Model) -> String {
    model.now.strftime("%H:%M UTC").to_string()
}

/// What all screens have in common.
pub(super) fn common(model: &Model) -> Sheet {
    Sheet { title: title(model), clock: clock(model), notice: model.notice.clone(), ..Sheet::default() }
}

fn keys(model: &Model, keys: &[Menu<'_>]) -> Vec<String> {
    keys.iter().map(|key| key.say(model.lang)).collect()
}

/// The keys that all lists have, the less needed ones last.
fn more_keys(model: &Model) -> Vec<String> {
    let mine = model.mine().map(|_| Mine::KeyToMine);
    [Mine::KeyHelp, Mine::KeyFind].into_iter().chain(mine).map(|key| key.say(model.lang)).collect()
}

/// The heading, with what is looked for.
fn found(model: &Model, heading: String) -> String {
    if !model.filter.is_on() {
        return heading;
    }
    let cursor = if model.filter.typing { "_" } else { "" };
    format!("{heading} · {}{cursor}", Mine::Filter { text: model.filter.text() }.say(model.lang))
}

/// The way to the queue, from a list where it is worth going.
fn key_wait(model: &Model) -> Option<Menu<'static>> {
    match model.waiting() {
        Some(_) => Some(Menu::KeyPlace),
        None => model.worth_waiting_for().map(|_| Menu::KeyWait),
    }
}

fn waiting(model: &Model, columns: usize) -> Sheet {
    let mine = model.waiting();
    let first = match mine {
        Some(waiting) if waiting.held.is_some() => vec![Menu::KeyReserve, Menu::KeyLeave],
        Some(_) => vec![Menu::KeyLeave],
        None => Vec::new(),
    };
    let shown: Vec<Menu<'_>> = first.into_iter().chain([Menu::KeyEscape, Menu::KeyQuit]).collect();
    let selected = model.cluster.queue.iter().position(|waiting| waiting.user == model.user);
    Sheet {
        heading: Menu::Queue.say(model.lang),
        rows: queue_rows(model, columns),
        numbered: true,
        selected,
        summary: if mine.is_some() { summary(model) } else { Some(Menu::NotWaiting.say(model.lang)) },
        hint: mine.map(|_| Menu::KeepsPlace.say(model.lang)),
        keys: keys(model, &shown),
        ..common(model)
    }
}

fn machines(model: &Model, columns: usize) -> Sheet {
    let wait = key_wait(model);
    let first: Vec<Menu<'_>> =
        [Menu::KeyMove, Menu::KeyOpen].into_iter().chain(wait).chain([Menu::KeyQuit]).collect();
    let mut shown = keys(model, &first);
    shown.extend(more_keys(model));
    shown.extend(keys(model, &[Menu::KeyDirect]));
    let mut rows = machine_rows(model, columns);
    let numbered = !rows.is_empty();
    if rows.is_empty() && model.filter.is_on() {
        rows.extend(wrap(&Mine::NothingFound.say(model.lang), columns).into_iter().map(Line::raw));
    }
    Sheet {
        heading: found(model, Menu::ChooseMachine.say(model.lang)),
        summary: summary(model),
        below: model.machines().into_iter().map(|machine| below_machine(model, machine, columns)).collect(),
        rows,
        numbered,
        selected: model.machine_index(),
        keys: shown,
        ..common(model)
    }
}

fn slots(model: &Model, machine: &MachineName, columns: usize) -> Sheet {
    let label = model.opened().and_then(|machine| machine.label.as_deref());
    let heading = Menu::ChooseSlot { machine }.say(model.lang);
    let mut rows = slot_rows(model, columns);
    let numbered = !rows.is_empty();
    if rows.is_empty() {
        let text = match model.filter.is_on() {
            true => Mine::NothingFound.say(model.lang),
            false => Menu::NoSlots.say(model.lang),
        };
        rows.push(Line::raw(text));
    }
    let back = model.can_go_back().then_some(Menu::KeyBack);
    let first: Vec<Menu<'_>> = [Menu::KeyReserve]
        .into_iter()
        .chain(key_wait(model))
        .chain(back)
        .chain([Menu::KeyQuit, Menu::KeyMove])
        .collect();
    let mut shown = keys(model, &first);
    shown.extend(more_keys(model));
    shown.extend(keys(model, &[Menu::KeyDirect]));
    Sheet {
        heading: found(model, label.map_or(heading.clone(), |label| format!("{heading} ({label})"))),
        summary: summary(model),
        below: model.slots().into_iter().map(|slot| below_slot(model, slot, columns)).collect(),
        rows,
        numbered,
        selected: model.slot_index(),
        hint: hint(model),
        keys: shown,
        ..common(model)
    }
}
