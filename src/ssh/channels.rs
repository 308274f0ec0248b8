//! The channels of one connection. What is gone is absent from the map.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use russh::server::Msg;
use russh::{ChannelId, ChannelWriteHalf};
use tokio::sync::Notify;

use super::in_flight::InFlight;
use super::inbox::Inbox;
use super::remote::X11;
use crate::agent::protocol::{Control, Pty, WindowSize};

/// sshd has no limit for forwards; this one only bounds what one connection can make us hold.
const MAX_CHANNELS: usize = 4096;
/// Variables of one session, and what they take in all: enough for people, nothing for a flood.
const MAX_ENV: usize = 64;
const MAX_ENV_BYTES: usize = 8192;

/// A session channel that has not asked for its program yet.
pub(super) struct Waiting {
    pub(super) write: ChannelWriteHalf<Msg>,
    pub(super) pty: Option<Pty>,
    pub(super) env: Vec<(String, String)>,
    pub(super) wants_agent: bool,
    pub(super) x11: Option<X11>,
}

struct Entry {
    inbox: Arc<Inbox>,
    waiting: Option<Waiting>,
    is_session: bool,
    has_terminal: bool,
}

impl Entry {
    /// Is there a program that a signal could reach?
    fn is_running(&self) -> bool {
        self.is_session && self.waiting.is_none()
    }
}

pub(super) struct Channels {
    in_flight: Arc<InFlight>,
    entries: Mutex<HashMap<ChannelId, Entry>>,
    menus: AtomicUsize,
    /// Rung when a session has asked for its program.
    asked: Notify,
}

