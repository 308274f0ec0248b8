//! `[store]`

use std::path::{Path, PathBuf};

use crate::config::Store;
use crate::config::table::{Section, Table};
use crate::config::value::Value;

pub(super) const STORE: Section =
    Section { title: "[store]", key: "store", keys: &["path", "runtime"], later: &[] };

/// `sun_path` of unix(7) has 108 bytes, the last of them zero.
const LONGEST_SOCKET: usize = 107;
/// `/`, a ULID, and the socket's name.
const BELOW_RUNTIME: usize = 1 + 26 + "/agent.sock".len();
const LONGEST_RUNTIME: usize = LONGEST_SOCKET - BELOW_RUNTIME;

pub(super) fn store(table: &mut Table<'_, '_>, folder: &Path) -> Store {
    let path = table.take("path").and_then(|value| value.path(folder));
    let runtime = table.take("runtime").and_then(|value| runtime(&value, folder));
    Store {
        path: path.unwrap_or_else(|| PathBuf::from("/var/lib/clusteria/clusteria.db")),
        runtime: runtime.unwrap_or_else(|| PathBuf::from("/run/clusteria")),
    }
}

fn runtime(value: &Value<'_, '_>, folder: &Path) -> Option<PathBuf> {
    let runtime = value.path(folder)?;
    let length = runtime.as_os_str().len();
    if length > LONGEST_RUNTIME {
        let why = format!("the sockets in it must fit {LONGEST_SOCKET} bytes");
        value.refuse(format!(
            "{} has {length} bytes and may have {LONGEST_RUNTIME}: {why}",
            runtime.display()
        ));
    }
    Some(runtime)
}
