//! `[auth]`

use std::path::{Path, PathBuf};

use crate::config::table::{Section, Table};
use crate::config::value::Value;
use crate::config::words::quoted;
use crate::config::{Auth, AuthMethod};

pub(super) const AUTH: Section = Section {
    title: "[auth]",
    key: "auth",
    keys: &["methods", "user_ca"],
    later: &["ldap", "tailnet", "throttle"],
};

pub(super) fn auth(table: &mut Table<'_, '_>, folder: &Path) -> Auth {
    let methods = table.take("methods").map(methods);
    let user_ca = table.take("user_ca").map(|value| paths(value, folder)).unwrap_or_default();
    Auth { methods: methods.unwrap_or_else(|| vec![AuthMethod::PublicKey, AuthMethod::Password]), user_ca }
}

fn paths(value: Value<'_, '_>, folder: &Path) -> Vec<PathBuf> {
    value.list().unwrap_or_default().iter().filter_map(|value| value.path(folder)).collect()
}

fn methods(value: Value<'_, '_>) -> Vec<AuthMethod> {
    let Some(values) = value.non_empty_list("nobody could log in") else { return Vec::new() };
    let mut methods = Vec::new();
    for value in values {
        let Some(method) = value.checked(method) else { continue };
        if methods.contains(&method) {
            value.refuse(format!("{} is there twice", quoted(value.text().unwrap_or_default())));
        }
        methods.push(method);
    }
    methods
}

fn method(text: &str) -> Result<AuthMethod, String> {
    match text {
        "publickey" => Ok(AuthMethod::PublicKey),
        "password" => Ok(AuthMethod::Password),
        "tailnet" | "ldap" => Err(format!("{} is not supported by this version of clusteria", quoted(text))),
        _ => Err(format!(r#"{} is not a method; there are "publickey" and "password""#, quoted(text))),
    }
}
