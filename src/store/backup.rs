//! A copy of the ledger while it is in use: whole or not at all.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};

use super::health;

/// Pages at a time; between them the gateway may write.
const PAGES: std::os::raw::c_int = 256;
const PAUSE: Duration = Duration::from_millis(5);
/// For a lock that somebody else holds.
const BUSY_LIMIT: Duration = Duration::from_secs(10);

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The target is the ledger.
    #[error("{} is the ledger itself: name another file", .0.display())]
    Itself(PathBuf),
    /// No file can be made there.
    #[error("cannot write {}", path.display())]
    Target {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// SQLite.
    #[error("cannot copy the ledger {}", path.display())]
    Copy {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// What was copied is not whole: the ledger is damaged.
    #[error("the ledger is damaged: {0}. The copy was not kept")]
    Damaged(String),
}

/// Copies the ledger to a file of its own (0600). It is written aside and put in place when it is whole.
///
/// # Errors
/// [`BackupError`]: then what was at the target is still there.
pub fn backup(ledger: &Path, target: &Path) -> Result<(), BackupError> {
    let unwritten = |source| BackupError::Target { path: target.to_owned(), source };
    if is_same_file(ledger, target) {
        return Err(BackupError::Itself(target.to_owned()));
    }
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Private from the start (tempfile makes 0600), and gone if anything fails.
    let aside =
        tempfile::Builder::new().prefix(".clusteria-backup-").tempfile_in(folder).map_err(unwritten)?;
    copy(ledger, aside.path())?;
    aside.as_file().sync_all().map_err(unwritten)?;
    aside.persist(target).map_err(|e| unwritten(e.error))?;
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(unwritten)
}

fn copy(ledger: &Path, aside: &Path) -> Result<(), BackupError> {
    // Damage may show while it is copied, before anything is checked.
    let failed = |source: rusqlite::Error| match health::is_damage(&source) {
        true => BackupError::Damaged(source.to_string()),
        false => BackupError::Copy { path: ledger.to_owned(), source },
    };
    let source = Connection::open_with_flags(ledger, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    source.busy_timeout(BUSY_LIMIT).map_err(failed)?;
    let mut copy = Connection::open(aside).map_err(failed)?;
    Backup::new(&source, &mut copy)
        .and_then(|backup| backup.run_to_completion(PAGES, PAUSE, None))
        .map_err(failed)?;
    // One file, without a write-ahead log beside it.
    copy.pragma_update(None, "journal_mode", "delete").map_err(failed)?;
    match health::check(&copy).map_err(failed)?.as_slice() {
        [] => Ok(()),
        complaints => Err(BackupError::Damaged(complaints.join("; "))),
    }
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |path: &Path| std::fs::metadata(path).map(|found| (found.dev(), found.ino()));
    matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
}
