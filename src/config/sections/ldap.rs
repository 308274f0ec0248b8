//! `[auth.ldap]`

use std::path::Path;
use std::time::Duration;

use crate::config::table::{Section, Table};
use crate::config::value::Value;
use crate::config::words::quoted;
use crate::config::{Ldap, LdapEntry};

pub(super) const LDAP: Section = Section {
    title: "[auth.ldap]",
    key: "ldap",
    keys: &[
        "urls",
        "ca",
        "timeout",
        "cache",
        "user_dn",
        "base",
        "filter",
        "bind_dn",
        "bind_password_file",
        "group",
        "admin_group",
        "totp_group",
        "key_attribute",
        "uid_attribute",
    ],
    later: &[],
};

const TIMEOUTS: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(20);
const LONGEST_CACHE: Duration = Duration::from_secs(600);
const LONGEST: usize = 512;

pub(super) fn ldap(table: &mut Table<'_, '_>, folder: &Path) -> Ldap {
    let urls = table.required("urls", "[\"ldaps://ldap.example.org\"]").map(urls).unwrap_or_default();
    let ca = table.take("ca").and_then(|value| value.path(folder));
    let timeout = table.take("timeout").and_then(|value| value.duration(TIMEOUTS));
    let cache = table.take("cache").and_then(|value| value.duration(Duration::ZERO..=LONGEST_CACHE));
    let entry = entry(table, folder);
    let mut line = |key| table.take(key).and_then(|value| value.line(LONGEST));
    let (group, admin_group, totp_group) = (line("group"), line("admin_group"), line("totp_group"));
    let mut attribute = |key| table.take(key).and_then(|value| value.checked(attribute));
    let key_attribute = attribute("key_attribute").unwrap_or_else(|| "sshPublicKey".to_owned());
    let uid_attribute = attribute("uid_attribute").filter(|name| !name.is_empty());
    Ldap {
        urls,
        ca,
        timeout: timeout.unwrap_or(Duration::from_secs(3)),
        cache: cache.unwrap_or(Duration::from_secs(30)),
        entry,
        group,
        admin_group,
        totp_group,
        key_attribute,
        uid_attribute,
    }
}

fn urls(value: Value<'_, '_>) -> Vec<String> {
    let values = value.non_empty_list("name a server, or remove [auth.ldap]").unwrap_or_default();
    values.iter().filter_map(|value| value.checked(url)).collect()
}

/// Passwords never cross the network in the clear: `ldap://` is always upgraded by StartTLS.
fn url(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("ldaps://").or_else(|| text.strip_prefix("ldap://"));
    let is_host = |host: &str| {
        !host.is_empty()
            && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']'))
    };
    match host.map(|host| host.trim_end_matches('/')) {
        Some(host) if is_host(host) => Ok(text.trim_end_matches('/').to_owned()),
        _ => Err(format!(
            r#"{} is not a directory's address; write it like "ldaps://ldap.example.org" or "ldap://…" (StartTLS)"#,
            quoted(text)
        )),
    }
}

fn entry(table: &mut Table<'_, '_>, folder: &Path) -> LdapEntry {
    let user_dn = table.take("user_dn");
    let base = table.take("base");
    let filter = table.take("filter").and_then(|value| value.checked(with_user));
    let bind_dn = table.take("bind_dn").and_then(|value| value.line(LONGEST));
    let password = table.take("bind_password_file").and_then(|value| value.path(folder));
    if bind_dn.is_some() != password.is_some() {
        table.missing("[auth.ldap] bind_dn and bind_password_file go together");
    }
    match (user_dn, base) {
        (Some(value), None) => LdapEntry::BindAs { dn: value.checked(with_user).unwrap_or_default() },
        (None, Some(value)) => LdapEntry::Search {
            base: value.line(LONGEST).unwrap_or_default(),
            filter: filter.unwrap_or_else(|| "(uid={user})".to_owned()),
            service: bind_dn.zip(password),
        },
        (Some(value), Some(_)) => {
            value.refuse("write one of user_dn (bind as the user) and base (search first)");
            LdapEntry::BindAs { dn: String::new() }
        }
        (None, None) => {
            table.missing("[auth.ldap] has neither user_dn (bind as the user) nor base (search first)");
            LdapEntry::BindAs { dn: String::new() }
        }
    }
}

fn with_user(text: &str) -> Result<String, String> {
    if text.matches("{user}").count() == 1 && !text.contains(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(format!("{} does not have {{user}} once, where the name goes", quoted(text)))
}

fn attribute(text: &str) -> Result<String, String> {
    if text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Ok(text.to_owned());
    }
    Err(format!("{} is not an attribute's name", quoted(text)))
}
