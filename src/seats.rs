//! Places of which each holder may have so many: a user's connections, an address's logins under way.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// How many places each holder has taken.
#[derive(Debug)]
pub(crate) struct Seats<K> {
    limit: usize,
    taken: Mutex<HashMap<K, usize>>,
}

/// One place, taken for as long as this lives.
pub(crate) struct Seat<K: Eq + Hash> {
    seats: Arc<Seats<K>>,
    holder: K,
}

impl<K: Eq + Hash + Clone> Seats<K> {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, taken: Mutex::default() })
    }

    /// `None` when the holder has all that it may have.
    pub(crate) fn take(self: &Arc<Self>, holder: K) -> Option<Seat<K>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(holder.clone()).or_default();
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Seat { seats: self.clone(), holder })
    }
}

impl<K: Eq + Hash> Drop for Seat<K> {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.holder) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_holder_has_its_share_and_gets_it_back() {
        let seats = Seats::new(2);
        let first = seats.take("ada").unwrap();
        let _second = seats.take("ada").unwrap();
        assert!(seats.take("ada").is_none());
        assert!(seats.take("bob").is_some());
        drop(first);
        assert!(seats.take("ada").is_some());
        assert_eq!(seats.taken.lock().unwrap().len(), 1, "who holds nothing is forgotten");
        assert!(Seats::new(0).take("ada").is_none());
    }
}
