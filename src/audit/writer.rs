//! The thread that writes. Each event is one `write` to a file opened for appending, so that lines of several
//! processes do not mix.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Receiver;

use jiff::Timestamp;

use super::{Event, Line};

/// The schema's version: raised when a field changes its meaning.
const SCHEMA: u32 = 1;

/// Why nothing can be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the audit log {}", path.display())]
pub struct AuditError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

pub(super) fn start(
    path: &Path,
    queued: Receiver<(Timestamp, Event)>,
    dropped: Arc<AtomicU64>,
    reopen: Arc<AtomicBool>,
) -> Result<(), AuditError> {
    let failed = |source| AuditError { path: path.to_owned(), source };
    let file = open(path).map_err(failed)?;
    let mut writer = Writer { path: path.to_owned(), file, dropped, reopen };
    let run = move || {
        while let Ok((time, event)) = queued.recv() {
            writer.write(time, &event);
        }
    };
    std::thread::Builder::new().name("audit".into()).spawn(run).map_err(failed)?;
    Ok(())
}

pub(super) fn append(path: &Path, time: Timestamp, event: &Event) -> Result<(), AuditError> {
    let write = || open(path)?.write_all(&line(time, event));
    write().map_err(|source| AuditError { path: path.to_owned(), source })
}

struct Writer {
    path: PathBuf,
    file: File,
    dropped: Arc<AtomicU64>,
    reopen: Arc<AtomicBool>,
}

impl Writer {
    fn write(&mut self, time: Timestamp, event: &Event) {
        if self.reopen.swap(false, Ordering::Relaxed) {
            match open(&self.path) {
                Ok(file) => self.file = file,
                // The old file is better than none.
                Err(e) => tracing::error!("the audit log {} stays as it was: {e}", self.path.display()),
            }
        }
        let lost = self.dropped.swap(0, Ordering::Relaxed);
        let mut bytes = if lost > 0 { line(time, &Event::Dropped { count: lost }) } else { Vec::new() };
        bytes.extend(line(time, event));
        if let Err(e) = self.file.write_all(&bytes) {
            if lost == 0 {
                tracing::error!("the audit log {} cannot be written: {e}", self.path.display());
            }
            self.dropped.fetch_add(lost + 1, Ordering::Relaxed);
        }
    }
}

/// Who may read it is the administrator's choice afterwards; it begins as root's alone.
fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o750).create(folder)?;
    }
    File::options().append(true).create(true).mode(0o600).open(path)
}

fn line(time: Timestamp, event: &Event) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(&Line { v: SCHEMA, time, event }).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::{Audit, Outcome, QUEUE};
    use super::*;

    fn event(n: u64) -> Event {
        Event::Admin { admin: "ada".into(), act: "end".into(), target: n.to_string(), outcome: Outcome::Ok }
    }

    fn lines(path: &Path) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        // The last line may be half there yet.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits for the writer's thread.
    fn eventually(mut done: impl FnMut() -> bool) {
        let limit = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !done() {
            assert!(std::time::Instant::now() < limit, "never written");
            std::thread::yield_now();
        }
    }

    #[test]
    fn events_are_lines_and_a_moved_file_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/audit.jsonl");
        let audit = Audit::open(Some(&path)).unwrap();
        audit.note(event(1));
        eventually(|| lines(&path).len() == 1);
        let first = &lines(&path)[0];
        assert_eq!(
            (&first["v"], &first["event"], &first["act"]),
            (&1.into(), &"admin".into(), &"end".into())
        );
        assert!(first["time"].as_str().unwrap().ends_with('Z'));
        let moved = folder.path().join("old");
        std::fs::rename(&path, &moved).unwrap();
        audit.reopen();
        audit.note(event(2));
        eventually(|| lines(&path).len() == 2);
        assert_eq!(lines(&path)[1]["target"], "2");
        assert_eq!(lines(&moved).len(), 1);
        append(&path, Timestamp::now(), &event(3)).unwrap();
        assert_eq!(lines(&path).len(), 3);
    }

    #[test]
    fn what_does_not_fit_is_counted_and_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let audit = Audit::open(Some(&path)).unwrap();
        let all = 20 * QUEUE as u64;
        (0..all).for_each(|n| audit.note(event(n)));
        let told = || {
            let count = |line: &serde_json::Value| line["count"].as_u64().unwrap_or(1);
            lines(&path).iter().map(count).sum::<u64>()
        };
        let wanted = all.to_string();
        eventually(|| {
            audit.note(event(all));
            lines(&path).last().is_some_and(|last| last["target"] == wanted)
        });
        assert!(told() >= all, "{} of {all}", told());
    }

    #[test]
    fn a_log_that_cannot_be_opened_is_an_error_at_once() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Audit::open(Some(folder.path())).is_err());
        assert!(Audit::open(None).is_ok());
    }
}
