//! What the menu knows and where its reader stands.

use jiff::Timestamp;

use super::filter::Filter;
use super::keys::Key;
use super::mine::{Doing, Facts};
use super::picture::Picture;
use super::steps::Steps;
use super::uses::Uses;
use crate::auth::ReservationPassword;
use crate::engine::Stage;
use crate::reservation::view::{MachineView, SlotView, WaitingView};
use crate::reservation::{MachineName, SlotId, Target, UserName};
use crate::store::KeyRecord;
use crate::text::connect::Way;
use crate::text::{Lang, printable};

/// Lines kept of a text from outside: more than any screen shows.
const TEXT_LINES: usize = 64;
/// Text from outside is cut here: longer lines only cost memory.
const TEXT_CHARS: usize = 1000;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A key was pressed.
    Key(Key),
    /// A row of the list shown was clicked: it is chosen, and what is chosen already is done.
    Click(usize),
    /// A row of the list shown was named: it is chosen and done.
    Choose(usize),
    /// A line was typed where one is asked for.
    Text(String),
    /// The time.
    Clock(Timestamp),
    /// A newer picture of the cluster.
    Cluster(Picture),
    /// The reservation in progress says how far it is.
    Progress(Stage),
    /// The start that is awaited was asked for elsewhere.
    Joined,
    /// What was asked for failed, and why.
    Failed(String),
    /// What was asked for is done, in words.
    Told(String),
    /// The reservation's new password, with its container ready.
    Ready(ReservationPassword),
    /// The reader's keys.
    Keys(Vec<KeyRecord>),
    /// What the reader's container says of itself.
    Facts(Facts),
    /// What machines and slots use.
    Uses(Uses),
}

/// What the connection is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Reserve this slot and tell its progress.
    Reserve(SlotId),
    /// Take a place in the queue.
    Join(Target),
    /// Give up the place in the queue.
    Leave,
    /// Give up the reservation in progress, which was asked for here.
    Cancel,
    /// Wait no more for a start that was asked for elsewhere.
    StopWaiting,
    /// Open a shell in the reader's container.
    Enter,
    /// End the reader's reservation.
    Release,
    /// Make a new password for the reader's reservation.
    NewPassword,
    /// Tell the reader's keys.
    ShowKeys,
    /// Enrol a key.
    AddKey(String),
    /// Remove the key with this fingerprint.
    RemoveKey(String),
    /// Remember the reader's language.
    Speak(Lang),
    /// Leave the menu.
    Quit,
}

/// Which screen is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// The list of machines.
    Machines,
    /// The slots of one machine.
    Slots(MachineName),
    /// The queue, with the reader's place.
    Waiting,
    /// A reservation is being made.
    Progress {
        /// Of this slot.
        slot: SlotId,
        /// How far it is.
        steps: Steps,
        /// Who has asked for it.
        begun: Begun,
    },
    /// The reader's own reservation, and what can be done with it.
    Mine,
    /// How to connect to it.
    Ways,
    /// The same, with a password that is shown this once.
    Card(ReservationPassword),
    /// The reader's keys.
    Keys,
    /// A key is being pasted.
    Paste(String),
}

/// Where a start was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begun {
    /// In this menu: who does not want to wait for it does not want it.
    Here,
    /// Elsewhere: somebody there may well want it.
    Elsewhere,
}

/// A question that must be answered before its act is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask {
    /// End the reservation?
    Release,
    /// Remove this key?
    RemoveKey(String),
}

/// The menu's state.
///
/// Cursors are names, not positions: a new picture never puts another thing under the cursor. When
/// what was chosen disappears, nothing is chosen until the reader moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    pub(super) cluster: Picture,
    pub(super) now: Timestamp,
    pub(super) user: UserName,
    pub(super) lang: Lang,
    pub(super) way: Way,
    pub(super) notice: Vec<String>,
    pub(super) place: Place,
    pub(super) machine: Option<MachineName>,
    pub(super) slot: Option<SlotId>,
    pub(super) doing: Doing,
    pub(super) facts: Facts,
    pub(super) uses: Uses,
    /// `None`: not told yet.
    pub(super) keys: Option<Vec<KeyRecord>>,
    /// The chosen key's fingerprint.
    pub(super) key: Option<String>,
    pub(super) ask: Option<Ask>,
    pub(super) filter: Filter,
    /// Rows above the screen, where a text is longer than it.
    pub(super) scroll: usize,
    /// Help lies over the screen, scrolled by so many rows.
    pub(super) help: Option<usize>,
    /// Whether the chosen slot's state is explained.
    pub(super) hint: bool,
}

