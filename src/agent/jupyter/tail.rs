//! The last words of a program: its standard error, read to the end, of which a little is kept.

use std::io::Read;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::agent::run;
use crate::text::printable;

/// What is kept.
const KEPT: usize = 4096;
/// Longest reason that is told.
const REASON_CHARS: usize = 300;
/// What a program said before it ended is there at once; its children may hold the pipe for hours.
const LAST_WORDS_LIMIT: Duration = Duration::from_millis(300);

pub(super) struct Tail {
    kept: Arc<Mutex<Vec<u8>>>,
    /// Closed when the last holder of the pipe is gone.
    end: Receiver<()>,
}

impl Tail {
    /// Reads on for as long as anybody holds the pipe: a full one would stop who writes to it.
    pub(super) fn of(mut from: impl Read + Send + 'static) -> Self {
        let kept: Arc<Mutex<Vec<u8>>> = Arc::default();
        let (open, end) = channel::<()>();
        let shared = kept.clone();
        let read = move || {
            let _open = open;
            let mut buffer = [0; KEPT];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                let mut kept = shared.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(buffer.get(..count).unwrap_or_default());
                let excess = kept.len().saturating_sub(KEPT);
                kept.drain(..excess);
            }
        };
        let _ = run::named("jupyter-log", read);
        Self { kept, end }
    }

    /// The last line that says something, to be shown to people.
    pub(super) fn last_line(&self) -> Option<String> {
        let _ = self.end.recv_timeout(LAST_WORDS_LIMIT);
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        reason_in(&String::from_utf8_lossy(&kept))
    }
}

fn reason_in(log: &str) -> Option<String> {
    let line = log.lines().map(without_stamp).rfind(|line| !line.is_empty())?;
    Some(printable(line).chars().take(REASON_CHARS).collect())
}

/// Jupyter's lines begin with `[C 2026-01-02 03:04:05.678 ServerApp]`.
fn without_stamp(line: &str) -> &str {
    let stamped = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    stamped.map_or(line, |(_, rest)| rest).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_that_says_something_is_the_reason() {
        let log = "[I 2026-01-02 03:04:05.678 ServerApp] hello\n\
                   [C 2026-01-02 03:04:05.679 ServerApp] ERROR: port 8888 is not available.\n\n  \n";
        assert_eq!(reason_in(log).as_deref(), Some("ERROR: port 8888 is not available."));
        assert_eq!(
            reason_in("Traceback\nImportError: no\x1b[2J\n").as_deref(),
            Some("ImportError: no\u{fffd}[2J")
        );
        assert_eq!(reason_in(" \n\n"), None);
    }

    #[test]
    fn only_the_end_of_a_long_log_is_kept() {
        let log = "x".repeat(100_000) + "\nthe end\n";
        assert_eq!(Tail::of(std::io::Cursor::new(log)).last_line().as_deref(), Some("the end"));
    }
}
