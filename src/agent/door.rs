//! `clusteria …` typed inside the container: from the caller to whichever gateway watches, and back.

use std::collections::HashMap;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fs, thread};

use serde::{Deserialize, Serialize};

use super::protocol::{Control, DOOR_SOCKET, Event, FrameError, MAX_FRAME, encode, read_frame, write_frame};
use super::run::STACK;
use super::serve::Agent;
use crate::text::agent::Notice;
use crate::text::{Lang, Say};

/// From question to answer; a reservation that has to start takes its time.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
const QUESTION_LIMIT: Duration = Duration::from_secs(5);
const MAX_QUESTION: usize = 16 * 1024;
const MAX_ARGUMENTS: usize = 64;
/// Questions that wait at once.
const MAX_WAITING: usize = 8;
/// sysexits.h: EX_TEMPFAIL.
const TEMPORARY_FAILURE: u8 = 75;

#[derive(Debug, Serialize, Deserialize)]
struct Question {
    arguments: Vec<String>,
    locale: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    status: u8,
}

#[derive(Debug, Default)]
pub(super) struct Door {
    next: AtomicU32,
    gateway: Mutex<Option<UnixStream>>,
    waiting: Mutex<HashMap<u32, Sender<Answer>>>,
}

impl Door {
    fn gateway(&self) -> MutexGuard<'_, Option<UnixStream>> {
        self.gateway.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u32, Sender<Answer>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves the socket in the container. Without it only `clusteria …` inside is missing.
    pub(super) fn listen(agent: &Arc<Agent>) {
        let Ok(listener) = bind(Path::new(DOOR_SOCKET)) else { return };
        for stream in listener.incoming().flatten() {
            let own = agent.clone();
            let serve = move || {
                let _ = own.door.serve(&stream);
            };
            let _ = thread::Builder::new().stack_size(STACK).spawn(serve);
        }
    }

    fn serve(&self, mut stream: &UnixStream) -> Result<(), FrameError> {
        stream.set_read_timeout(Some(QUESTION_LIMIT))?;
        let question: Question = read_frame(&mut stream, MAX_QUESTION)?;
        let answer = self.ask(question);
        write_frame(&mut stream, &answer, MAX_FRAME)
    }

    fn ask(&self, question: Question) -> Answer {
        let lang = Lang::from_locale(&question.locale);
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (tell, told) = channel();
        {
            let mut waiting = self.waiting();
            if waiting.len() >= MAX_WAITING || question.arguments.len() > MAX_ARGUMENTS {
                return unreachable_gateway(lang);
            }
            waiting.insert(id, tell);
        }
        let event = Event::Ask { id, arguments: question.arguments, locale: question.locale };
        let answer = if self.send(&event) { told.recv_timeout(ANSWER_LIMIT).ok() } else { None };
        self.waiting().remove(&id);
        answer.unwrap_or_else(|| unreachable_gateway(lang))
    }

    fn send(&self, event: &Event) -> bool {
        let Ok(frame) = encode(event, MAX_FRAME) else { return false };
        self.gateway().as_mut().is_some_and(|stream| stream.write_all(&frame).is_ok())
    }

    /// Tells the gateway that watches, if one does.
    pub(super) fn tell(&self, event: &Event) {
        self.send(event);
    }

    /// A gateway watches on this connection until it closes; the newest wins.
    pub(super) fn attend(&self, agent: &Agent, mut stream: UnixStream) {
        let Ok(copy) = stream.try_clone() else { return };
        // A gateway that does not read must not hold everybody up.
        let _ = copy.set_write_timeout(Some(QUESTION_LIMIT));
        *self.gateway() = Some(copy);
        while let Ok(control) = read_frame(&mut stream, MAX_FRAME) {
            match control {
                Control::Answer { id, stdout, stderr, status } => {
                    if let Some(tell) = self.waiting().remove(&id) {
                        let _ = tell.send(Answer { stdout, stderr, status });
                    }
                }
                Control::Say(words) => agent.terminals.say_plain(&words),
                _ => {}
            }
        }
    }
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let _ = fs::remove_file(path);
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}

fn unreachable_gateway(lang: Lang) -> Answer {
    let words = Notice::GatewayUnreachable.say(lang) + "\n";
    Answer { stdout: Vec::new(), stderr: words.into_bytes(), status: TEMPORARY_FAILURE }
}

/// The command's own side: asks the agent and prints what it says. Returns the exit status.
#[must_use]
pub fn knock(arguments: Vec<String>) -> u8 {
    let variable = |name| std::env::var(name).ok().filter(|v| !v.is_empty());
    let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(variable).unwrap_or_default();
    let lang = Lang::from_locale(&locale);
    let answer = exchange(&Question { arguments, locale }).unwrap_or_else(|_| unreachable_gateway(lang));
    let _ = io::stdout().write_all(&answer.stdout);
    let _ = io::stderr().write_all(&answer.stderr);
    answer.status
}

fn exchange(question: &Question) -> Result<Answer, FrameError> {
    let mut stream = UnixStream::connect(DOOR_SOCKET)?;
    write_frame(&mut stream, question, MAX_QUESTION)?;
    read_frame(&mut stream, MAX_FRAME)
}
