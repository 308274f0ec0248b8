//! What runs in a shell, as /proc tells it.

use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

use crate::agent::account::User;
use crate::agent::rights::as_user;

/// So much of a command line, in characters.
const COMMAND: usize = 120;
const FOLDER: usize = 200;

/// A process, as far as `/proc/PID/stat` matters here (proc_pid_stat(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stat {
    pid: i32,
    state: char,
    group: i32,
    session: i32,
    /// The group in the terminal's foreground.
    foreground: i32,
    /// Since the boot.
    began: Duration,
}

/// What runs in a session.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    /// Empty: the shell itself is in the foreground.
    pub(super) command: String,
    /// Further programs, the shell not counted.
    pub(super) others: u32,
    /// On the boot-time clock, the command's begin.
    pub(super) began: Option<Duration>,
    pub(super) folder: String,
}

/// Does anything but the shell run in its session?
pub(super) fn is_busy(shell: i32) -> bool {
    session(shell).iter().any(|stat| stat.pid != shell)
}

pub(super) fn work(shell: i32, user: &User) -> Work {
    let all = session(shell);
    let foreground = all.iter().find(|stat| stat.pid == shell).map_or(shell, |stat| stat.foreground);
    // A pipe's first program gives the group its number, and may have ended.
    let front = (foreground != shell)
        .then(|| all.iter().filter(|stat| stat.group == foreground).min_by_key(|stat| stat.pid))
        .flatten();
    let others = all.iter().filter(|stat| stat.pid != shell && stat.group != foreground).count();
    Work {
        command: front.map(|stat| command(stat.pid)).unwrap_or_default(),
        others: u32::try_from(others).unwrap_or(u32::MAX),
        began: front.map(|stat| stat.began),
        folder: folder(front.map_or(shell, |stat| stat.pid), user),
    }
}

fn session(shell: i32) -> Vec<Stat> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|pid| read_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?))
        .filter(|stat| stat.session == shell && !matches!(stat.state, 'Z' | 'X'))
        .collect()
}

fn read_stat(text: &str) -> Option<Stat> {
    // The name may hold anything, so look behind its last parenthesis.
    let (head, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<i64>().ok();
    let small = |index: usize| i32::try_from(number(index)?).ok();
    let ticks = u64::try_from(number(19)?).ok()?;
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|t| u64::try_from(t).ok());
    Some(Stat {
        pid: head.split_once(' ')?.0.parse().ok()?,
        state: fields.first()?.chars().next()?,
        group: small(2)?,
        session: small(3)?,
        foreground: small(5)?,
        began: Duration::from_millis(ticks.saturating_mul(1000) / per_second.unwrap_or(100).max(1)),
    })
}

fn command(pid: i32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<String> =
        line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let line = words.join(" ");
    let line = if line.trim().is_empty() {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default()
    } else {
        line
    };
    short(line.trim(), COMMAND)
}

/// With the user's rights: only they may look where their programs are.
fn folder(pid: i32, user: &User) -> String {
    let found = as_user(user, move || std::fs::read_link(format!("/proc/{pid}/cwd")));
    short(&found.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default(), FOLDER)
}

fn short(text: &str, limit: usize) -> String {
    let text = crate::text::printable(text);
    if text.chars().count() <= limit {
        return text;
    }
    text.chars().take(limit.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_name() {
        let line = "42 (a) b (c)) S 1 40 7 34816 41 4194304 1 2 3 4 5 6 7 8 20 0 1 0 12345 0 0";
        let stat = read_stat(line).unwrap();
        assert_eq!((stat.pid, stat.state, stat.group, stat.session, stat.foreground), (42, 'S', 40, 7, 41));
        assert!(stat.began >= Duration::from_secs(1));
        for odd in ["", "1", "1 (x)", "1 (x) S", "x (y) S 1 1 1 1 1", "1 (x) S a b c d e"] {
            assert_eq!(read_stat(odd), None, "{odd}");
        }
    }

    #[test]
    fn we_ourselves_are_in_our_session() {
        let own = std::process::id() as i32;
        let stat = read_stat(&std::fs::read_to_string("/proc/self/stat").unwrap()).unwrap();
        assert_eq!(stat.pid, own);
        assert!(session(stat.session).iter().any(|other| other.pid == own));
        assert_eq!(short("abcdef", 4), "abc…");
        assert!(!command(own).is_empty());
    }
}
