//! The cluster as menus draw it: cleaned once, and shared by all who show the same moment.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::model::clean_text;
use super::uses::Uses;
use crate::reservation::Desk;
use crate::reservation::view::ClusterView;
use crate::workspace::usage::Machines;

/// A picture may be this old where nothing has changed since: only its clock has gone on.
const FRESH: SignedDuration = SignedDuration::from_secs(1);

/// A cluster's view made safe for terminals. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture(Arc<ClusterView>);

impl From<ClusterView> for Picture {
    /// Made safe where it enters, so that no drawing code can forget.
    fn from(mut view: ClusterView) -> Self {
        view.cluster = clean_text(&view.cluster);
        for machine in &mut view.machines {
            machine.label = machine.label.as_deref().map(clean_text);
            machine.offline = machine.offline.as_deref().map(clean_text);
            for gpu in machine.slots.iter_mut().flat_map(|slot| &mut slot.gpus) {
                *gpu = clean_text(gpu);
            }
        }
        Self(Arc::new(view))
    }
}

impl Deref for Picture {
    type Target = ClusterView;

    fn deref(&self) -> &ClusterView {
        &self.0
    }
}

/// Where all open menus look: one picture for each change, however many look.
#[derive(Debug, Clone, Default)]
pub struct Pictures {
    /// The newest picture and the change it shows. Short sections, none awaits.
    last: Arc<Mutex<Option<(u64, Picture)>>>,
    /// The same for what machines use.
    uses: Arc<Mutex<(Machines, Uses)>>,
}

impl Pictures {
    /// The cluster as it is now.
    #[must_use]
    pub fn look(&self, desk: &Desk, now: Timestamp) -> Picture {
        // Before the book: a change in between is looked at twice, and none is missed.
        let change = *desk.changes().borrow();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((shown, picture)) = &*last
            && *shown == change
            && now.duration_since(picture.now).abs() < FRESH
        {
            return picture.clone();
        }
        let picture = Picture::from(desk.read(|book| book.view(now)));
        *last = Some((change, picture.clone()));
        picture
    }

    /// What machines use, made safe once for all who show it.
    #[must_use]
    pub fn uses(&self, machines: &Machines) -> Uses {
        let mut last = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&last.0, machines) {
            *last = (machines.clone(), Uses::from(machines));
        }
        last.1.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reservation::{Book, MachinePlan};

    #[test]
    fn all_who_look_share_one_picture_until_something_changes() {
        let plan =
            MachinePlan { name: "gpu1".parse().unwrap(), label: Some("a\x1b[2J".into()), slots: Vec::new() };
        let desk = Desk::new(Book::new("lab".into(), vec![plan], "not asked yet"));
        let (pictures, now) = (Pictures::default(), Timestamp::now());
        let first = pictures.look(&desk, now);
        assert_eq!(first.machines[0].label.as_deref(), Some("a\u{fffd}[2J"));
        assert!(Arc::ptr_eq(&first.0, &pictures.look(&desk, now).0));
        desk.change(|_| {});
        assert!(!Arc::ptr_eq(&first.0, &pictures.look(&desk, now).0));
        let later = now + SignedDuration::from_secs(2);
        assert_eq!(pictures.look(&desk, later).now, later);
    }
}
