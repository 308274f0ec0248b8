//! What we parse ourselves of what others send: nothing here may panic, whatever the bytes. The fuzz targets feed it,
//! and tests/untrusted.rs with random bytes and near misses in every run.

#![allow(dead_code)]

use std::path::Path;

use clusteria::agent::protocol::{Control, Event, Reply, Request, read_frame};
use clusteria::auth::authorized_key;
use clusteria::config::Config;
use clusteria::frontdoor::{parse, split_command_line};
use clusteria::menu::KeyDecoder;
use clusteria::ssh::landing::Login;

/// Small, so that the limit is met too.
const LIMIT: usize = 4096;

/// Frames of the agent protocol, as either side reads them.
pub fn frames(data: &[u8]) {
    let _ = read_frame::<Request>(&mut &*data, LIMIT);
    let _ = read_frame::<Reply>(&mut &*data, LIMIT);
    let _ = read_frame::<Control>(&mut &*data, LIMIT);
    let _ = read_frame::<Event>(&mut &*data, LIMIT);
}

/// The SSH user name and its target.
pub fn login(data: &[u8]) {
    let login = Login::read(&String::from_utf8_lossy(data), None);
    if let Ok(target) = &login.target {
        assert!(!login.user.contains('+'), "{target:?}");
    }
}

/// `clusteria …` as an exec request.
pub fn command_line(data: &[u8]) {
    if let Some(words) = split_command_line(data) {
        let _ = parse(&words);
    }
}

/// A pasted public key.
pub fn key_line(data: &[u8]) {
    if let Ok(key) = authorized_key::parse(&String::from_utf8_lossy(data)) {
        // What is stored reads as the same key again.
        let again = authorized_key::parse(&key.line).unwrap();
        assert_eq!((again.fingerprint, again.line), (key.fingerprint, key.line));
    }
}

/// A configuration file.
pub fn config(data: &[u8]) {
    let _ = Config::parse(&String::from_utf8_lossy(data), Path::new("/etc/clusteria/clusteria.toml"));
}

/// What somebody types into the menu, in two portions cut anywhere.
pub fn menu_keys(data: &[u8]) {
    let (first, second) = data.split_at(data.first().map_or(0, |n| usize::from(*n) % data.len()));
    let mut decoder = KeyDecoder::new();
    let keys = [decoder.feed(first), decoder.feed(second), decoder.flush()].concat();
    assert!(keys.len() <= data.len() + 1);
}
