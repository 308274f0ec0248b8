//! The ledger: the truth about people and history, in SQLite (WAL mode).
//!
//! Containers' labels are the truth about what runs; what is written here about a running
//! reservation is for the time when its machine cannot be asked.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

mod access;
mod history;
mod migrations;
mod past;
mod reservation_password;
mod tokens;
mod users;

pub use past::Past;
pub use tokens::TokenRecord;
pub use users::{KeyRecord, Origin, UserRecord};

/// How long one statement waits for another process's lock (`clusteria user …` beside the gateway).
const BUSY_LIMIT: Duration = Duration::from_secs(5);

/// Why the ledger could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened.
    #[error("cannot open the ledger {}", path.display())]
    Open {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// Its folder cannot be made.
    #[error("cannot make the folder of the ledger {}", path.display())]
    Folder {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A newer clusteria has written it.
    #[error("the ledger has schema {found}, this clusteria knows up to {known}: use the newer clusteria")]
    TooNew {
        /// What the file says.
        found: u32,
        /// What we know.
        known: u32,
    },
    /// A statement failed: disk full, read-only, damaged.
    #[error("the ledger cannot be used")]
    Statement(#[from] rusqlite::Error),
    /// What is in it makes no sense.
    #[error("the ledger holds something odd: {0}")]
    Odd(String),
    /// The user exists already.
    #[error("user {0} exists already")]
    UserExists(String),
    /// The user id belongs to somebody else.
    #[error("user id {0} belongs to somebody else")]
    UidTaken(u32),
    /// There is no such user.
    #[error("there is no user {0}")]
    NoUser(String),
    /// The thread for it failed.
    #[error("the ledger's thread failed")]
    Thread,
}

/// A handle to the ledger. One connection: statements are short, and writers would queue anyway.
#[derive(Debug, Clone)]
pub struct Ledger {
    connection: Arc<Mutex<Connection>>,
}

impl Ledger {
    /// Opens the ledger, making it if it is missing, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)
                .map_err(|source| StoreError::Folder { path: folder.to_owned(), source })?;
        }
        let open = |source| StoreError::Open { path: path.to_owned(), source };
        let mut connection = Connection::open(path).map_err(open)?;
        connection.busy_timeout(BUSY_LIMIT)?;
        connection.pragma_update(None, "journal_mode", "wal").map_err(open)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // A power cut may lose the last moments of history, never the file: labels bring back what runs.
        connection.pragma_update(None, "synchronous", "normal")?;
        migrations::run(&mut connection)?;
        restrict(path);
        Ok(Self { connection: Arc::new(Mutex::new(connection)) })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        work(&mut self.connection.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs a piece of work on the ledger off the async threads.
    ///
    /// # Errors
    /// What the work says.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let ledger = self.clone();
        tokio::task::spawn_blocking(move || work(&ledger)).await.map_err(|_| StoreError::Thread)?
    }
}

/// Password hashes are nobody else's business. Best effort: a read-only ledger still serves.
fn restrict(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600));
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T, StoreError>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|e: T::Err| StoreError::Odd(e.to_string()))
}
