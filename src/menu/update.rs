//! `Event → update → Action`.

use super::keys::Key;
use super::mine::{Doing, answer, pasted, press_on_keys, press_on_mine, press_on_paste, press_on_ways};
use super::model::{Action, Begun, Event, Model, Place, clean_text};
use crate::text::Lang;

/// Rows of a page: the model does not know the screen's height.
const PAGE: usize = 10;
/// Rows of the longest text on the narrowest screen, about.
const LONGEST_TEXT: usize = 40;

/// Takes in what happened; says what the connection must do.
pub fn update(model: &mut Model, event: Event) -> Option<Action> {
    match event {
        Event::Key(key) => return press(model, key),
        Event::Click(row) => return click(model, row),
        Event::Choose(row) => {
            select(model, row);
            return (model.selected() == Some(row)).then(|| press(model, Key::Enter)).flatten();
        }
        Event::Text(text) if model.takes_text() => return pasted(model, text),
        Event::Text(_) => {}
        Event::Clock(now) => model.now = now,
        Event::Cluster(picture) => model.replace(picture),
        Event::Progress(stage) => {
            if let Place::Progress { steps, .. } = &mut model.place {
                steps.tell(stage);
            }
        }
        Event::Joined => {
            if let Place::Progress { begun, .. } = &mut model.place {
                *begun = Begun::Elsewhere;
            }
        }
        Event::Failed(text) => model.fail(&text),
        Event::Told(text) => model.tell(&text),
        Event::Ready(password) => {
            model.notice.clear();
            model.help = None;
            model.scroll = 0;
            model.place = Place::Card(password);
        }
        Event::Keys(keys) => {
            if !keys.iter().any(|key| Some(&key.fingerprint) == model.key.as_ref()) {
                model.key = keys.first().map(|key| key.fingerprint.clone());
            }
            model.keys = Some(keys);
        }
        Event::Facts(facts) => model.take_facts(facts),
        Event::Uses(uses) => model.uses = uses,
    }
    None
}

fn press(model: &mut Model, key: Key) -> Option<Action> {
    if let Some(top) = model.help {
        model.help = scroll(key, top);
        return None;
    }
    if let Some(ask) = model.ask.clone() {
        return answer(model, ask, key);
    }
    if model.takes_text() {
        return press_on_paste(model, key);
    }
    if model.filter.typing {
        return press_on_filter(model, key);
    }
    match (&model.place, key) {
        (Place::Progress { begun, .. }, Key::Escape | Key::CtrlC | Key::Char('q')) => {
            let begun = *begun;
            Some(give_up(model, begun))
        }
        // Typed ahead while waiting: it was not meant for what comes after.
        (Place::Progress { .. }, _) | (_, Key::Pasted(_)) => None,
        (_, Key::CtrlC | Key::CtrlD | Key::Char('q')) => Some(Action::Quit),
        (_, Key::Char('?')) => {
            model.help = Some(0);
            None
        }
        (_, Key::Char('L')) => {
            model.lang = model.lang.pick(Lang::Fr, Lang::En);
            Some(Action::Speak(model.lang))
        }
        (Place::Mine, _) => press_on_mine(model, as_arrow(key)),
        (Place::Ways | Place::Card(_), _) => press_on_ways(model, as_arrow(key)),
        (Place::Keys, _) => press_on_keys(model, as_arrow(key)),
        (Place::Machines | Place::Slots(_), Key::Char('/')) => {
            model.filter.typing = true;
            None
        }
        (Place::Machines | Place::Slots(_), Key::Char('m')) if model.mine().is_some() => {
            model.filter.clear();
            model.place = Place::Mine;
            None
        }
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
        (Place::Paste(_), _) => None,
    }
}

