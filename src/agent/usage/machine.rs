//! What the kernel tells in every container of the whole machine.

use std::fs::read_to_string;

use super::report::Amount;

/// One look.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Machine {
    /// Of the last minute.
    pub(super) load_hundredths: Option<u32>,
    /// What is in use cannot be taken back at once.
    pub(super) memory: Option<Amount>,
    pub(super) processors: Option<u32>,
}

pub(super) fn look() -> Machine {
    let read = |file: &str| read_to_string(file).unwrap_or_default();
    Machine {
        load_hundredths: load(&read("/proc/loadavg")),
        memory: memory(&read("/proc/meminfo")),
        processors: processors(&read("/proc/stat")),
    }
}

/// `1.25` is 125.
fn load(text: &str) -> Option<u32> {
    let (whole, part) = text.split(' ').next()?.split_once('.')?;
    let part: u32 = part.get(..2)?.parse().ok()?;
    whole.parse::<u32>().ok()?.checked_mul(100)?.checked_add(part)
}

fn memory(text: &str) -> Option<Amount> {
    let kibibytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
    };
    let (total, available) = (kibibytes("MemTotal")?, kibibytes("MemAvailable")?);
    Some(Amount { used: total.saturating_sub(available), limit: Some(total) })
}

/// Those that are in use, whichever this container may run on.
fn processors(text: &str) -> Option<u32> {
    let is_one = |line: &&str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    u32::try_from(text.lines().filter(is_one).count()).ok().filter(|count| *count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_understood() {
        assert_eq!(load("1.25 0.90 0.50 2/345 6789\n"), Some(125));
        assert_eq!(load("0.07"), Some(7));
        assert_eq!(load("odd"), None);
        let meminfo = "MemTotal:       16000 kB\nMemFree:         100 kB\nMemAvailable:    4000 kB\n";
        assert_eq!(memory(meminfo), Some(Amount { used: 12_000 << 10, limit: Some(16_000 << 10) }));
        assert_eq!(memory("MemTotal: 1 kB\n"), None);
        assert_eq!(processors("cpu  1 2\ncpu0 1 2\ncpu1 3 4\nintr 5\n"), Some(2));
        assert_eq!(processors(""), None);
        assert!(look().load_hundredths.is_some());
    }
}
