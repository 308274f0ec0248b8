//! What the menu knows and where its reader stands.

use std::collections::VecDeque;

use super::keys::Key;
use crate::reservation::view::{ClusterView, MachineView, SlotView, WaitingView};
use crate::reservation::{MachineName, SlotId, Target, UserName};
use crate::text::{Lang, printable};

/// Progress lines kept: more than any screen shows.
const PROGRESS_LINES: usize = 64;
/// Text from outside is cut here: longer lines only cost memory.
const TEXT_CHARS: usize = 1000;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A key was pressed.
    Key(Key),
    /// A newer picture of the cluster.
    Cluster(ClusterView),
    /// The reservation in progress says how far it is.
    Progress(String),
    /// The reservation in progress failed, and why.
    Failed(String),
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
    /// Give up the reservation in progress.
    Cancel,
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
        /// What was told of it, the last lines.
        lines: VecDeque<String>,
    },
}

/// The menu's state.
///
/// Cursors are names, not positions: a new picture never puts another thing under the cursor. When
/// what was chosen disappears, nothing is chosen until the reader moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    pub(super) cluster: ClusterView,
    pub(super) user: UserName,
    pub(super) lang: Lang,
    pub(super) notice: Vec<String>,
    pub(super) place: Place,
    pub(super) machine: Option<MachineName>,
    pub(super) slot: Option<SlotId>,
    /// Whether the chosen slot's state is explained.
    pub(super) hint: bool,
}

impl Model {
    /// A menu for this user; who waits sees the queue, and with exactly one machine its slots are open at once.
    #[must_use]
    pub fn new(view: ClusterView, user: &UserName, lang: Lang) -> Self {
        let mut model = Self {
            cluster: clean(view),
            user: user.clone(),
            lang,
            notice: Vec::new(),
            place: Place::Machines,
            machine: None,
            slot: None,
            hint: false,
        };
        model.start();
        if model.waiting().is_some() {
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

    fn start(&mut self) {
        let machines = &self.cluster.machines;
        let best = machines.iter().find(|machine| machine.free() > 0).or_else(|| machines.first());
        self.machine = best.map(|machine| machine.name.clone());
        if let [only] = machines.as_slice() {
            self.open(only.name.clone());
        }
    }

    /// Opens a machine with the cursor on its first free slot.
    pub(super) fn open(&mut self, name: MachineName) {
        self.machine = Some(name.clone());
        self.place = Place::Slots(name);
        let slots = self.slots();
        let best = slots.iter().find(|slot| slot.state.is_for(&self.user)).or_else(|| slots.first());
        self.slot = best.map(|slot| slot.id.clone());
    }

    /// The reader's place in the queue.
    pub(super) fn waiting(&self) -> Option<&WaitingView> {
        self.cluster.waiting(&self.user)
    }

    /// What one could wait for from here: where something is free there is nothing to wait for.
    pub(super) fn worth_waiting_for(&self) -> Option<Target> {
        let (target, free) = match &self.place {
            Place::Machines => (Target::Any, self.cluster.machines.iter().map(MachineView::free).sum()),
            Place::Slots(name) => (Target::Machine(name.clone()), self.opened().map_or(0, MachineView::free)),
            Place::Waiting | Place::Progress { .. } => return None,
        };
        (free == 0 && !self.cluster.machines.is_empty() && self.waiting().is_none()).then_some(target)
    }

    /// Shows the queue.
    pub(super) fn wait(&mut self) {
        self.notice.clear();
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
            self.place = Place::Machines;
        }
    }

    pub(super) fn can_go_back(&self) -> bool {
        self.cluster.machines.len() != 1
    }

    /// The machine whose slots are shown.
    pub(super) fn opened(&self) -> Option<&MachineView> {
        match &self.place {
            Place::Slots(name) => self.cluster.machines.iter().find(|machine| machine.name == *name),
            Place::Machines | Place::Waiting | Place::Progress { .. } => None,
        }
    }

    /// The slots shown.
    pub(super) fn slots(&self) -> &[SlotView] {
        self.opened().map_or(&[], |machine| machine.slots.as_slice())
    }

    pub(super) fn machine_index(&self) -> Option<usize> {
        self.cluster.machines.iter().position(|machine| Some(&machine.name) == self.machine.as_ref())
    }

    pub(super) fn slot_index(&self) -> Option<usize> {
        self.slots().iter().position(|slot| Some(&slot.id) == self.slot.as_ref())
    }

    /// The slot under the cursor.
    pub(super) fn chosen(&self) -> Option<&SlotView> {
        self.slot_index().and_then(|index| self.slots().get(index))
    }

    /// Takes a newer picture.
    pub(super) fn replace(&mut self, view: ClusterView) {
        let was_empty = self.cluster.machines.is_empty();
        self.cluster = clean(view);
        if was_empty && self.place == Place::Machines {
            self.start();
        }
        if matches!(self.place, Place::Slots(_)) && self.opened().is_none() {
            self.place = Place::Machines;
        }
        if self.machine_index().is_none() {
            self.machine = None;
        }
        if matches!(self.place, Place::Slots(_)) && self.slot_index().is_none() {
            self.slot = None;
            self.hint = false;
        }
    }

    /// Shows the progress of a reservation.
    pub(super) fn begin(&mut self, slot: SlotId) {
        self.notice.clear();
        self.place = Place::Progress { slot, lines: VecDeque::new() };
    }

    /// Adds to the progress shown.
    pub(super) fn progress(&mut self, text: &str) {
        if let Place::Progress { lines, .. } = &mut self.place {
            for line in clean_lines(text) {
                if lines.len() == PROGRESS_LINES {
                    lines.pop_front();
                }
                lines.push_back(line);
            }
        }
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
}

fn clean_lines(text: &str) -> Vec<String> {
    text.lines().take(PROGRESS_LINES).map(clean_text).collect()
}

fn clean_text(text: &str) -> String {
    printable(text).chars().take(TEXT_CHARS).collect()
}

/// Made safe where it enters, so that no drawing code can forget.
fn clean(mut view: ClusterView) -> ClusterView {
    view.cluster = clean_text(&view.cluster);
    for machine in &mut view.machines {
        machine.label = machine.label.as_deref().map(clean_text);
        machine.offline = machine.offline.as_deref().map(clean_text);
        for gpu in machine.slots.iter_mut().flat_map(|slot| &mut slot.gpus) {
            *gpu = clean_text(gpu);
        }
    }
    view
}
