//! How full the site's writable mounts are. Each is asked by a thread of its own: a dead file server holds up
//! that thread and nothing else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::statvfs::statvfs;

use super::report::{Store, StoreState};
use crate::agent::run::named;

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(3);
/// A file system that is well answers much sooner.
const LIMIT: Duration = Duration::from_secs(5);
/// Sites have two.
const MOST: usize = 16;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Stores {
    watched: Vec<Arc<Watched>>,
}

#[derive(Debug)]
struct Watched {
    target: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    asked: Instant,
    /// `None` while an answer is waited for.
    answered: bool,
    last: Option<StoreState>,
}

impl Stores {
    /// Begins to look.
    pub(super) fn watch(targets: &[String]) -> Self {
        let watched: Vec<_> = targets.iter().take(MOST).map(|target| Watched::new(target)).collect();
        for one in &watched {
            let one = one.clone();
            // Without a thread it stays silent, which is what is shown.
            let _ = named("store", move || one.keep());
        }
        Self { watched }
    }

    /// How they do, at once.
    pub(super) fn report(&self) -> Vec<Store> {
        self.watched.iter().filter_map(|one| one.report()).collect()
    }
}

impl Watched {
    fn new(target: &str) -> Arc<Self> {
        let state = State { asked: Instant::now(), answered: false, last: None };
        Arc::new(Self { target: target.to_owned(), state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self) {
        loop {
            {
                let mut state = self.state();
                (state.asked, state.answered) = (Instant::now(), false);
            }
            let found = look(&self.target);
            {
                let mut state = self.state();
                (state.answered, state.last) = (true, Some(found));
            }
            sleep(PERIOD);
        }
    }

    /// `None` in the first moments, when nothing can be said yet.
    fn report(&self) -> Option<Store> {
        let state = self.state();
        let waited = state.asked.elapsed();
        let shown = if !state.answered && waited > LIMIT {
            StoreState::Silent { seconds: u32::try_from(waited.as_secs()).unwrap_or(u32::MAX) }
        } else {
            state.last.clone()?
        };
        Some(Store { target: self.target.clone(), state: shown })
    }
}

fn look(target: &str) -> StoreState {
    match statvfs(target) {
        Ok(found) => {
            let unit = found.fragment_size();
            let bytes = |blocks: u64| blocks.saturating_mul(unit);
            let used = bytes(found.blocks().saturating_sub(found.blocks_free()));
            // What is kept back for root is not the users'.
            StoreState::Space { used, total: used.saturating_add(bytes(found.blocks_available())) }
        }
        Err(e) => StoreState::Failed { why: e.desc().to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_a_size_and_what_is_not_there_says_so() {
        assert!(matches!(look("/"), StoreState::Space { total: 1.., .. }));
        assert_eq!(look("/no/such/place"), StoreState::Failed { why: "No such file or directory".into() });
    }

    #[test]
    fn who_does_not_answer_is_silent() {
        let watched = Watched::new("/storage");
        assert_eq!(watched.report(), None);
        watched.state().asked = Instant::now().checked_sub(LIMIT * 2).unwrap();
        let Some(Store { state: StoreState::Silent { seconds }, .. }) = watched.report() else { panic!() };
        assert!(seconds >= 10);
    }
}
