//! The terminals that are open now: where warnings are shown, each in its own language.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::text::{Lang, Say};

#[derive(Debug, Default)]
pub(super) struct Terminals {
    open: Mutex<HashMap<String, Lang>>,
}

impl Terminals {
    fn open(&self) -> MutexGuard<'_, HashMap<String, Lang>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, name: &str, env: &[(String, String)]) {
        let find = |wanted: &str| env.iter().find(|(n, v)| n == wanted && !v.is_empty());
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(find);
        let lang = locale.map(|(_, value)| Lang::from_locale(value)).unwrap_or_default();
        self.open().insert(name.to_owned(), lang);
    }

    pub(super) fn remove(&self, name: &str) {
        self.open().remove(name);
    }

    /// Shows a message on every terminal.
    pub(super) fn say(&self, message: &impl Say) {
        for (name, lang) in self.open().clone() {
            write(&name, &message.say(lang));
        }
    }

    /// Shows the same words on every terminal.
    pub(super) fn say_plain(&self, words: &str) {
        for name in self.open().clone().into_keys() {
            write(&name, words);
        }
    }
}

/// Through the slave's side, as write(1) does; a terminal that is full misses it.
fn write(name: &str, words: &str) {
    let flags = libc::O_NOCTTY | libc::O_NONBLOCK | libc::O_CLOEXEC;
    if let Ok(mut terminal) = File::options().write(true).custom_flags(flags).open(name) {
        let _ = terminal.write_all(format!("\r\n\x07*** {words} ***\r\n").as_bytes());
    }
}
