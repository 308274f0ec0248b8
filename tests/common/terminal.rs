//! A real ssh in a real terminal (tmux), whose keys are typed and whose screen is read.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{Cluster, eventually};

static NEXT: AtomicU32 = AtomicU32::new(0);

pub struct Terminal {
    socket: String,
}

impl Terminal {
    /// Runs `ssh` in a terminal of this size. The terminal stays after ssh has ended.
    pub fn ssh(cluster: &Cluster, login: &str, columns: u16, rows: u16, environment: &str) -> Self {
        Self::ssh_words(cluster, login, columns, rows, environment, "", "")
    }

    /// The same with more options, and a command.
    pub fn ssh_words(
        cluster: &Cluster,
        login: &str,
        columns: u16,
        rows: u16,
        environment: &str,
        options: &str,
        words: &str,
    ) -> Self {
        let socket = format!("ct-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let user = login.split('+').next().unwrap();
        let script = cluster.path(&format!("{socket}.sh"));
        let line = cluster.ssh_line(user);
        std::fs::write(
            &script,
            format!("unset LANG LC_ALL\n{environment} {line} -o SendEnv='LANG LC_*' {options} {login}@127.0.0.1 {words}\necho \"[ssh ended: $?]\"\nexec sleep 600\n"),
        )
        .unwrap();
        let terminal = Self { socket };
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let words = ["-f", "/dev/null", "new-session", "-d", "-x", &columns, "-y", &rows, "sh"];
        terminal.tmux(&[&words[..], &[script.to_str().unwrap()]].concat());
        terminal
    }

    fn tmux(&self, words: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.args(["-u", "-L", &self.socket]).args(words).env_remove("TMUX");
        let output = command.output().unwrap();
        assert!(output.status.success(), "tmux {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Types keys by tmux's names (`Enter`, `Down`, `C-c`), or text.
    pub fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Types a line.
    pub fn line(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
        self.keys(&["Enter"]);
    }

    /// Pastes a text, between marks where they are asked for.
    pub fn paste(&self, text: &str) {
        self.tmux(&["set-buffer", text]);
        self.tmux(&["paste-buffer", "-p"]);
    }

    /// Clicks on a cell, counted from 0, as a terminal tells it.
    pub fn click(&self, column: usize, row: usize) {
        let (column, row) = (column + 1, row + 1);
        self.tmux(&["send-keys", "-l", &format!("\x1b[<0;{column};{row}M\x1b[<0;{column};{row}m")]);
    }

    pub fn resize(&self, columns: u16, rows: u16) {
        self.tmux(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    /// The client dies, without a word to the gateway but the kernel's.
    pub fn kill_client(&self) {
        let shell = self.tmux(&["list-panes", "-F", "#{pane_pid}"]);
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", shell.trim())).unwrap();
        let client = children.split_whitespace().next().expect("a running client").parse().unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(client), nix::sys::signal::Signal::SIGKILL)
            .unwrap();
        // The line may be broken by the terminal's edge: the screen is as it was.
        self.shows("ended: 137]");
    }

    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// The same with its colours, as escape sequences.
    pub fn screen_with_colours(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-e"])
    }

    /// What a program may have left the terminal in.
    pub fn modes(&self) -> String {
        let format =
            "wrap #{wrap_flag} cursor #{cursor_flag} mouse #{mouse_any_flag} alternate #{alternate_on}";
        self.tmux(&["display-message", "-p", format]).trim().to_owned()
    }

    /// Waits until the screen shows this text.
    #[track_caller]
    pub fn shows(&self, text: &str) -> String {
        self.shows_within(text, Duration::from_secs(20))
    }

    #[track_caller]
    pub fn shows_within(&self, text: &str, limit: Duration) -> String {
        let mut last = String::new();
        let deadline = std::time::Instant::now() + limit;
        loop {
            if std::time::Instant::now() > deadline {
                panic!("the screen never showed {text:?}; it shows:\n{last}");
            }
            last = self.screen();
            if last.contains(text) {
                return last;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    pub fn hides(&self, text: &str) {
        eventually(&format!("{text:?} leaves the screen"), Duration::from_secs(20), || {
            (!self.screen().contains(text)).then_some(())
        });
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-L", &self.socket, "kill-server"]).output();
    }
}
