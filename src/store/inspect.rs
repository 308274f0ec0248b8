//! A look at the ledger from outside, changing nothing: for `clusteria doctor`, beside a gateway that runs.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{StoreError, health};

/// A gateway's write is over much sooner.
const BUSY_LIMIT: Duration = Duration::from_secs(5);

/// What is wrong with it; nothing for one that is whole and can be written.
///
/// # Errors
/// [`StoreError::Open`], [`StoreError::Statement`]
pub fn quick_check(path: &Path) -> Result<Vec<String>, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = |source| StoreError::Open { path: path.to_owned(), source };
    let connection = Connection::open_with_flags(path, flags).map_err(open)?;
    connection.busy_timeout(BUSY_LIMIT).map_err(open)?;
    let complaints = health::check(&connection).map_err(open)?;
    if complaints.is_empty() {
        // Takes the writer's lock and gives it back: a read-only file says so here.
        connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK;").map_err(open)?;
    }
    Ok(complaints)
}
