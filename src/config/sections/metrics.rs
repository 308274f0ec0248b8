//! `[metrics]`

use crate::config::Metrics;
use crate::config::sections::ssh::address;
use crate::config::table::{Section, Table};

pub(super) const METRICS: Section =
    Section { title: "[metrics]", key: "metrics", keys: &["listen"], later: &[] };

pub(super) fn metrics(table: &mut Table<'_, '_>) -> Metrics {
    Metrics { listen: table.take("listen").and_then(|value| value.checked(address)) }
}
