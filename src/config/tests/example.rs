//! The example names every key with its default.

use std::path::{Path, PathBuf};

use crate::config::sections::SECTIONS;
use crate::config::{Config, MountSource};

const EXAMPLE: &str = include_str!("../../../config/clusteria.example.toml");

/// A setting that is commented out begins with `#` and no space.
fn everything() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => rest.to_owned(),
        _ => line.to_owned(),
    };
    EXAMPLE.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_says_the_defaults() {
    let example = super::parse(EXAMPLE).unwrap();
    let image = "pytorch/pytorch:2.9.0-cuda12.8-cudnn9-devel";
    let minimal = super::parse(&super::instead("ubuntu:24.04", image)).unwrap();
    assert_eq!(example, minimal);
    assert_eq!(example.ssh.host_keys, PathBuf::from("/etc/clusteria/hostkeys"));
    assert_eq!(example.ssh.listen[0].address.to_string(), "127.0.0.1:2222");
    assert_eq!(example.machines[0].slots[0].id.to_string(), "gpu1/1");
    assert_eq!(example.container.limits.memory, None);
    assert_eq!(example.container.limits.shm, Some(1 << 30));
}

#[test]
fn what_is_commented_out_in_the_example_works() {
    let config = super::parse(&everything()).unwrap();
    assert_eq!(config.mounts.len(), 2);
    assert_eq!(config.mounts[0].source, MountSource::Path(PathBuf::from("/srv/dataset")));
    assert!(config.mounts[0].read_only && !config.mounts[1].read_only);
    assert_eq!(config.container.limits.memory, Some(64 << 30));
    assert_eq!(config.machines[0].slots[0].limits.memory, Some(128 << 30));
}

/// With the test above: every key that is listed is also read, else it would be unknown there.
#[test]
fn the_example_has_every_key() {
    let everything = everything();
    for section in SECTIONS {
        for key in section.keys {
            // The table form of a listener is shown in a comment.
            let in_comment =
                section.title.contains("] ") || ["user_dn", "tls_certificate", "tls_key"].contains(key);
            let form = if in_comment { format!(" {key} = ") } else { format!("\n{key} = ") };
            let tables = [format!("[[machine.{key}]]"), format!("[auth.{key}]")];
            let found = everything.contains(&form) || tables.iter().any(|form| everything.contains(form));
            assert!(found, "{} {key} is not in the example", section.title);
        }
    }
}

#[test]
fn the_file_loads_from_disk() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/clusteria.example.toml");
    let config = Config::load(&path).unwrap();
    assert_eq!(config.ssh.host_keys, path.parent().unwrap().join("hostkeys"));
}
