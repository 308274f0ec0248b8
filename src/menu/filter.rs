//! What is typed to find something in a list.

use crate::reservation::view::{MachineView, SlotState, SlotView};

/// Longer names there are none.
const MOST: usize = 40;

/// Hides the rows that do not have its text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter {
    text: String,
    /// Keys go into it.
    pub typing: bool,
}

impl Filter {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Is there one, or does one begin?
    pub(super) fn is_on(&self) -> bool {
        self.typing || !self.text.is_empty()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn push(&mut self, char: char) {
        if self.text.chars().count() < MOST && !char.is_control() {
            self.text.extend(char.to_lowercase());
        }
    }

    /// Takes a character back; from nothing it ends.
    pub(super) fn pop(&mut self) {
        self.typing &= self.text.pop().is_some();
    }

    fn takes(&self, text: &str) -> bool {
        text.to_lowercase().contains(&self.text)
    }

    /// By its name, its label, or who works there.
    pub(super) fn takes_machine(&self, machine: &MachineView) -> bool {
        self.text.is_empty()
            || self.takes(machine.name.as_str())
            || machine.label.as_deref().is_some_and(|label| self.takes(label))
            || machine.slots.iter().any(|slot| self.takes_holder(slot))
    }

    /// By its name, or who works there.
    pub(super) fn takes_slot(&self, slot: &SlotView) -> bool {
        self.text.is_empty() || self.takes(&slot.id.to_string()) || self.takes_holder(slot)
    }

    fn takes_holder(&self, slot: &SlotView) -> bool {
        holder(&slot.state).is_some_and(|user| self.takes(user))
    }
}

fn holder(state: &SlotState) -> Option<&str> {
    match state {
        SlotState::Reserved { user, .. }
        | SlotState::Starting { user, .. }
        | SlotState::Ending { user }
        | SlotState::Held { user, .. } => Some(user.as_str()),
        _ => None,
    }
}
