//! The charter: a text that everybody must accept before they work here, and who has accepted it.
//!
//! Its version is the hash of its texts: whoever changes a word asks everybody again.

use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::audit::{Audit, Event};
use crate::config::CharterFiles;
use crate::reservation::UserName;
use crate::store::{Ledger, StoreError};
use crate::text::{Lang, printable};

/// The longest text, in bytes: people are meant to read it.
const MOST: u64 = 256 * 1024;
/// Characters of the hash that make a version.
const VERSION_CHARS: usize = 12;

/// Why there is no charter.
#[derive(Debug, thiserror::Error)]
pub enum CharterError {
    /// A file cannot be read.
    #[error("cannot read the charter {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is too long, or empty.
    #[error("the charter {} must have 1 byte to 256 KiB of text", .0.display())]
    Size(PathBuf),
    /// Who has accepted it is not known.
    #[error(transparent)]
    Ledger(#[from] StoreError),
}

/// The site's charter, if it has one. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Charter {
    inner: Option<Arc<Inner>>,
}

#[derive(Debug)]
struct Inner {
    texts: Texts,
    ledger: Ledger,
    audit: Audit,
    /// Short sections, none awaits.
    accepted: Mutex<HashSet<UserName>>,
}

/// The charter's texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texts {
    en: String,
    fr: String,
    version: String,
}

impl Texts {
    /// Reads the files. A language that has none reads the other's, or the file without a language.
    ///
    /// # Errors
    /// [`CharterError`]
    pub fn read(files: &CharterFiles) -> Result<Self, CharterError> {
        let (en, fr) = match files {
            CharterFiles::Each { en, fr } => (read(en)?, read(fr)?),
            CharterFiles::Beside(path) => {
                let of = |lang| Some(beside(path, lang)).filter(|path| path.is_file());
                let (en, fr) = (of("en"), of("fr"));
                let plain = path.is_file().then_some(path);
                let found = |one: &Option<PathBuf>, other: &Option<PathBuf>| {
                    read(one.as_ref().or(plain).or(other.as_ref()).unwrap_or(path))
                };
                (found(&en, &fr)?, found(&fr, &en)?)
            }
        };
        let digest = Sha256::new().chain_update(&en).chain_update([0]).chain_update(&fr).finalize();
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { en, fr, version: hex.chars().take(VERSION_CHARS).collect() })
    }
}

/// `charter.fr.md` beside `charter.md`.
fn beside(path: &Path, lang: &str) -> PathBuf {
    let extension = path.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}.{lang}{extension}"))
}

fn read(path: &Path) -> Result<String, CharterError> {
    let failed = |source| CharterError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MOST + 1).read_to_string(&mut text).map_err(failed)?;
    if text.trim().is_empty() || text.len() as u64 > MOST {
        return Err(CharterError::Size(path.to_owned()));
    }
    // Line by line: printable() would take the line ends away.
    Ok(text.trim_start_matches('\u{feff}').lines().map(printable).collect::<Vec<_>>().join("\n"))
}

impl Charter {
    /// Reads the texts, and who has accepted them.
    ///
    /// # Errors
    /// [`CharterError`]
    pub fn open(files: Option<&CharterFiles>, ledger: &Ledger, audit: &Audit) -> Result<Self, CharterError> {
        let Some(files) = files else { return Ok(Self::default()) };
        let texts = Texts::read(files)?;
        let accepted = ledger.charter_accepted(&texts.version)?.into_iter().collect();
        let inner =
            Inner { texts, ledger: ledger.clone(), audit: audit.clone(), accepted: Mutex::new(accepted) };
        Ok(Self { inner: Some(Arc::new(inner)) })
    }

    /// Has this user accepted the charter as it is now, or is there none?
    #[must_use]
    pub fn is_accepted(&self, user: &UserName) -> bool {
        let Some(inner) = &self.inner else { return true };
        inner.accepted.lock().unwrap_or_else(PoisonError::into_inner).contains(user)
    }

    /// Looks whether somebody has accepted it by another gateway: the one that was replaced, or its successor.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn look_again(&self, user: &UserName) -> Result<(), StoreError> {
        let Some(inner) = self.inner.as_ref().filter(|_| !self.is_accepted(user)) else { return Ok(()) };
        let version = inner.texts.version.clone();
        let accepted = inner.ledger.run(move |l| l.charter_accepted(&version)).await?;
        inner.accepted.lock().unwrap_or_else(PoisonError::into_inner).extend(accepted);
        Ok(())
    }

    /// The text in a language.
    #[must_use]
    pub fn text(&self, lang: Lang) -> Option<&str> {
        let texts = &self.inner.as_ref()?.texts;
        Some(lang.pick(texts.en.as_str(), texts.fr.as_str()))
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        Some(self.inner.as_ref()?.texts.version.as_str())
    }

    /// Notes that a user accepts it.
    ///
    /// # Errors
    /// [`StoreError`]: then they have not.
    pub async fn accept(&self, user: &UserName) -> Result<(), StoreError> {
        let Some(inner) = &self.inner else { return Ok(()) };
        let (name, version) = (user.clone(), inner.texts.version.clone());
        inner.ledger.run(move |l| l.accept_charter(&name, &version, Timestamp::now())).await?;
        inner.accepted.lock().unwrap_or_else(PoisonError::into_inner).insert(user.clone());
        let target = inner.texts.version.clone();
        inner.audit.note(Event::Account { user: user.clone(), act: "charter accepted", target });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, text: &str) {
        std::fs::write(folder.join(name), text).unwrap();
    }

    #[test]
    fn languages_stand_beside_each_other_and_a_changed_word_is_a_new_version() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("charter.md");
        let files = CharterFiles::Beside(path.clone());
        assert!(matches!(Texts::read(&files), Err(CharterError::Read { .. })));
        write(folder.path(), "charter.fr.md", "Soyez sages.\x1b[2J\n");
        let french = Texts::read(&files).unwrap();
        assert_eq!(
            (french.en.as_str(), french.fr.as_str()),
            ("Soyez sages.\u{fffd}[2J", "Soyez sages.\u{fffd}[2J")
        );
        write(folder.path(), "charter.md", "Be good.\nAlways.\n");
        let both = Texts::read(&files).unwrap();
        assert_eq!(both.en, "Be good.\nAlways.");
        assert!(both.fr.starts_with("Soyez") && both.version != french.version && both.version.len() == 12);
        let each = CharterFiles::Each { en: path.clone(), fr: folder.path().join("charter.fr.md") };
        assert_eq!(Texts::read(&each).unwrap(), both);
        write(folder.path(), "charter.md", " \n");
        assert!(matches!(Texts::read(&files), Err(CharterError::Size(_))));
    }

    #[tokio::test]
    async fn who_has_accepted_is_not_asked_again_until_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "c.md", "one");
        let files = CharterFiles::Beside(folder.path().join("c.md"));
        let ledger = Ledger::open(&folder.path().join("l.db")).unwrap();
        let ada: UserName = "ada".parse().unwrap();
        ledger.add_user(&ada, None, Timestamp::now()).unwrap();
        let open = || Charter::open(Some(&files), &ledger, &Audit::default()).unwrap();
        let charter = open();
        assert!(!charter.is_accepted(&ada));
        charter.accept(&ada).await.unwrap();
        assert!(charter.is_accepted(&ada) && open().is_accepted(&ada));
        write(folder.path(), "c.md", "two");
        assert!(!open().is_accepted(&ada));
        assert!(Charter::default().is_accepted(&ada));
    }
}
