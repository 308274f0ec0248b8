//! A look at the ledger from outside, changing nothing: for `clusteria doctor`, beside a gateway that runs.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{BUSY_LIMIT, StoreError};

/// What SQLite's own quick check says: `ok`, or the first thing that is wrong.
///
/// # Errors
/// [`StoreError::Open`], [`StoreError::Statement`]
pub fn quick_check(path: &Path) -> Result<String, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = |source| StoreError::Open { path: path.to_owned(), source };
    let connection = Connection::open_with_flags(path, flags).map_err(open)?;
    connection.busy_timeout(BUSY_LIMIT)?;
    // Takes the writer's lock and gives it back: a read-only file says so here.
    connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK;")?;
    Ok(connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?)
}
