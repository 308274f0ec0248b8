//! How many connections there may be: in all, and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Each holds a live page, a download or a kernel open.
const MOST: usize = 4096;
/// A class behind one address, each with a page and JupyterLab.
const MOST_OF_ONE: usize = 512;

#[derive(Debug, Clone, Default)]
pub(super) struct Limits {
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A connection's place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    limits: Limits,
    address: IpAddr,
}

impl Limits {
    pub(super) fn new() -> Self {
        Self::default()
    }

    fn open(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take(&self, address: IpAddr) -> Option<Place> {
        let mut open = self.open();
        let of_one = open.get(&address).copied().unwrap_or_default();
        if of_one >= MOST_OF_ONE || open.values().sum::<usize>() >= MOST {
            return None;
        }
        open.insert(address, of_one + 1);
        Some(Place { limits: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.limits.open();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_take_all_places() {
        let limits = Limits::new();
        let (one, other): (IpAddr, IpAddr) = ("127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap());
        let mut places: Vec<_> = (0..MOST_OF_ONE).map(|_| limits.take(one).unwrap()).collect();
        assert!(limits.take(one).is_none() && limits.take(other).is_some());
        places.pop();
        assert!(limits.take(one).is_some());
        drop(places);
        assert!(limits.open().is_empty());
    }
}
