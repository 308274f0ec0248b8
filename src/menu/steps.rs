//! How far a reservation is: the steps of a start, one after the other.

use std::time::Duration;

use jiff::Timestamp;

use crate::engine::Stage;

/// The steps that have been told, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Steps {
    since: Timestamp,
    /// The last one is under way.
    told: Vec<Stage>,
}

impl Steps {
    pub(super) fn begun(now: Timestamp) -> Self {
        Self { since: now, told: Vec::new() }
    }

    /// News of the step under way takes the place of what was told of it. A start knows few steps, so this stays short.
    pub(super) fn tell(&mut self, stage: Stage) {
        match self
            .told
            .iter_mut()
            .find(|told| std::mem::discriminant(*told) == std::mem::discriminant(&stage))
        {
            Some(told) => *told = stage,
            None => self.told.push(stage),
        }
    }

    /// Each with whether it is over.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Stage, bool)> {
        let last = self.told.len().saturating_sub(1);
        self.told.iter().enumerate().map(move |(index, stage)| (stage, index < last))
    }

    pub(super) fn elapsed(&self, now: Timestamp) -> Duration {
        Duration::try_from(now.duration_since(self.since)).unwrap_or_default()
    }
}
