//! The entry points of the fuzz targets, with random bytes and with near misses: bytes that were right once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../fuzz/entries.rs"]
mod entries;

use clusteria::agent::protocol::{Control, Event, Request, WindowSize, encode};
use proptest::prelude::*;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJZ6lK8kKeqUu0TPTPzPpt8jzCYtbyzVHdSFQ5aK4oDF me";
const CONFIG: &str = include_str!("../config/clusteria.example.toml");

/// Something right, then a few bytes of it changed, cut or repeated.
fn near(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 0..6);
    (prop::sample::select(seeds), changes).prop_map(|(mut bytes, changes)| {
        for (place, value, how) in changes {
            if bytes.is_empty() {
                break;
            }
            let at = place.index(bytes.len());
            match how {
                0 => bytes[at] = value,
                1 => bytes.insert(at, value),
                2 => bytes.truncate(at),
                _ => bytes.extend_from_within(at..),
            }
        }
        bytes
    })
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn some_frames() -> Vec<Vec<u8>> {
    let size = WindowSize { columns: 80, rows: 24, width: 0, height: 0 };
    vec![
        encode(&Control::Resize(size), 4096).unwrap(),
        encode(&Control::Signal("TERM".into()), 4096).unwrap(),
        encode(&Event::Killed { signal: "TERM".into(), core: false }, 4096).unwrap(),
        encode(&Event::Ask { id: 1, arguments: vec!["status".into()], locale: "fr".into() }, 4096).unwrap(),
        encode(&Request::Take { token: 3 }, 4096).unwrap(),
    ]
}

macro_rules! untrusted {
    ($name:ident, $seeds:expr) => {
        proptest! {
            #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

            #[test]
            fn $name(
                bytes in prop_oneof![proptest::collection::vec(any::<u8>(), 0..300), near($seeds)]
            ) {
                entries::$name(&bytes);
            }
        }
    };
}

untrusted!(frames, some_frames());
untrusted!(login, texts(&["ada", "ada+gpu1", "ada+gpu1/2", "+", "ada+gpu1/65536"]));
untrusted!(
    command_line,
    texts(&[
        "clusteria status --json",
        "clusteria reserve 'gpu1/2'",
        "clusteria key add \"ssh-rsa x\\\"\"",
        "ls"
    ])
);
untrusted!(
    key_line,
    texts(&[KEY, "verify-required sk-ssh-ed25519@openssh.com AAAA", "ssh-rsa AAAAB3NzaC1yc2E= x"])
);
untrusted!(config, texts(&[CONFIG, "[ssh]\nlisten = [{ address = \"x\" }]\n"]));
untrusted!(menu_keys, texts(&["\x1b[A\x1b[1;5C\x1bOP", "\x1b[200~paste\x1b[201~", "é\u{1f600}q\x03"]));
