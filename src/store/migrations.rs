//! The schema and its history. `PRAGMA user_version` counts the steps taken.

use std::path::Path;

use rusqlite::Connection;

use super::StoreError;

/// Each step is run once, in its own transaction. Never edit one that has been released.
const STEPS: &[&str] = &[
    "
    CREATE TABLE users (
        name     TEXT PRIMARY KEY,
        uid      INTEGER NOT NULL UNIQUE,
        password TEXT,
        created  TEXT NOT NULL
    ) STRICT;
    -- Freed ids are never given again: files in shared storage carry them.
    CREATE TABLE next_uid (value INTEGER NOT NULL) STRICT;
    INSERT INTO next_uid VALUES (20000);
    CREATE TABLE keys (
        user        TEXT NOT NULL REFERENCES users(name) ON DELETE CASCADE,
        fingerprint TEXT NOT NULL,
        line        TEXT NOT NULL,
        comment     TEXT NOT NULL,
        added       TEXT NOT NULL,
        last_used   TEXT,
        PRIMARY KEY (user, fingerprint)
    ) STRICT;
    CREATE TABLE reservations (
        id       TEXT PRIMARY KEY,
        user     TEXT NOT NULL,
        slot     TEXT NOT NULL,
        started  TEXT NOT NULL,
        deadline TEXT NOT NULL,
        ended    TEXT,
        reason   TEXT,
        detail   TEXT
    ) STRICT;
    CREATE INDEX reservations_open ON reservations (id) WHERE ended IS NULL;
    CREATE INDEX reservations_by_user ON reservations (user, ended);
",
    "
    ALTER TABLE users ADD COLUMN admin INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE users ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE users ADD COLUMN expires TEXT;
    -- local, or directory: then the directory has the last word on who they are.
    ALTER TABLE users ADD COLUMN origin TEXT NOT NULL DEFAULT 'local';
    ALTER TABLE users ADD COLUMN totp TEXT;
    -- The time step of the last code that was taken: none is taken twice.
    ALTER TABLE users ADD COLUMN totp_step INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE charter (
        user     TEXT NOT NULL REFERENCES users(name) ON DELETE CASCADE,
        version  TEXT NOT NULL,
        accepted TEXT NOT NULL,
        PRIMARY KEY (user, version)
    ) STRICT;
    -- Addresses from which a user has logged in: what others do elsewhere is not held against them there.
    CREATE TABLE good_sources (
        user   TEXT NOT NULL REFERENCES users(name) ON DELETE CASCADE,
        source TEXT NOT NULL,
        seen   TEXT NOT NULL,
        PRIMARY KEY (user, source)
    ) STRICT;
    CREATE TABLE draining (machine TEXT PRIMARY KEY, since TEXT NOT NULL) STRICT;
",
    "
    -- Of the reservation's own password: argon2id in PHC format, gone when it ends.
    ALTER TABLE reservations ADD COLUMN password TEXT;
",
    "
    -- Who waits, in order; what is held for whom follows from it. The target is empty for any slot.
    CREATE TABLE queue (
        place  INTEGER PRIMARY KEY,
        user   TEXT NOT NULL UNIQUE,
        target TEXT NOT NULL,
        since  TEXT NOT NULL
    ) STRICT;
    -- Whose turn has passed, to be told.
    CREATE TABLE missed_turns (user TEXT PRIMARY KEY, slot TEXT NOT NULL, at TEXT NOT NULL) STRICT;
    -- User ids found in containers of people whom this ledger does not know: a ledger was lost, or an old copy
    -- was put back. They get them again, because their files carry them.
    CREATE TABLE known_uids (user TEXT PRIMARY KEY, uid INTEGER NOT NULL UNIQUE) STRICT;
    -- How wall and boot clock stood to each other when the deadlines of what runs were written, and in which
    -- life of the machine.
    CREATE TABLE clock (one INTEGER PRIMARY KEY CHECK (one = 1), boot TEXT NOT NULL, offset_ms INTEGER NOT NULL) STRICT;
",
    "
    -- The language they have chosen, en or fr; without one their terminal says it.
    ALTER TABLE users ADD COLUMN lang TEXT;
",
    "
    -- Personal tokens of the API: SHA-256 of 256 random bits.
    CREATE TABLE tokens (
        hash      TEXT PRIMARY KEY,
        id        TEXT NOT NULL,
        user      TEXT NOT NULL REFERENCES users(name) ON DELETE CASCADE,
        label     TEXT NOT NULL,
        created   TEXT NOT NULL,
        last_used TEXT
    ) STRICT;
    CREATE INDEX tokens_by_user ON tokens (user);
    CREATE INDEX reservations_by_end ON reservations (ended);
",
    "
    -- Who is signed in on the page: SHA-256 of the cookie's 256 random bits. Times in microseconds since 1970.
    CREATE TABLE sessions (
        hash     TEXT PRIMARY KEY,
        user     TEXT NOT NULL REFERENCES users(name) ON DELETE CASCADE,
        identity TEXT NOT NULL,
        began    INTEGER NOT NULL,
        lent_by  TEXT
    ) STRICT;
    CREATE INDEX sessions_by_user ON sessions (user, began);
    CREATE INDEX sessions_by_age ON sessions (began);
    CREATE INDEX sessions_by_lender ON sessions (lent_by) WHERE lent_by IS NOT NULL;
    -- Which JupyterLab their browser may open, by a cookie of its own.
    CREATE TABLE passes (
        hash        TEXT PRIMARY KEY,
        session     TEXT NOT NULL REFERENCES sessions(hash) ON DELETE CASCADE,
        reservation TEXT NOT NULL,
        made        INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX passes_by_session ON passes (session, made);
",
];

pub(super) fn run(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let known = u32::try_from(STEPS.len()).unwrap_or(u32::MAX);
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(StoreError::TooNew { path: path.to_owned(), found, known });
    }
    for (version, step) in (1..=known).zip(STEPS).skip(found as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}
