//! What the processors do, and which sockets are open, as the kernel tells it.

use std::collections::HashSet;
use std::fs;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use nix::unistd::{SysconfVar, sysconf};

/// More than this part of one processor, between two looks, is a program at work. A JupyterLab, a shell and an editor's
/// server that nobody uses stay well below it.
const WORK: f64 = 0.05;

/// How much the container's processes have computed. Not this one: what it does, it does for the gateway (a handshake
/// for each question over the network is far from nothing), and where a client stands behind it, that client counts.
#[derive(Debug, Default)]
pub(super) struct Meter {
    last: Option<(Duration, Duration)>,
}

impl Meter {
    /// Since the last look; the first one counts as work, as does what cannot be read.
    pub(super) fn processors_compute(&mut self, now: Duration) -> bool {
        let used = computed().map(|all| all.saturating_sub(own()));
        let before = std::mem::replace(&mut self.last, used.map(|used| (now, used)));
        match (before, used) {
            (Some((then, before)), Some(used)) => {
                is_work(now.saturating_sub(then), used.saturating_sub(before))
            }
            _ => true,
        }
    }
}

fn is_work(passed: Duration, used: Duration) -> bool {
    used.as_secs_f64() > passed.as_secs_f64() * WORK
}

/// The control group counts what short-lived processes took, too; where there is none, /proc does nearly.
fn computed() -> Option<Duration> {
    let version_2 = fs::read_to_string("/sys/fs/cgroup/cpu.stat").ok().and_then(|text| read_cpu_stat(&text));
    let version_1 = || {
        let text = fs::read_to_string("/sys/fs/cgroup/cpuacct/cpuacct.usage").ok()?;
        text.trim().parse().ok().map(Duration::from_nanos)
    };
    version_2.or_else(version_1).or_else(all_processes)
}

fn read_cpu_stat(text: &str) -> Option<Duration> {
    let line = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
    line.trim().parse().ok().map(Duration::from_micros)
}

/// What this process has computed itself, all its threads.
fn own() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

/// Their own time and that of the children they have waited for: PID 1 waits for all who are left.
fn all_processes() -> Option<Duration> {
    let stats = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| {
        entry.file_name().to_str()?.parse::<i32>().ok()?;
        fs::read_to_string(entry.path().join("stat")).ok()
    });
    let ticks: u64 = stats.filter_map(|text| read_ticks(&text)).sum();
    let per_second = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?.max(1);
    Some(Duration::from_millis(ticks.saturating_mul(1000) / per_second))
}

/// Fields 14 to 17 of `/proc/PID/stat`.
fn read_ticks(text: &str) -> Option<u64> {
    let (_, rest) = text.rsplit_once(')')?;
    let times = rest.split_ascii_whitespace().skip(11).take(4);
    Some(times.filter_map(|time| time.parse::<u64>().ok()).sum())
}

/// The inodes of the container's connected sockets.
pub(super) fn open_sockets() -> HashSet<u64> {
    let table = |path| fs::read_to_string(path).unwrap_or_default();
    let mut open = HashSet::new();
    for text in [table("/proc/net/tcp"), table("/proc/net/tcp6")] {
        open.extend(text.lines().filter_map(|line| inode(line, 3, "01", 9)));
    }
    open.extend(table("/proc/net/unix").lines().filter_map(|line| inode(line, 5, "03", 6)));
    open
}

/// The inode of a line whose state is the one that means connected.
fn inode(line: &str, state_at: usize, connected: &str, inode_at: usize) -> Option<u64> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    (fields.get(state_at) == Some(&connected)).then(|| fields.get(inode_at)?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn work_is_told_from_idling() {
        let ms = Duration::from_millis;
        assert!(is_work(ms(10_000), ms(600)) && is_work(ms(10_000), ms(80_000)));
        assert!(!is_work(ms(10_000), ms(400)) && !is_work(ms(10_000), ms(0)));
        assert_eq!(read_cpu_stat("usage_usec 1500000\nuser_usec 1\n"), Some(ms(1500)));
        assert_eq!(read_cpu_stat("nr_periods 0\n"), None);
        assert_eq!(read_ticks("1 (a b) S 0 1 1 0 -1 4 0 0 0 0 1 2 3 4 20"), Some(10));
        assert!(all_processes().is_some());
        assert!(Meter::default().processors_compute(ms(1)), "the first look");
    }

    #[test]
    fn what_the_agent_computes_is_told_from_what_others_do() {
        let before = own();
        let mut rounds = 0_u64;
        while own() < before + Duration::from_millis(20) {
            rounds = std::hint::black_box(rounds + 1);
        }
        assert!(computed().unwrap() >= own() - before, "{rounds}");
    }

    #[test]
    fn an_open_connection_is_seen_and_a_closed_one_is_not() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let inode = |fd: &dyn AsFd| nix::sys::stat::fstat(fd.as_fd()).unwrap().st_ino;
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
        let (tcp, unix) = (inode(&stream), inode(&one));
        let open = open_sockets();
        assert!(open.contains(&tcp) && open.contains(&unix) && !open.contains(&inode(&listener)));
        drop((stream, one, other));
        let open = open_sockets();
        assert!(!open.contains(&tcp) && !open.contains(&unix));
    }
}
