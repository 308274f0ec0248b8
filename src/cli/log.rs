//! The gateway's own log: lines on standard error. However often something happens, each kind of line keeps a pace: a
//! full disk or a flood of logins must not push everything else out of the journal.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Event, Metadata};
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};

use crate::complaint::Complaint;

/// Lines of one kind at once, and then one each time that this has passed.
const BURST: u32 = 100;
const EVERY: Duration = Duration::from_millis(100);

/// Writes down what is logged from here on.
pub(super) fn begin() {
    // russh would write a line for each odd packet, in the client's words; what matters of it is said by us.
    let filter = EnvFilter::try_from_env("CLUSTERIA_LOG")
        .unwrap_or_else(|_| EnvFilter::new("clusteria=info,russh=off,warn"));
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    registry().with(filter).with(lines.with_filter(Pace::default())).init();
}

/// How often each kind of line has been written: one for each place in our code, and one for each level of libraries that
/// log by other means.
#[derive(Debug, Default)]
struct Pace {
    kinds: Mutex<HashMap<Identifier, Complaint>>,
}

impl Pace {
    /// Is this one written? Then how many of its kind were not.
    fn again(&self, kind: Identifier, now: Instant) -> Option<u64> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.entry(kind).or_insert_with(|| Complaint::paced(BURST, EVERY)).again(now)
    }
}

impl<S> Filter<S> for Pace {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let unsaid = self.again(event.metadata().callsite(), Instant::now());
        if let Some(unsaid @ 1..) = unsaid {
            // Where the log cannot be written, what runs goes on.
            let _ = writeln!(io::stderr(), "{unsaid} lines like the next one were not written");
        }
        unsaid.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn one_kind_of_line_does_not_push_the_others_out() {
        let paper = Paper::default();
        let own = paper.clone();
        let lines = fmt::layer().with_writer(move || own.clone()).with_ansi(false);
        tracing::subscriber::with_default(registry().with(lines.with_filter(Pace::default())), || {
            for number in 0..10_000 {
                tracing::error!(number, "the disk is full");
            }
            tracing::info!("something else");
        });
        let said = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        let full = said.lines().filter(|line| line.contains("the disk is full")).count();
        assert!((100..1000).contains(&full), "{full} lines");
        assert!(said.contains("something else"));
    }
}