impl Channels {
    pub(super) fn new(in_flight: Arc<InFlight>) -> Self {
        Self { in_flight, entries: Mutex::default(), menus: AtomicUsize::new(0), asked: Notify::new() }
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<ChannelId, Entry>) -> T) -> T {
        act(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// As [`Self::with`], where channels may come or go.
    fn change<T>(&self, act: impl FnOnce(&mut HashMap<ChannelId, Entry>) -> T) -> T {
        self.with(|entries| {
            let done = act(entries);
            self.in_flight.share(entries.len());
            done
        })
    }

    pub(super) fn is_full(&self) -> bool {
        self.with(|entries| entries.len() >= MAX_CHANNELS)
    }

    /// A new session channel.
    pub(super) fn add_session(&self, write: ChannelWriteHalf<Msg>) {
        let waiting = Waiting { write, pty: None, env: Vec::new(), wants_agent: false, x11: None };
        let id = waiting.write.id();
        let inbox = Arc::default();
        let entry = Entry { inbox, waiting: Some(waiting), is_session: true, has_terminal: false };
        self.change(|entries| entries.insert(id, entry));
    }

    /// A new forward's channel.
    pub(super) fn add_forward(&self, id: ChannelId) -> Arc<Inbox> {
        let inbox = Arc::<Inbox>::default();
        let entry = Entry { inbox: inbox.clone(), waiting: None, is_session: false, has_terminal: false };
        self.change(|entries| entries.insert(id, entry));
        inbox
    }

    /// Notes something for the program to come. False when it is too late for that.
    fn note(&self, id: ChannelId, note: impl FnOnce(&mut Waiting) -> bool) -> bool {
        self.with(|entries| entries.get_mut(&id).and_then(|e| e.waiting.as_mut()).is_some_and(note))
    }

    /// Notes the terminal, once.
    pub(super) fn set_pty(&self, id: ChannelId, pty: Pty) -> bool {
        self.with(|entries| {
            let Some(entry) = entries.get_mut(&id) else { return false };
            let Some(waiting) = entry.waiting.as_mut().filter(|waiting| waiting.pty.is_none()) else {
                return false;
            };
            waiting.pty = Some(pty);
            entry.has_terminal = true;
            true
        })
    }

    /// A terminal's new size; as with sshd it does no harm where there is none.
    pub(super) fn resize(&self, id: ChannelId, size: WindowSize) -> bool {
        self.with(|entries| match entries.get_mut(&id) {
            Some(Entry { waiting: Some(Waiting { pty: Some(pty), .. }), .. }) => {
                pty.size = size;
                true
            }
            Some(entry) => {
                if entry.has_terminal {
                    entry.inbox.resize(size);
                }
                entry.is_session
            }
            None => false,
        })
    }

    /// A signal for the program. False when there is none.
    pub(super) fn signal(&self, id: ChannelId, signal: Control) -> bool {
        let inbox = self.with(|entries| {
            let entry = entries.get(&id).filter(|entry| entry.is_running())?;
            (signal != Control::Break || entry.has_terminal).then(|| entry.inbox.clone())
        });
        inbox.inspect(|inbox| inbox.signal(signal)).is_some()
    }

    /// Notes that the client lends its ssh-agent.
    pub(super) fn set_agent(&self, id: ChannelId) -> bool {
        self.note(id, |waiting| {
            waiting.wants_agent = true;
            true
        })
    }

    /// Notes that the client lends its display.
    pub(super) fn set_x11(&self, id: ChannelId, x11: X11) -> bool {
        self.note(id, |waiting| {
            waiting.x11 = Some(x11);
            true
        })
    }

    /// Notes a variable. False when it is not taken.
    pub(super) fn set_env(&self, id: ChannelId, name: &str, value: &str) -> bool {
        if !is_accepted(name) || value.contains('\0') {
            return false;
        }
        self.note(id, |waiting| {
            let taken: usize = waiting.env.iter().map(|(name, value)| name.len() + value.len()).sum();
            let fits = taken + name.len() + value.len() <= MAX_ENV_BYTES;
            let has_room = fits && waiting.env.len() < MAX_ENV;
            if has_room {
                waiting.env.push((name.to_owned(), value.to_owned()));
            }
            has_room
        })
    }

    /// Starts a session: what was noted, and where its input arrives. Once only.
    pub(super) fn start(&self, id: ChannelId) -> Option<(Waiting, Arc<Inbox>)> {
        self.asked.notify_waiters();
        self.with(|entries| {
            let entry = entries.get_mut(&id)?;
            Some((entry.waiting.take()?, entry.inbox.clone()))
        })
    }

    /// Waits until a session asks for its program.
    pub(super) async fn session_asked(&self) {
        self.asked.notified().await;
    }

    pub(super) fn inbox(&self, id: ChannelId) -> Option<Arc<Inbox>> {
        self.with(|entries| entries.get(&id).map(|entry| entry.inbox.clone()))
    }

    /// The client has closed a channel: tells its task, which forgets the channel when it is done.
    pub(super) fn close(&self, id: ChannelId) {
        self.change(|entries| {
            if let Some(entry) = entries.get(&id) {
                entry.inbox.close();
                if entry.waiting.is_some() {
                    entries.remove(&id);
                }
            }
        });
    }

    /// Forgets a channel.
    pub(super) fn remove(&self, id: ChannelId) {
        if let Some(entry) = self.change(|entries| entries.remove(&id)) {
            entry.inbox.close();
        }
    }

    /// The connection is gone: so are all its channels.
    pub(super) fn close_all(&self) {
        for (_, entry) in self.with(std::mem::take) {
            entry.inbox.close();
        }
    }

    pub(super) fn menu_is_open(&self) -> bool {
        self.menus.load(Ordering::Relaxed) > 0
    }

    /// Counts a menu for as long as the guard lives.
    pub(super) fn open_menu(&self) -> OpenMenu<'_> {
        self.menus.fetch_add(1, Ordering::Relaxed);
        OpenMenu(&self.menus)
    }
}

pub(super) struct OpenMenu<'a>(&'a AtomicUsize);

impl Drop for OpenMenu<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The variables that clients may set, as a careful sshd's `AcceptEnv` would have them.
fn is_accepted(name: &str) -> bool {
    matches!(name, "LANG" | "COLORTERM" | "EDITOR" | "VISUAL" | "TZ" | "TERM" | "NO_COLOR")
        || name.strip_prefix("LC_").is_some_and(|rest| {
            !rest.is_empty() && rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        })
}

#[cfg(test)]
mod tests {
    use super::is_accepted;

    #[test]
    fn only_harmless_variables_are_taken() {
        for name in ["LANG", "LC_ALL", "LC_CTYPE", "TZ", "COLORTERM"] {
            assert!(is_accepted(name), "{name}");
        }
        for name in ["PATH", "LD_PRELOAD", "LC_", "LC_A=B", "HOME", "", "lang", "BASH_ENV"] {
            assert!(!is_accepted(name), "{name}");
        }
    }
}
