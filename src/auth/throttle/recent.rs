//! A map that forgets: what has not been touched lately goes when there is too much.

use std::collections::HashMap;
use std::hash::Hash;

/// Two generations. When the young one is full it becomes the old one, and the old one is forgotten: at least
/// the last `most / 2` entries that were touched are there, never more than `most`, and no step looks at all.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    half: usize,
}

impl<K: Hash + Eq, V: Default> Recent<K, V> {
    pub(super) fn new(most: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), half: (most / 2).max(1) }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    pub(super) fn contains(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// The value, made if there is none; it is young again.
    pub(super) fn entry(&mut self, key: K) -> &mut V {
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        let kept = self.old.remove(&key);
        self.young.entry(key).or_insert_with(|| kept.unwrap_or_default())
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_stay_and_there_are_never_too_many() {
        let mut recent: Recent<u32, u32> = Recent::new(100);
        for n in 0..10_000 {
            *recent.entry(7) += 1;
            *recent.entry(n + 100) = n;
            assert!(recent.len() <= 100);
        }
        assert_eq!(recent.get(&7), Some(&10_000), "what is used stays");
        assert!((0..49).all(|n| recent.contains(&(10_099 - n))));
        assert!(!recent.contains(&100));
    }
}
