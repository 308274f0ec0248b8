//! The ledger: the truth about people and history, in SQLite (WAL mode).
//!
//! Containers' labels are the truth about what runs; what is written here about a running
//! reservation is for the time when its machine cannot be asked.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

mod access;
mod backup;
mod clock;
mod health;
mod history;
mod inspect;
mod languages;
mod migrations;
mod past;
mod queue;
mod reservation_password;
mod sessions;
#[cfg(test)]
mod tests;
mod tokens;
mod users;

pub use backup::{BackupError, backup};
pub use inspect::quick_check;
pub use past::Past;
pub use sessions::{Checked, PassRecord, SessionRecord};
pub use tokens::TokenRecord;
pub use users::{KeyRecord, Origin, UserRecord};

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
    /// The agents' key beside it.
    #[error("cannot use the agents' key {}", path.display())]
    Key {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A newer clusteria has written it.
    #[error(
        "the ledger {} was written by a newer clusteria (schema {found}, this one knows up to {known}): \
         run the newer one, or restore a copy that this one has made", path.display()
    )]
    TooNew {
        /// Where.
        path: PathBuf,
        /// What the file says.
        found: u32,
        /// What we know.
        known: u32,
    },
    /// It is no ledger any more.
    #[error(
        "the ledger {} is damaged: {detail}. What runs goes on. Put back a copy that `clusteria backup` has made, \
         or move it aside and start with an empty one; docs/administrators.md says how", path.display()
    )]
    Damaged {
        /// Where.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// No room.
    #[error("the ledger cannot be written: disk full")]
    DiskFull,
    /// Not writable.
    #[error("the ledger cannot be written: read-only")]
    ReadOnly,
    /// A statement failed otherwise.
    #[error("the ledger cannot be used")]
    Statement(#[source] rusqlite::Error),
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
        let mut connection = health::open(path)?;
        migrations::run(&mut connection, path)?;
        restrict(path);
        Ok(Self { connection: Arc::new(Mutex::new(connection)) })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let done = work(&mut connection);
        if matches!(done, Err(StoreError::DiskFull)) {
            health::make_room(&connection);
        }
        done
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
