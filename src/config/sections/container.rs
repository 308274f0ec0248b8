//! `[container]`, and the limits that it shares with the slots.

use super::image::image;
use crate::config::table::{Section, Table};
use crate::config::value::Value;
use crate::config::words::{quoted, show_size};
use crate::config::{Container, Limits};
use crate::reservation::UserName;

pub(super) const CONTAINER: Section = Section {
    title: "[container]",
    key: "container",
    keys: &[
        "image",
        "user",
        "shell",
        "memory",
        "cpus",
        "shm",
        "pids",
        "disk",
        "gpu_memory",
        "env",
        "jupyter",
    ],
    later: &[],
};

/// Docker refuses less memory than 6 MiB; the upper end is the largest number its API can carry.
const MEMORY: std::ops::RangeInclusive<u64> = 6 << 20..=(i64::MAX as u64 >> 40) << 40;
const SHM: std::ops::RangeInclusive<u64> = 1 << 20..=(i64::MAX as u64 >> 40) << 40;
/// A shell's history and a log fit into the smallest.
const DISK: std::ops::RangeInclusive<u64> = 16 << 20..=(i64::MAX as u64 >> 40) << 40;
/// A CUDA context alone takes some hundred mebibytes.
const GPU_MEMORY: std::ops::RangeInclusive<u64> = 256 << 20..=(i64::MAX as u64 >> 40) << 40;
/// Docker's smallest share; no host has more.
const CPUS: std::ops::RangeInclusive<f64> = 0.01..=4096.0;
/// Fewer do not start a shell with an editor; the upper end is the kernel's PID_MAX_LIMIT.
const PIDS: std::ops::RangeInclusive<u64> = 16..=4_194_304;

const DEFAULT_SHM: u64 = 1 << 30;
const DEFAULT_PIDS: u64 = 4096;

pub(super) fn container(table: &mut Table<'_, '_>) -> Container {
    let image = table.required("image", "\"pytorch/pytorch:2.9.0-cuda12.8-cudnn9-devel\"");
    let user = table.take("user").and_then(|value| value.checked(str::parse::<UserName>));
    let shell = table.take("shell").and_then(|value| value.checked(container_path));
    let written = limits(table);
    let env = table.take("env").map(environment);
    let jupyter = table.take("jupyter").and_then(|value| value.flag());
    Container {
        image: image.and_then(|value| value.checked(self::image)).unwrap_or_default(),
        user: user.map(String::from),
        shell: shell.unwrap_or_else(|| "/bin/bash".to_owned()),
        limits: Limits {
            shm: written.shm.or(Some(DEFAULT_SHM)),
            pids: written.pids.or(Some(DEFAULT_PIDS)),
            ..written
        },
        env: env.unwrap_or_default(),
        jupyter: jupyter.unwrap_or(true),
    }
}

/// The limits written in a table; what is not written stays open.
pub(super) fn limits(table: &mut Table<'_, '_>) -> Limits {
    let memory = table.take("memory").and_then(|value| value.size(MEMORY));
    let cpus = table.take("cpus").and_then(|value| value.number(CPUS));
    let shm = table.take("shm").and_then(|value| {
        let shm = value.size(SHM)?;
        if let Some(memory) = memory.filter(|memory| shm > *memory) {
            let (shm, memory) = (show_size(shm), show_size(memory));
            value.refuse(format!("{shm} is more than the memory, {memory}, in which it is counted"));
        }
        Some(shm)
    });
    let pids = table.take("pids").and_then(|value| value.whole(PIDS));
    let disk = table.take("disk").and_then(|value| value.size(DISK));
    let gpu_memory = table.take("gpu_memory").and_then(|value| value.size(GPU_MEMORY));
    Limits { memory, cpus, shm, pids, disk, gpu_memory }
}

/// An absolute path in the container, written in one way only, so that duplicates can be seen.
pub(super) fn container_path(text: &str) -> Result<String, String> {
    let normal = text
        .strip_prefix('/')
        .is_some_and(|rest| rest.is_empty() || rest.split('/').all(|part| !matches!(part, "" | "." | "..")));
    if normal && !text.contains(char::is_control) {
        return Ok(text.to_owned());
    }
    let rule = "one that starts with / and has no //, no . or .. and no / at its end";
    Err(format!("{} is not an absolute path in the container: {rule}", quoted(text)))
}

fn environment(value: Value<'_, '_>) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    for (name, value) in value.entries().unwrap_or_default() {
        if !is_variable(&name) {
            value.refuse("not a variable's name: letters, digits and underscores, no digit first");
        }
        match value.text() {
            Some(text) if text.contains('\0') => value.refuse("a variable cannot contain a zero byte"),
            Some(text) => variables.push((name, text.to_owned())),
            None => {}
        }
    }
    variables
}

fn is_variable(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
