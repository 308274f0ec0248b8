//! `[auth]`

use std::path::{Path, PathBuf};

use super::{ldap, tailnet, throttle, totp};
use crate::config::table::{Section, Table};
use crate::config::value::Value;
use crate::config::words::quoted;
use crate::config::{Auth, AuthMethod, Ldap};

pub(super) const AUTH: Section = Section {
    title: "[auth]",
    key: "auth",
    keys: &["methods", "user_ca", "ldap", "tailnet", "throttle", "totp"],
    later: &[],
};

pub(super) fn auth(table: &mut Table<'_, '_>, folder: &Path) -> Auth {
    let methods = table.take("methods").map(|value| methods(value, "nobody could log in"));
    let methods = methods.unwrap_or_else(|| vec![AuthMethod::PublicKey, AuthMethod::Password]);
    let tailnet = table.section(&tailnet::TAILNET, |table| tailnet::tailnet(table, folder));
    if methods.contains(&AuthMethod::Tailnet) && tailnet.domains.is_empty() && tailnet.users.is_empty() {
        table.missing(
            "[auth.tailnet] domains is required with the method \"tailnet\", like domains = [\"example.org\"]: \
             ada@elsewhere.org must not be ada",
        );
    }
    let user_ca = table.take("user_ca").map(|value| paths(value, folder)).unwrap_or_default();
    Auth {
        user_ca,
        ldap: ldap_section(table, folder),
        throttle: table.section(&throttle::THROTTLE, throttle::throttle),
        totp: table.section(&totp::TOTP, totp::totp),
        tailnet,
        methods,
    }
}

fn paths(value: Value<'_, '_>, folder: &Path) -> Vec<PathBuf> {
    value.list().unwrap_or_default().iter().filter_map(|value| value.path(folder)).collect()
}

/// The only section that is off when it is absent.
fn ldap_section(table: &mut Table<'_, '_>, folder: &Path) -> Option<Ldap> {
    let value = table.take(ldap::LDAP.key)?;
    Some(value.into_table(&ldap::LDAP).read(|table| ldap::ldap(table, folder)))
}

pub(super) fn methods(value: Value<'_, '_>, why_not_empty: &str) -> Vec<AuthMethod> {
    let Some(values) = value.non_empty_list(why_not_empty) else { return Vec::new() };
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
        "tailnet" => Ok(AuthMethod::Tailnet),
        "ldap" => Err(format!(
            "{} is not a method of its own: write \"password\" and a section [auth.ldap]",
            quoted(text)
        )),
        _ => Err(format!(
            r#"{} is not a method; there are "publickey", "password" and "tailnet""#,
            quoted(text)
        )),
    }
}
