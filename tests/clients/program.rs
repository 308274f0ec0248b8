//! Programs that are run with a time limit, on pipes or on a terminal of ours.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::libc;
use nix::pty::{Winsize, openpty};

use crate::common::{Ran, SOON, eventually};

/// Runs a program with input; one that does not end in time is killed and fails the test.
#[track_caller]
pub fn run_within(limit: Duration, command: &mut Command, input: &[u8]) -> Ran {
    let shown = format!("{command:?}");
    let mut running = Running::start(command);
    let mut stdin = running.stdin.take().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            // A program that does not read its input has closed it: no matter.
            let _ = stdin.write_all(input);
            drop(stdin);
        });
        running.wait(limit).unwrap_or_else(|so_far| panic!("not over in {limit:?}: {shown}\n{so_far:?}"))
    })
}

/// A program under way, its output collected. Killed when dropped.
pub struct Running {
    child: Child,
    pub stdin: Option<ChildStdin>,
    stdout: Collected,
    stderr: Collected,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, so that helpers (scp's ssh) go with it.
        command.process_group(0);
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let stdin = child.stdin.take();
        let stdout = Collected::from(child.stdout.take().unwrap());
        let stderr = Collected::from(child.stderr.take().unwrap());
        Self { child, stdin, stdout, stderr }
    }

    pub fn write(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(bytes).unwrap();
        stdin.flush().unwrap();
    }

    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits until standard output (or standard error) has this text.
    #[track_caller]
    pub fn shows(&mut self, text: &str) -> String {
        let deadline = Instant::now() + SOON;
        loop {
            let both = format!("{}{}", self.stdout(), self.stderr());
            if both.contains(text) {
                return both;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(
                Instant::now() < deadline && ended.is_none(),
                "never showed {text:?} ({ended:?}): {both}"
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Its end, or what it said until now. Only to be asked once.
    pub fn wait(&mut self, limit: Duration) -> Result<Ran, Ran> {
        let deadline = Instant::now() + limit;
        let ended = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if Instant::now() > deadline => break None,
                None => thread::sleep(Duration::from_millis(5)),
            }
        };
        if ended.is_some() {
            self.stdout.wait();
            self.stderr.wait();
        }
        let bytes = self.stdout.bytes();
        let ran = Ran {
            status: ended.map_or(-1, |e| e.code().unwrap_or_else(|| -e.signal().unwrap_or(1))),
            stdout: String::from_utf8_lossy(&bytes).into_owned(),
            stderr: self.stderr(),
            bytes,
        };
        if ended.is_some() { Ok(ran) } else { Err(ran) }
    }

    /// Closes its input and waits for its end.
    #[track_caller]
    pub fn finish(mut self) -> Ran {
        drop(self.stdin.take());
        self.wait(SOON).unwrap_or_else(|so_far| panic!("does not end: {so_far:?}"))
    }

    pub fn kill(&mut self) {
        // SAFETY: plain integers; the group is the child's own.
        unsafe { libc::kill(-(self.child.id() as i32), libc::SIGKILL) };
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Bytes that a thread collects.
struct Collected {
    bytes: Arc<Mutex<Vec<u8>>>,
    over: Receiver<()>,
}

impl Collected {
    fn from(mut source: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let (tell, over) = mpsc::channel();
        let into = bytes.clone();
        thread::spawn(move || {
            let mut buffer = vec![0; 65536];
            while let Ok(count @ 1..) = source.read(&mut buffer) {
                into.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
            let _ = tell.send(());
        });
        Self { bytes, over }
    }

    /// Until the end, but not for ever: a grandchild may hold the pipe.
    fn wait(&self) {
        let _ = self.over.recv_timeout(Duration::from_secs(5));
    }

    fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }
}

/// A program on a terminal of ours.
pub struct OnTerminal {
    child: Child,
    master: File,
    output: Collected,
}

impl OnTerminal {
    pub fn start(command: &mut Command, columns: u16, rows: u16) -> Self {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).unwrap();
        let slave = File::from(pty.slave);
        command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave);
        // SAFETY: two system calls, both async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY as _, 0);
                Ok(())
            });
        }
        let child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        // The command holds copies of the slave: they go with what replaces them.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let master = File::from(pty.master);
        let output = Collected::from(master.try_clone().unwrap());
        Self { child, master, output }
    }

    pub fn types(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    pub fn resize(&self, columns: u16, rows: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: TIOCSWINSZ reads one winsize through the pointer, which is valid for it.
        unsafe { libc::ioctl(self.master.as_raw_fd(), libc::TIOCSWINSZ as _, &raw const size) };
    }

    pub fn screen(&self) -> String {
        self.output.text()
    }

    #[track_caller]
    pub fn shows(&self, text: &str) -> String {
        let deadline = Instant::now() + SOON;
        loop {
            let screen = self.screen();
            if screen.contains(text) {
                return screen;
            }
            assert!(Instant::now() < deadline, "the terminal never showed {text:?}: {screen}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The exit status, and all that it showed.
    #[track_caller]
    pub fn ends(&mut self) -> (i32, String) {
        let status = eventually("the program on the terminal ends", SOON, || self.child.try_wait().unwrap());
        self.output.wait();
        (status.code().unwrap_or(-1), self.screen())
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
