//! The reader's own reservation: what it is, and what its keys do.

use jiff::{SignedDuration, Timestamp};

use super::keys::Key;
use super::model::{Action, Ask, Begun, Model, Place};
use super::update::{scroll, step};
use crate::agent::protocol::JupyterState;
use crate::reservation::SlotId;
use crate::reservation::view::SlotState;
use crate::text::Lang;

/// A key is a line of a few hundred characters; RSA's longest have some thousands.
const LONGEST_PASTE: usize = 16 * 1024;

/// From here on times are shown to the second.
const LAST_MINUTES: SignedDuration = SignedDuration::from_mins(6);

/// What can be done from the screen of one's own reservation, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    Shell,
    Ways,
    Password,
    Keys,
    Machines,
    Release,
}

impl Doing {
    pub(super) const ALL: [Self; 6] =
        [Self::Shell, Self::Ways, Self::Password, Self::Keys, Self::Machines, Self::Release];
}

/// What a reservation's container says of itself; `None` where it is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// How JupyterLab does.
    pub jupyter: Option<JupyterState>,
    /// Whether the reservation has a password.
    pub has_password: Option<bool>,
}

/// The reservation that is the reader's, as the picture has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mine<'a> {
    pub slot: &'a SlotId,
    pub deadline: Timestamp,
    pub starting: bool,
}

impl Model {
    /// What the reader holds.
    pub(super) fn mine(&self) -> Option<Mine<'_>> {
        let slots = self.cluster.machines.iter().flat_map(|machine| &machine.slots);
        slots.into_iter().find_map(|slot| match &slot.state {
            SlotState::Reserved { user, deadline } if *user == self.user => {
                Some(Mine { slot: &slot.id, deadline: *deadline, starting: false })
            }
            SlotState::Starting { user, deadline } if *user == self.user => {
                Some(Mine { slot: &slot.id, deadline: *deadline, starting: true })
            }
            _ => None,
        })
    }

    /// Is a screen shown that is about the reader's reservation?
    #[must_use]
    pub fn is_at_mine(&self) -> bool {
        matches!(self.place, Place::Mine | Place::Ways | Place::Card(_))
    }

    /// Is it shown what machines use?
    #[must_use]
    pub fn shows_use(&self) -> bool {
        matches!(self.place, Place::Machines | Place::Slots(_) | Place::Mine)
    }

    /// Does a start go on, so that the seconds count?
    #[must_use]
    pub fn is_in_progress(&self) -> bool {
        matches!(self.place, Place::Progress { .. })
    }

    /// Do seconds count on the screen shown?
    #[must_use]
    pub fn counts_seconds(&self) -> bool {
        let left = |mine: Mine<'_>| mine.deadline.duration_since(self.now);
        let soon = || self.mine().is_some_and(|mine| left(mine) < LAST_MINUTES);
        self.is_in_progress() || (self.is_at_mine() && (self.awaits_jupyter() || soon()))
    }

    /// Is JupyterLab about to answer, so that it is worth asking again soon?
    #[must_use]
    pub fn awaits_jupyter(&self) -> bool {
        self.facts.jupyter == Some(JupyterState::Starting)
    }

    /// A reservation that has ended takes its screens with it.
    pub(super) fn leave_what_is_gone(&mut self) {
        if self.is_at_mine() && self.mine().is_none() {
            self.show_lists();
        }
        if self.ask == Some(Ask::Release) && self.mine().is_none() {
            self.ask = None;
        }
    }
}

pub(super) fn press_on_mine(model: &mut Model, key: Key) -> Option<Action> {
    let at = Doing::ALL.iter().position(|doing| *doing == model.doing);
    match key {
        Key::Enter | Key::Right => return act(model, model.doing),
        Key::Char(digit @ '1'..='9') => {
            let index = usize::try_from(digit.to_digit(10)?).ok()?.checked_sub(1)?;
            model.doing = *Doing::ALL.get(index)?;
            return act(model, model.doing);
        }
        Key::Left | Key::Escape | Key::Char('m') => model.show_lists(),
        _ => {
            if let Some(doing) = step(key, at, Doing::ALL.len()).and_then(|at| Doing::ALL.get(at)) {
                model.doing = *doing;
            }
        }
    }
    None
}

fn act(model: &mut Model, doing: Doing) -> Option<Action> {
    model.notice.clear();
    match doing {
        Doing::Shell => enter(model),
        Doing::Password => Some(Action::NewPassword),
        Doing::Ways => {
            model.scroll = 0;
            model.place = Place::Ways;
            None
        }
        Doing::Keys => {
            model.place = Place::Keys;
            Some(Action::ShowKeys)
        }
        Doing::Machines => {
            model.show_lists();
            None
        }
        Doing::Release => {
            model.ask = Some(Ask::Release);
            None
        }
    }
}

/// To the shell; while the container starts, with its progress.
fn enter(model: &mut Model) -> Option<Action> {
    let mine = model.mine()?;
    if mine.starting {
        model.begin(mine.slot.clone(), Begun::Elsewhere);
    }
    Some(Action::Enter)
}

pub(super) fn press_on_ways(model: &mut Model, key: Key) -> Option<Action> {
    match key {
        Key::Enter => return enter(model),
        Key::Escape | Key::Left | Key::Char('m') => model.place = Place::Mine,
        _ => model.scroll = scroll(key, model.scroll).unwrap_or(model.scroll),
    }
    None
}

pub(super) fn press_on_keys(model: &mut Model, key: Key) -> Option<Action> {
    match key {
        Key::Char('a') => {
            model.notice.clear();
            model.place = Place::Paste(String::new());
        }
        Key::Char('d' | 'x') | Key::Enter => model.ask = model.key.clone().map(Ask::RemoveKey),
        Key::Escape | Key::Left | Key::Char('m') => {
            model.notice.clear();
            model.place = Place::Mine;
            model.leave_what_is_gone();
        }
        _ => {
            let keys = model.keys.as_deref().unwrap_or_default();
            let at = keys.iter().position(|known| Some(&known.fingerprint) == model.key.as_ref());
            let chosen = step(key, at, keys.len()).and_then(|at| keys.get(at));
            model.key = chosen.map(|known| known.fingerprint.clone());
        }
    }
    None
}

pub(super) fn press_on_paste(model: &mut Model, key: Key) -> Option<Action> {
    let Place::Paste(text) = &mut model.place else { return None };
    match key {
        Key::Char(char) | Key::Pasted(char) if text.len() < LONGEST_PASTE => text.push(char),
        Key::Backspace => drop(text.pop()),
        Key::Escape | Key::CtrlC | Key::CtrlD => model.place = Place::Keys,
        Key::Enter => {
            let text = std::mem::take(text);
            return pasted(model, text);
        }
        _ => {}
    }
    None
}

/// A key that was pasted whole.
pub(super) fn pasted(model: &mut Model, text: String) -> Option<Action> {
    model.place = Place::Keys;
    (!text.trim().is_empty()).then_some(Action::AddKey(text))
}

/// Only a yes does what was asked about.
pub(super) fn answer(model: &mut Model, ask: Ask, key: Key) -> Option<Action> {
    let yes = match model.lang {
        Lang::En => matches!(key, Key::Char('y' | 'Y')),
        Lang::Fr => matches!(key, Key::Char('o' | 'O' | 'y')),
    };
    model.ask = None;
    yes.then_some(match ask {
        Ask::Release => Action::Release,
        Ask::RemoveKey(fingerprint) => Action::RemoveKey(fingerprint),
    })
}
