//! `[audit]`

use std::path::Path;

use crate::config::Audit;
use crate::config::table::{Section, Table};

pub(super) const AUDIT: Section =
    Section { title: "[audit]", key: "audit", keys: &["path"], later: &["record"] };

pub(super) fn audit(table: &mut Table<'_, '_>, folder: &Path) -> Audit {
    Audit { path: table.take("path").and_then(|value| value.path(folder)) }
}
