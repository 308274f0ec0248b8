//! The machines' network: a range of addresses of its own, and `ip`.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

pub(super) const NETNS: &str = "/run/netns";

/// `10.X.Y.0/24`, ours for as long as the lock is held.
pub(super) struct Network {
    pub(super) number: u16,
    _lock: File,
}

impl Network {
    pub(super) fn claim() -> Self {
        let folder = Path::new("/run/lock/clusteria-tests");
        fs::create_dir_all(folder).unwrap();
        for number in 0..1000 {
            let lock = File::create(folder.join(format!("network-{number}"))).unwrap();
            if lock.try_lock().is_ok() {
                return Self { number, _lock: lock };
            }
        }
        panic!("no network is free");
    }

    pub(super) fn address(&self, host: u8) -> Ipv4Addr {
        let [high, low] = self.number.to_be_bytes();
        Ipv4Addr::new(10, 77 + high, low, host)
    }
}

#[track_caller]
pub(super) fn ip(words: &[&str]) {
    let done = Command::new("ip").args(words).output().unwrap();
    assert!(done.status.success(), "ip {}: {}", words.join(" "), String::from_utf8_lossy(&done.stderr));
}
