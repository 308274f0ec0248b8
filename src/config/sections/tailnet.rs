//! `[auth.tailnet]`

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::Tailnet;
use crate::config::table::{Section, Table};
use crate::config::value::Value;
use crate::config::words::quoted;
use crate::reservation::UserName;

pub(super) const TAILNET: Section = Section {
    title: "[auth.tailnet]",
    key: "tailnet",
    keys: &["socket", "timeout", "domains", "users", "new_users"],
    later: &[],
};

const TIMEOUTS: std::ops::RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(10);

pub(super) fn tailnet(table: &mut Table<'_, '_>, folder: &Path) -> Tailnet {
    let socket = table.take("socket").and_then(|value| value.path(folder));
    let timeout = table.take("timeout").and_then(|value| value.duration(TIMEOUTS));
    let domains = table.take("domains").map(domains).unwrap_or_default();
    let users = table.take("users").map(users).unwrap_or_default();
    let new_users = table.take("new_users").and_then(|value| value.flag()).unwrap_or(false);
    Tailnet {
        socket: socket.unwrap_or_else(|| PathBuf::from("/run/tailscale/tailscaled.sock")),
        timeout: timeout.unwrap_or(Duration::from_millis(500)),
        domains,
        users,
        new_users,
    }
}

fn domains(value: Value<'_, '_>) -> Vec<String> {
    let values = value.list().unwrap_or_default();
    values.iter().filter_map(|value| value.checked(domain)).collect()
}

/// What follows the `@` of a login.
fn domain(text: &str) -> Result<String, String> {
    let is_domain =
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    if is_domain {
        return Ok(text.to_ascii_lowercase());
    }
    Err(format!(
        "{} is not a domain; write what follows the @ of a login, like \"example.org\"",
        quoted(text)
    ))
}

fn users(value: Value<'_, '_>) -> Vec<(String, UserName)> {
    let entries = value.entries().unwrap_or_default();
    let user = |(login, value): (String, Value<'_, '_>)| Some((login, value.checked(str::parse)?));
    entries.into_iter().filter_map(user).collect()
}