/// No more waiting for a start. What was asked for here is given back.
fn give_up(model: &mut Model, begun: Begun) -> Action {
    match begun {
        Begun::Here => {
            model.return_to_list();
            Action::Cancel
        }
        Begun::Elsewhere => {
            model.place = Place::Mine;
            model.leave_what_is_gone();
            Action::StopWaiting
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
            model.begin(slot.clone(), Begun::Here);
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
        Key::Char('j') | Key::Tab | Key::WheelDown => Key::Down,
        Key::Char('k') | Key::BackTab | Key::WheelUp => Key::Up,
        Key::Char('h') | Key::Backspace => Key::Left,
        Key::Char('l') => Key::Right,
        other => other,
    }
}

/// A text's first row after a key; `None` for a key that is for something else.
pub(super) fn scroll(key: Key, top: usize) -> Option<usize> {
    let top = match as_arrow(key) {
        Key::Down => top.saturating_add(1),
        Key::Up => top.saturating_sub(1),
        Key::PageDown | Key::Char(' ') => top.saturating_add(PAGE),
        Key::PageUp => top.saturating_sub(PAGE),
        Key::Home => 0,
        _ => return None,
    };
    Some(top.min(LONGEST_TEXT))
}

fn press_on_filter(model: &mut Model, key: Key) -> Option<Action> {
    match key {
        Key::Char(char) | Key::Pasted(char) => model.filter.push(char),
        Key::Backspace => model.filter.pop(),
        Key::Escape | Key::CtrlC => model.filter.clear(),
        // One key less: what is found is what is meant.
        Key::Enter | Key::Tab => model.filter.typing = false,
        _ => {
            model.filter.typing = false;
            return press(model, key);
        }
    }
    if model.machine_index().is_none() && model.place == Place::Machines {
        model.machine = model.machines().first().map(|machine| machine.name.clone());
    }
    if model.slot_index().is_none() && matches!(model.place, Place::Slots(_)) {
        model.slot = model.slots().first().map(|slot| slot.id.clone());
    }
    None
}

fn press_on_machines(model: &mut Model, key: Key) {
    match key {
        Key::Enter | Key::Right => {
            // What the filter hides is not chosen.
            let name = model.machine_index().and(model.machine.clone());
            open(model, name);
        }
        Key::Char(digit @ '1'..='9') => {
            let machine = position(digit).and_then(|at| model.cluster.machines.get(at));
            let name = machine.map(|machine| machine.name.clone());
            open(model, name);
        }
        Key::Escape if model.filter.is_on() => model.filter.clear(),
        Key::Escape | Key::Left if model.mine().is_some() => model.place = Place::Mine,
        // Nothing to go back to: what can go is the notice.
        Key::Escape => model.notice.clear(),
        _ => {
            let machines = model.machines();
            let at = step(key, model.machine_index(), machines.len());
            if let Some(name) = at.and_then(|at| machines.get(at)).map(|machine| machine.name.clone()) {
                model.machine = Some(name);
            }
        }
    }
}

fn open(model: &mut Model, name: Option<crate::reservation::MachineName>) {
    if let Some(name) = name {
        model.open(name);
    }
}

fn press_on_slots(model: &mut Model, key: Key) -> Option<Action> {
    match key {
        Key::Enter => return reserve(model),
        Key::Char(digit @ '1'..='9') => return reserve_number(model, digit),
        Key::Escape if model.filter.is_on() => model.filter.clear(),
        Key::Left | Key::Escape => model.back(),
        _ => {
            let slots = model.slots();
            let at = step(key, model.slot_index(), slots.len());
            if let Some(id) = at.and_then(|at| slots.get(at)).map(|slot| slot.id.clone()) {
                model.slot = Some(id);
            }
        }
    }
    None
}

fn reserve_number(model: &mut Model, digit: char) -> Option<Action> {
    let number = digit.to_digit(10)?;
    let slot = model.opened()?.slots.iter().find(|slot| u32::from(slot.id.number) == number)?.id.clone();
    model.filter.clear();
    model.slot = Some(slot);
    reserve(model)
}

fn reserve(model: &mut Model) -> Option<Action> {
    let slot = model.chosen()?;
    if !slot.state.is_for(&model.user) {
        model.hint = true;
        return None;
    }
    let id = slot.id.clone();
    model.begin(id.clone(), Begun::Here);
    Some(Action::Reserve(id))
}

fn position(digit: char) -> Option<usize> {
    usize::try_from(digit.to_digit(10)?).ok()?.checked_sub(1)
}

/// Where a key moves the cursor of a list; from nowhere it enters at the end it comes from.
pub(super) fn step(key: Key, at: Option<usize>, len: usize) -> Option<usize> {
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

/// The first click chooses, the second one does: what moves under the finger in between is only chosen.
fn click(model: &mut Model, row: usize) -> Option<Action> {
    if model.help.is_some() || model.ask.is_some() {
        return None;
    }
    model.filter.typing = false;
    if model.selected() == Some(row) {
        return press(model, Key::Enter);
    }
    select(model, row);
    None
}

fn select(model: &mut Model, row: usize) {
    model.hint = false;
    match model.place {
        Place::Machines => model.machine = model.machines().get(row).map(|machine| machine.name.clone()),
        Place::Slots(_) => model.slot = model.slots().get(row).map(|slot| slot.id.clone()),
        Place::Mine => model.doing = Doing::ALL.get(row).copied().unwrap_or(model.doing),
        Place::Keys => {
            let key = model.keys.as_deref().unwrap_or_default().get(row);
            model.key = key.map(|key| key.fingerprint.clone());
        }
        _ => {}
    }
}

impl Model {
    /// The row under the cursor, where there is one.
    pub(super) fn selected(&self) -> Option<usize> {
        match self.place {
            Place::Machines => self.machine_index(),
            Place::Slots(_) => self.slot_index(),
            Place::Waiting => self.cluster.queue.iter().position(|waiting| waiting.user == self.user),
            Place::Mine => Doing::ALL.iter().position(|doing| *doing == self.doing),
            Place::Keys => {
                let keys = self.keys.as_deref().unwrap_or_default();
                keys.iter().position(|key| Some(&key.fingerprint) == self.key.as_ref())
            }
            _ => None,
        }
    }

    /// Words in them are from a container.
    fn take_facts(&mut self, mut facts: super::Facts) {
        if let Some(crate::agent::protocol::JupyterState::Failed { why }) = &mut facts.jupyter {
            *why = clean_text(why);
        }
        self.facts = facts;
    }
}
