//! Is the ledger well? Looked at when it is opened; what fails later is told apart by kind.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use super::StoreError;

/// How long one statement waits for another process's lock (`clusteria user …` beside the gateway).
const BUSY_LIMIT: Duration = Duration::from_secs(5);
/// The log of what is written ahead goes into the ledger when it has so many pages (of 4 KiB). A disk that fills up meanwhile
/// then holds little of it.
const LOG_PAGES: u32 = 100;
/// Complaints that are shown of a damaged ledger.
const COMPLAINTS: usize = 3;

/// Opens it for reading and writing, and checks that it is whole.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    let failed = |source: rusqlite::Error| match is_damage(&source) {
        true => StoreError::Damaged { path: path.to_owned(), detail: source.to_string() },
        false => StoreError::Open { path: path.to_owned(), source },
    };
    let connection = connect(path).map_err(failed)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(failed)?;
    // A power cut may lose the last moments of history, never the file: labels bring back what runs.
    connection.pragma_update(None, "synchronous", "normal").map_err(failed)?;
    match check(&connection).map_err(failed)?.as_slice() {
        [] => Ok(connection),
        complaints => Err(StoreError::Damaged { path: path.to_owned(), detail: complaints.join("; ") }),
    }
}

/// Readers and one writer at once. That wants a little file of shared memory beside the ledger: where the disk has no
/// room even for that, this process keeps the ledger to itself until it is started again.
fn connect(path: &Path) -> Result<Connection, rusqlite::Error> {
    match write_ahead(path, false) {
        Err(e) if matches!(code(&e), Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure)) => {
            let alone = write_ahead(path, true)?;
            tracing::warn!("the ledger's disk is full: other commands cannot use the ledger until a restart");
            Ok(alone)
        }
        other => other,
    }
}

fn write_ahead(path: &Path, alone: bool) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_LIMIT)?;
    if alone {
        // Before the first access: only then does SQLite do without the shared memory.
        connection.pragma_update(None, "locking_mode", "exclusive")?;
    }
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
    Ok(connection)
}

/// Where the disk is full: the log of what was written ahead may be what fills it, and its pages have their place in the
/// ledger. Best effort; what was refused stays refused, but what comes next may be written.
pub(super) fn make_room(connection: &Connection) {
    let moved = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, u32>(0));
    if let Err(e) = moved {
        tracing::debug!("no room was made: {e}");
    }
}

/// What is wrong with it; nothing for one that is whole.
pub(super) fn check(connection: &Connection) -> Result<Vec<String>, rusqlite::Error> {
    let ask = || {
        let mut query = connection.prepare(&format!("PRAGMA quick_check({COMPLAINTS})"))?;
        query.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()
    };
    match ask() {
        Ok(said) => Ok(said.into_iter().filter(|line| line != "ok").collect()),
        Err(e) if is_damage(&e) => Ok(vec![e.to_string()]),
        Err(e) => Err(e),
    }
}

pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(code(error), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

fn code(error: &rusqlite::Error) -> Option<ErrorCode> {
    error.sqlite_error_code()
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match code(&error) {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            _ => Self::Statement(error),
        }
    }
}
