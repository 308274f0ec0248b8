//! `[cluster]`

use crate::config::Cluster;
use crate::config::table::{Section, Table};
use crate::config::words::quoted;
use crate::reservation::MachineName;

pub(super) const CLUSTER: Section =
    Section { title: "[cluster]", key: "cluster", keys: &["name", "motd"], later: &["charter"] };

const LONGEST_MOTD: usize = 512;

pub(super) fn cluster(table: &mut Table<'_, '_>) -> Cluster {
    let name = table.required("name", "\"lab\"").and_then(|value| value.checked(name));
    let motd = table.take("motd").and_then(|value| value.line(LONGEST_MOTD));
    Cluster { name: name.unwrap_or_default(), motd }
}

/// Like a machine's: both become parts of a container's name.
fn name(text: &str) -> Result<String, String> {
    let rule = "1 to 32 lower-case letters, digits and hyphens, starting with a letter";
    let name: MachineName =
        text.parse().map_err(|_| format!("{} is not a cluster name: {rule}", quoted(text)))?;
    Ok(name.into())
}
