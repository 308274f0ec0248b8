//! `[cluster]`

use std::path::Path;

use crate::config::table::{Section, Table};
use crate::config::value::Value;
use crate::config::words::quoted;
use crate::config::{CharterFiles, Cluster};
use crate::reservation::MachineName;

pub(super) const CLUSTER: Section =
    Section { title: "[cluster]", key: "cluster", keys: &["name", "motd", "charter"], later: &[] };

/// A charter that is a table.
pub(super) const CHARTER: Section =
    Section { title: "[cluster] charter", key: "charter", keys: &["en", "fr"], later: &[] };

const LONGEST_MOTD: usize = 512;

pub(super) fn cluster(table: &mut Table<'_, '_>, folder: &Path) -> Cluster {
    let name = table.required("name", "\"lab\"").and_then(|value| value.checked(name));
    let motd = table.take("motd").and_then(|value| value.line(LONGEST_MOTD));
    let charter = table.take("charter").and_then(|value| charter(value, folder));
    Cluster { name: name.unwrap_or_default(), motd, charter }
}

fn charter(value: Value<'_, '_>, folder: &Path) -> Option<CharterFiles> {
    if !value.is_table() {
        return value.path(folder).map(CharterFiles::Beside);
    }
    value.into_table(&CHARTER).read(|table| {
        let en = table.required("en", "\"charter.en.md\"").and_then(|value| value.path(folder));
        let fr = table.required("fr", "\"charter.fr.md\"").and_then(|value| value.path(folder));
        Some(CharterFiles::Each { en: en?, fr: fr? })
    })
}

/// Like a machine's: both become parts of a container's name.
fn name(text: &str) -> Result<String, String> {
    let rule = "1 to 32 lower-case letters, digits and hyphens, starting with a letter";
    let name: MachineName =
        text.parse().map_err(|_| format!("{} is not a cluster name: {rule}", quoted(text)))?;
    Ok(name.into())
}