impl Model {
    /// A menu for this user: what they hold, or their place in the queue; with exactly one machine its slots are open
    /// at once.
    #[must_use]
    pub fn new(cluster: impl Into<Picture>, user: &UserName, lang: Lang) -> Self {
        let cluster = cluster.into();
        let mut model = Self {
            now: cluster.now,
            cluster,
            user: user.clone(),
            lang,
            way: Way::default(),
            notice: Vec::new(),
            place: Place::Machines,
            machine: None,
            slot: None,
            doing: Doing::Shell,
            facts: Facts::default(),
            uses: Uses::default(),
            keys: None,
            key: None,
            ask: None,
            filter: Filter::default(),
            scroll: 0,
            help: None,
            hint: false,
        };
        model.start();
        if model.mine().is_some() {
            model.place = Place::Mine;
        } else if model.waiting().is_some() {
            model.place = Place::Waiting;
        }
        model
    }

    /// Lines shown above the lists: why the last reservation ended, a message of the day.
    #[must_use]
    pub fn with_notice(mut self, notice: Option<String>) -> Self {
        self.notice = notice.as_deref().map(clean_lines).unwrap_or_default();
        self
    }

    /// How the reader reaches this cluster from their own machine.
    #[must_use]
    pub fn with_way(mut self, way: Way) -> Self {
        self.way = way;
        self
    }

    /// The language that is spoken now.
    #[must_use]
    pub fn lang(&self) -> Lang {
        self.lang
    }

    /// What machines use, as it is shown.
    #[must_use]
    pub fn uses(&self) -> &Uses {
        &self.uses
    }

    /// Does a line of text go into the screen shown?
    pub(super) fn takes_text(&self) -> bool {
        matches!(self.place, Place::Paste(_))
    }

    pub(super) fn start(&mut self) {
        let machines = &self.cluster.machines;
        let best = machines.iter().find(|machine| machine.free() > 0).or_else(|| machines.first());
        self.machine = best.map(|machine| machine.name.clone());
        if let [only] = machines.as_slice() {
            self.open(only.name.clone());
        }
    }

    /// Opens a machine with the cursor on its first free slot.
    pub(super) fn open(&mut self, name: MachineName) {
        self.filter.clear();
        self.machine = Some(name.clone());
        self.place = Place::Slots(name);
        let slots = self.slots();
        let best = slots.iter().find(|slot| slot.state.is_for(&self.user)).or_else(|| slots.first());
        self.slot = best.map(|slot| slot.id.clone());
    }

    /// To the lists of machines and slots.
    pub(super) fn show_lists(&mut self) {
        self.place = Place::Machines;
        self.ask = None;
        self.filter.clear();
        self.start();
    }

    /// The reader's place in the queue.
    pub(super) fn waiting(&self) -> Option<&WaitingView> {
        self.cluster.waiting(&self.user)
    }

    /// What one could wait for from here: where something is free, or something held, there is nothing to wait for.
    pub(super) fn worth_waiting_for(&self) -> Option<Target> {
        let (target, free) = match &self.place {
            Place::Machines => (Target::Any, self.cluster.machines.iter().map(MachineView::free).sum()),
            Place::Slots(name) => (Target::Machine(name.clone()), self.opened().map_or(0, MachineView::free)),
            _ => return None,
        };
        let has_or_waits = self.waiting().is_some() || self.mine().is_some();
        (free == 0 && !self.cluster.machines.is_empty() && !has_or_waits).then_some(target)
    }

    /// Shows the queue.
    pub(super) fn wait(&mut self) {
        self.notice.clear();
        self.filter.clear();
        self.place = Place::Waiting;
    }

