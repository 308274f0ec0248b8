//! `Event → update → Action`.

use super::keys::Key;
use super::model::{Action, Event, Model, Place};

/// Rows of a page: the model does not know the screen's height.
const PAGE: usize = 10;

/// Takes in what happened; says what the connection must do.
pub fn update(model: &mut Model, event: Event) -> Option<Action> {
    match event {
        Event::Key(key) => press(model, key),
        Event::Cluster(view) => {
            model.replace(view);
            None
        }
        Event::Progress(text) => {
            model.progress(&text);
            None
        }
        Event::Failed(text) => {
            model.fail(&text);
            None
        }
    }
}

fn press(model: &mut Model, key: Key) -> Option<Action> {
    match (&model.place, key) {
        (Place::Progress { .. }, Key::Escape | Key::CtrlC | Key::Char('q')) => {
            model.return_to_list();
            Some(Action::Cancel)
        }
        // Typed ahead while waiting: it was not meant for what comes after.
        (Place::Progress { .. }, _) => None,
        (_, Key::CtrlC | Key::CtrlD | Key::Char('q')) => Some(Action::Quit),
        (Place::Waiting, _) => press_on_waiting(model, as_arrow(key)),
        (Place::Machines | Place::Slots(_), Key::Char('w')) => wait(model),
        (Place::Machines, _) => {
            press_on_machines(model, as_arrow(key));
            None
        }
        (Place::Slots(_), _) => {
            model.hint = false;
            press_on_slots(model, as_arrow(key))
        }
    }
}

/// To the queue: with a place in it already, or by taking one.
fn wait(model: &mut Model) -> Option<Action> {
    let target = model.worth_waiting_for();
    if target.is_some() || model.waiting().is_some() {
        model.wait();
    }
    target.map(Action::Join)
}

/// Enter only ever takes what is held: a turn that comes under the finger is what was waited for.
fn press_on_waiting(model: &mut Model, key: Key) -> Option<Action> {
    match key {
        Key::Enter => {
            let slot = model.waiting()?.held.as_ref()?.slot.clone();
            model.begin(slot.clone());
            Some(Action::Reserve(slot))
        }
        Key::Char('x') => {
            let leaves = model.waiting().is_some();
            model.stop_waiting();
            leaves.then_some(Action::Leave)
        }
        Key::Escape | Key::Left => {
            model.stop_waiting();
            None
        }
        _ => None,
    }
}

fn as_arrow(key: Key) -> Key {
    match key {
        Key::Char('j') | Key::Tab => Key::Down,
        Key::Char('k') | Key::BackTab => Key::Up,
        Key::Char('h') | Key::Backspace => Key::Left,
        Key::Char('l') => Key::Right,
        other => other,
    }
}

fn press_on_machines(model: &mut Model, key: Key) {
    match key {
        Key::Enter | Key::Right => open(model, model.machine_index()),
        Key::Char(digit @ '1'..='9') => open(model, position(digit)),
        // Nothing to go back to: what can go is the notice.
        Key::Escape => model.notice.clear(),
        _ => {
            let at = step(key, model.machine_index(), model.cluster.machines.len());
            if let Some(machine) = at.and_then(|at| model.cluster.machines.get(at)) {
                model.machine = Some(machine.name.clone());
            }
        }
    }
}

fn open(model: &mut Model, at: Option<usize>) {
    let name = at.and_then(|at| model.cluster.machines.get(at)).map(|machine| machine.name.clone());
    if let Some(name) = name {
        model.open(name);
    }
}

fn press_on_slots(model: &mut Model, key: Key) -> Option<Action> {
    match key {
        Key::Enter => return reserve(model),
        Key::Char(digit @ '1'..='9') => return reserve_number(model, digit),
        Key::Left | Key::Escape => model.back(),
        _ => {
            let at = step(key, model.slot_index(), model.slots().len());
            if let Some(id) = at.and_then(|at| model.slots().get(at)).map(|slot| slot.id.clone()) {
                model.slot = Some(id);
            }
        }
    }
    None
}

fn reserve_number(model: &mut Model, digit: char) -> Option<Action> {
    let number = digit.to_digit(10)?;
    let slot = model.slots().iter().find(|slot| u32::from(slot.id.number) == number)?;
    model.slot = Some(slot.id.clone());
    reserve(model)
}

fn reserve(model: &mut Model) -> Option<Action> {
    let slot = model.chosen()?;
    if !slot.state.is_for(&model.user) {
        model.hint = true;
        return None;
    }
    let id = slot.id.clone();
    model.begin(id.clone());
    Some(Action::Reserve(id))
}

fn position(digit: char) -> Option<usize> {
    usize::try_from(digit.to_digit(10)?).ok()?.checked_sub(1)
}

/// Where a key moves the cursor of a list; from nowhere it enters at the end it comes from.
fn step(key: Key, at: Option<usize>, len: usize) -> Option<usize> {
    let last = len.checked_sub(1)?;
    let to = match (key, at) {
        (Key::Down | Key::PageDown, None) | (Key::Home, _) => 0,
        (Key::Up | Key::PageUp, None) | (Key::End, _) => last,
        (Key::Down, Some(at)) => at.saturating_add(1),
        (Key::Up, Some(at)) => at.saturating_sub(1),
        (Key::PageDown, Some(at)) => at.saturating_add(PAGE),
        (Key::PageUp, Some(at)) => at.saturating_sub(PAGE),
        _ => return at,
    };
    Some(to.min(last))
}
