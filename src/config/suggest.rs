//! "Did you mean": the nearest known word.

/// The candidate that `word` most likely stands for, if one is near.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word = word.to_lowercase().replace('-', "_");
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.replace('-', "_")), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's, one row at a time.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (index, x) in left.chars().enumerate() {
        let mut latest = index + 1;
        let mut next = vec![latest];
        for ((y, above), diagonal) in right.chars().zip(row.iter().skip(1)).zip(&row) {
            latest = (diagonal + usize::from(x != y)).min(above + 1).min(latest + 1);
            next.push(latest);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let keys = ["listen", "host_keys", "login_grace", "cpus"];
        assert_eq!(nearest("lisen", keys), Some("listen"));
        assert_eq!(nearest("lsiten", keys), Some("listen"));
        assert_eq!(nearest("host-keys", keys), Some("host_keys"));
        assert_eq!(nearest("Login_Grace", keys), Some("login_grace"));
        assert_eq!(nearest("cpu", keys), Some("cpus"));
        assert_eq!(nearest("port", keys), None);
        assert_eq!(nearest("", keys), None);
    }

    #[test]
    fn distances() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
    }
}