    /// From the queue to the lists.
    pub(super) fn stop_waiting(&mut self) {
        self.place = Place::Machines;
        self.start();
    }

    /// Back to the machines, where there is a choice of them.
    pub(super) fn back(&mut self) {
        if self.can_go_back() {
            self.filter.clear();
            self.place = Place::Machines;
        } else if self.mine().is_some() {
            self.place = Place::Mine;
        }
    }

    pub(super) fn can_go_back(&self) -> bool {
        self.cluster.machines.len() != 1
    }

    /// The machine whose slots are shown.
    pub(super) fn opened(&self) -> Option<&MachineView> {
        match &self.place {
            Place::Slots(name) => self.cluster.machines.iter().find(|machine| machine.name == *name),
            _ => None,
        }
    }

    /// The machines shown.
    pub(super) fn machines(&self) -> Vec<&MachineView> {
        self.cluster.machines.iter().filter(|machine| self.filter.takes_machine(machine)).collect()
    }

    /// The slots shown.
    pub(super) fn slots(&self) -> Vec<&SlotView> {
        let slots = self.opened().map_or(&[][..], |machine| machine.slots.as_slice());
        slots.iter().filter(|slot| self.filter.takes_slot(slot)).collect()
    }

    pub(super) fn machine_index(&self) -> Option<usize> {
        self.machines().iter().position(|machine| Some(&machine.name) == self.machine.as_ref())
    }

    pub(super) fn slot_index(&self) -> Option<usize> {
        self.slots().iter().position(|slot| Some(&slot.id) == self.slot.as_ref())
    }

    /// The slot under the cursor.
    pub(super) fn chosen(&self) -> Option<&SlotView> {
        self.slots().into_iter().find(|slot| Some(&slot.id) == self.slot.as_ref())
    }

    /// Takes a newer picture.
    pub(super) fn replace(&mut self, picture: Picture) {
        let was_empty = self.cluster.machines.is_empty();
        self.now = self.now.max(picture.now);
        self.cluster = picture;
        if was_empty && self.place == Place::Machines {
            self.start();
        }
        if matches!(self.place, Place::Slots(_)) && self.opened().is_none() {
            self.place = Place::Machines;
        }
        // Hidden by the filter is not gone.
        let machines = &self.cluster.machines;
        if !machines.iter().any(|machine| Some(&machine.name) == self.machine.as_ref()) {
            self.machine = None;
        }
        if let Some(machine) = self.opened()
            && !machine.slots.iter().any(|slot| Some(&slot.id) == self.slot.as_ref())
        {
            self.slot = None;
            self.hint = false;
        }
        self.leave_what_is_gone();
    }

    /// Shows the progress of a reservation.
    pub(super) fn begin(&mut self, slot: SlotId, begun: Begun) {
        self.notice.clear();
        self.filter.clear();
        self.place = Place::Progress { slot, steps: Steps::begun(self.now), begun };
    }

    /// Back from the progress to the list it was asked from, the cursor where it was.
    pub(super) fn return_to_list(&mut self) {
        if self.place == Place::Waiting {
            return self.stop_waiting();
        }
        let Place::Progress { slot, .. } = &self.place else { return };
        let slot = slot.clone();
        self.place = Place::Slots(slot.machine.clone());
        if self.opened().is_none() {
            self.place = Place::Machines;
        }
        self.slot = self.slots().iter().any(|other| other.id == slot).then_some(slot);
        self.hint = false;
    }

    /// Back to the list with the reason as the notice.
    pub(super) fn fail(&mut self, text: &str) {
        self.return_to_list();
        self.notice = clean_lines(text);
    }

    /// Says something above what is shown.
    pub(super) fn tell(&mut self, text: &str) {
        self.notice = clean_lines(text);
    }
}

fn clean_lines(text: &str) -> Vec<String> {
    text.lines().take(TEXT_LINES).map(clean_text).collect()
}

pub(super) fn clean_text(text: &str) -> String {
    printable(text).chars().take(TEXT_CHARS).collect()
}
