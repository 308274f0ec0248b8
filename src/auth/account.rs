//! May this account come in, and with how many factors? Pure.

use jiff::Timestamp;

use crate::config::{AuthMethod, Totp, TotpRequired};
use crate::store::UserRecord;

/// Why a right credential does not open an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shut {
    /// An administrator has locked it.
    Disabled,
    /// Its time is over.
    Expired,
}

/// Is the account open now?
///
/// # Errors
/// [`Shut`]
pub fn standing(record: &UserRecord, now: Timestamp) -> Result<(), Shut> {
    if record.disabled {
        return Err(Shut::Disabled);
    }
    if record.expires.is_some_and(|expires| expires <= now) {
        return Err(Shut::Expired);
    }
    Ok(())
}

/// What is asked for after the first factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Factor {
    /// Nothing.
    Enough,
    /// A code.
    Code,
    /// A second factor, made now.
    Enrol,
}

/// Must they have a second factor, by the rules for all?
#[must_use]
pub fn must_have_two(rules: &Totp, admin: bool) -> bool {
    match rules.required {
        TotpRequired::Nobody => false,
        TotpRequired::Admins => admin,
        TotpRequired::Everybody => true,
    }
}

/// Decides.
#[must_use]
pub fn second_factor(rules: &Totp, method: AuthMethod, has_secret: bool, must_have_two: bool) -> Factor {
    if !rules.after.contains(&method) {
        return Factor::Enough;
    }
    match (has_secret, must_have_two) {
        (true, _) => Factor::Code,
        (false, true) => Factor::Enrol,
        (false, false) => Factor::Enough,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Origin;

    #[test]
    fn accounts_that_are_shut_stay_shut() {
        let at = |s| Timestamp::from_second(s).unwrap();
        let record = |disabled, expires| UserRecord {
            name: "ada".parse().unwrap(),
            uid: 1,
            password: None,
            created: at(0),
            admin: true,
            disabled,
            expires,
            origin: Origin::Local,
            totp: None,
        };
        assert_eq!(standing(&record(false, None), at(5)), Ok(()));
        assert_eq!(standing(&record(false, Some(at(6))), at(5)), Ok(()));
        assert_eq!(standing(&record(false, Some(at(5))), at(5)), Err(Shut::Expired));
        assert_eq!(standing(&record(true, None), at(5)), Err(Shut::Disabled));
    }

    #[test]
    fn the_second_factor_is_asked_of_those_who_have_or_must_have_one() {
        let rules = |required| Totp { required, after: vec![AuthMethod::Password] };
        let ask = |required, method, has, admin| {
            let rules = rules(required);
            second_factor(&rules, method, has, must_have_two(&rules, admin))
        };
        use TotpRequired::{Admins, Everybody, Nobody};
        for required in [Nobody, Admins, Everybody] {
            for (has, admin) in [(true, true), (true, false), (false, true), (false, false)] {
                assert_eq!(ask(required, AuthMethod::PublicKey, has, admin), Factor::Enough);
                let expected = match (has, required, admin) {
                    (true, ..) => Factor::Code,
                    (false, Everybody, _) | (false, Admins, true) => Factor::Enrol,
                    _ => Factor::Enough,
                };
                assert_eq!(ask(required, AuthMethod::Password, has, admin), expected);
            }
        }
    }
}
