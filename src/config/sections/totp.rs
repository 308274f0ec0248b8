//! `[auth.totp]`

use super::auth::methods;
use crate::config::table::{Section, Table};
use crate::config::words::quoted;
use crate::config::{AuthMethod, Totp, TotpRequired};

pub(super) const TOTP: Section =
    Section { title: "[auth.totp]", key: "totp", keys: &["required", "after"], later: &[] };

pub(super) fn totp(table: &mut Table<'_, '_>) -> Totp {
    let required = table.take("required").and_then(|value| value.checked(required));
    let after = table.take("after").map(|value| methods(value, "then nobody is ever asked"));
    Totp {
        required: required.unwrap_or(TotpRequired::Nobody),
        after: after.unwrap_or_else(|| vec![AuthMethod::Password]),
    }
}

fn required(text: &str) -> Result<TotpRequired, String> {
    match text {
        "nobody" => Ok(TotpRequired::Nobody),
        "admins" => Ok(TotpRequired::Admins),
        "everybody" => Ok(TotpRequired::Everybody),
        _ => Err(format!(r#"{} is none of "nobody", "admins" and "everybody""#, quoted(text))),
    }
}
