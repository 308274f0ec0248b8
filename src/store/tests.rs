//! A ledger that is unwell says so; one that was full recovers; a copy is whole.

use std::os::unix::fs::PermissionsExt;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::error_chain::in_full;
use crate::reservation::{Book, Reservation, ReservationId, State, Target};

fn at(s: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + s).unwrap()
}

fn reservation(user: &str) -> Reservation {
    Reservation {
        id: ReservationId::new(),
        user: user.parse().unwrap(),
        slot: "gpu1/1".parse().unwrap(),
        started: at(0),
        deadline: at(100),
        state: State::Active,
    }
}

#[test]
fn a_damaged_ledger_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("l.db");
    std::fs::write(&path, vec![b'x'; 8192]).unwrap();
    let error = Ledger::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    assert!(in_full(&error).contains("clusteria backup"), "{}", in_full(&error));
    // One whose beginning is whole: only a look at all of it tells.
    std::fs::remove_file(&path).unwrap();
    let ledger = Ledger::open(&path).unwrap();
    for n in 0..200 {
        ledger.note_reservation(&reservation(&format!("u{n}"))).unwrap();
    }
    drop(ledger);
    let mut bytes = std::fs::read(&path).unwrap();
    let (from, to) = (bytes.len() / 2, bytes.len() - 100);
    bytes[from..to].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let error = Ledger::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    assert!(matches!(backup(&path, &folder.path().join("copy")), Err(BackupError::Damaged(_))));
    assert!(!folder.path().join("copy").exists(), "no copy rather than a damaged one");
}

#[test]
fn a_newer_ledger_is_left_to_the_newer_program() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("l.db");
    drop(Ledger::open(&path).unwrap());
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    drop(raw);
    let said = in_full(&Ledger::open(&path).unwrap_err());
    assert!(said.contains("newer clusteria") && said.contains("schema 99"), "{said}");
}

#[test]
fn a_full_or_read_only_ledger_says_so_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&folder.path().join("l.db")).unwrap();
    let pragma = |name: &str, value: u32| {
        ledger.with(|c| Ok(c.pragma_update_and_check(None, name, value, |_| Ok(()))?)).unwrap();
    };
    let pages: u32 =
        ledger.with(|c| Ok(c.pragma_query_value(None, "page_count", |row| row.get(0))?)).unwrap();
    pragma("max_page_count", pages);
    let refused = (0..500).find_map(|n| ledger.note_reservation(&reservation(&format!("u{n}"))).err());
    assert_eq!(in_full(&refused.unwrap()), "the ledger cannot be written: disk full");
    assert!(ledger.open_reservations().is_ok(), "what is there can be read");
    pragma("max_page_count", pages + 100);
    ledger.note_reservation(&reservation("ada")).unwrap();
    ledger.with(|c| Ok(c.pragma_update(None, "query_only", true)?)).unwrap();
    let refused = ledger.note_reservation(&reservation("bob")).unwrap_err();
    assert_eq!(in_full(&refused), "the ledger cannot be written: read-only");
    ledger.with(|c| Ok(c.pragma_update(None, "query_only", false)?)).unwrap();
    ledger.note_reservation(&reservation("bob")).unwrap();
}

#[test]
fn what_is_written_ahead_stays_small() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("l.db");
    let ledger = Ledger::open(&path).unwrap();
    let log = || std::fs::metadata(folder.path().join("l.db-wal")).unwrap().len();
    for n in 0..1000 {
        ledger.note_reservation(&reservation(&format!("u{n}"))).unwrap();
        assert!(log() < 1 << 20, "{} bytes after {n}", log());
    }
    // A write that finds no room empties it.
    assert!(log() > 0);
    assert!(ledger.with(|_| Err::<(), _>(StoreError::DiskFull)).is_err());
    assert_eq!(log(), 0);
}

#[test]
fn a_copy_is_whole_private_and_replaces_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("l.db"), folder.path().join("copy.db"));
    let ledger = Ledger::open(&path).unwrap();
    ledger.add_user(&"ada".parse().unwrap(), None, at(0)).unwrap();
    std::fs::write(&copy, "an older one").unwrap();
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o644)).unwrap();
    // In the middle of a writer's life: what is committed is in it.
    backup(&path, &copy).unwrap();
    ledger.add_user(&"bob".parse().unwrap(), None, at(0)).unwrap();
    assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().flatten().map(|f| f.file_name()).collect();
    assert!(files.iter().all(|name| !name.to_string_lossy().starts_with(".clusteria")), "{files:?}");
    let users = Ledger::open(&copy).unwrap().users().unwrap();
    assert_eq!(users.iter().map(|u| u.name.as_str()).collect::<Vec<_>>(), ["ada"]);
    assert!(matches!(backup(&path, &path), Err(BackupError::Itself(_))));
    assert!(matches!(backup(&path, Path::new("/nowhere/x")), Err(BackupError::Target { .. })));
    assert!(matches!(backup(&folder.path().join("none.db"), &copy), Err(BackupError::Copy { .. })));
    assert_eq!(Ledger::open(&copy).unwrap().users().unwrap().len(), 1, "the copy before is still there");
}

#[test]
fn the_queue_and_the_clocks_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&folder.path().join("l.db")).unwrap();
    let mut book = Book::new("lab".into(), vec![], "not asked");
    for (n, user) in ["eve", "ada", "bob"].into_iter().enumerate() {
        book.join(&user.parse().unwrap(), &Target::Any, at(n as i64)).unwrap();
    }
    book.leave(&"ada".parse().unwrap(), at(4)).unwrap();
    let revision = ledger.save_queue(|| book.queue().clone()).unwrap();
    assert_eq!(revision, book.queue().revision());
    let (waiting, missed) = ledger.queue().unwrap();
    assert_eq!((waiting.as_slice(), missed), (book.queue().waiting(), book.queue().missed().clone()));
    assert_eq!(ledger.clock("boot").unwrap(), None);
    let mut mine = reservation("ada");
    ledger.note_reservation(&mine).unwrap();
    mine.deadline = at(9 * 3600);
    let offset = SignedDuration::from_secs(1_800_000_000);
    ledger.save_clock("boot", offset, std::slice::from_ref(&mine)).unwrap();
    assert_eq!(ledger.clock("boot").unwrap(), Some(offset));
    assert_eq!(ledger.clock("another").unwrap(), None, "another life of the machine");
    assert_eq!(ledger.open_reservations().unwrap()[0].deadline, mine.deadline);
}
