//! Durations and sizes as words: a number never goes without its unit.

use std::time::Duration;

/// Largest first: a duration is written and read in this order. In milliseconds.
const TIMES: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

const SIZES: [(&str, u64); 8] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
];

/// Reads `8h`, `1h30m`, `500ms`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let (mut rest, mut total, mut previous) = (text, 0_u64, u64::MAX);
    while !rest.is_empty() || previous == u64::MAX {
        let (number, tail) = leading_number(rest)?;
        let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (word, tail) = tail.split_at_checked(end)?;
        let (_, unit) = TIMES.into_iter().find(|(name, _)| *name == word)?;
        if unit >= previous {
            return None;
        }
        total = total.checked_add(number.checked_mul(unit)?)?;
        (rest, previous) = (tail, unit);
    }
    Some(Duration::from_millis(total))
}

/// Writes a duration so that [`duration`] reads it back, to the millisecond.
pub(super) fn show_duration(time: Duration) -> String {
    let mut rest = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (name, unit) in TIMES {
        if rest >= unit {
            text += &format!("{}{name}", rest / unit);
            rest %= unit;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Reads `8GiB`, `512MiB`, `64GB`.
pub(super) fn size(text: &str) -> Option<u64> {
    let (number, word) = leading_number(text)?;
    let (_, unit) = SIZES.into_iter().find(|(name, _)| *name == word)?;
    number.checked_mul(unit)
}

/// Writes a number of bytes in the largest unit that fits exactly.
pub(super) fn show_size(bytes: u64) -> String {
    SIZES
        .into_iter()
        .find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit))
        .map_or_else(|| format!("{bytes} bytes"), |(name, unit)| format!("{}{name}", bytes / unit))
}

/// What the file says, quoted for a message.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 64;
    let cut: String = text.chars().take(LONGEST).collect();
    let dots = if text.chars().count() > LONGEST { "…" } else { "" };
    format!("{:?}{dots}", cut)
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_words() {
        let seconds = |text| duration(text).map(|time| time.as_secs_f64());
        assert_eq!(seconds("8h"), Some(28_800.0));
        assert_eq!(seconds("90m"), Some(5_400.0));
        assert_eq!(seconds("1h30m"), Some(5_400.0));
        assert_eq!(seconds("1m500ms"), Some(60.5));
        assert_eq!(seconds("30d"), Some(2_592_000.0));
        assert_eq!(seconds("0s"), Some(0.0));
        for bad in ["", "8", "h", "8 h", "-1h", "1.5h", "30m1h", "1h1h", "8H", "1h30", "é", "30 parsecs"] {
            assert_eq!(duration(bad), None, "{bad:?}");
        }
        assert_eq!(duration("99999999999999999999h"), None);
        assert_eq!(duration("18446744073709551615d"), None);
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("8GiB"), Some(8 << 30));
        assert_eq!(size("512MiB"), Some(512 << 20));
        assert_eq!(size("64GB"), Some(64_000_000_000));
        for bad in ["", "8", "8g", "8G", "8 GiB", "1.5GiB", "-1GiB", "GiB", "8gib", "99999999TiB"] {
            assert_eq!(size(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(milliseconds in 0_u64..10_000_000_000, bytes in 1_u64..u64::MAX >> 10) {
            let time = Duration::from_millis(milliseconds);
            prop_assert_eq!(duration(&show_duration(time)), Some(time));
            prop_assert_eq!(size(&show_size(bytes << 10)), Some(bytes << 10));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,12}") {
            let _ = (duration(&text), size(&text), quoted(&text));
        }
    }
}
