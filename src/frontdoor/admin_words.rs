//! The words after `clusteria admin`.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::words::{UsageError, odd};
use crate::reservation::{MachineName, SlotId, UserName};

/// An administrator's command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminCommand {
    /// `help`, or nothing.
    Help,
    /// `list`
    List,
    /// `watch`
    Watch,
    /// `message TO WORDS`
    Message {
        /// To whom.
        to: Whom,
        /// What.
        words: String,
    },
    /// `end USER|SLOT`
    End(Whom),
    /// `drain MACHINE`, `undrain MACHINE`
    Drain {
        /// Which.
        machine: MachineName,
        /// Stop reservations, or resume.
        draining: bool,
    },
    /// `user …`
    User(UserCommand),
}

/// Whose reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// Everybody's.
    All,
    /// A user's.
    User(UserName),
    /// The one of a slot.
    Slot(SlotId),
}

/// `admin user …`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserCommand {
    /// `list`
    List,
    /// `add NAME`
    Add(UserName),
    /// `password NAME`
    Password(UserName),
    /// `remove NAME`
    Remove(UserName),
    /// `admin NAME on|off`
    Admin(UserName, bool),
    /// `disable NAME`, `enable NAME`
    Disable(UserName, bool),
    /// `expire NAME DATE|never`
    Expire(UserName, Option<Timestamp>),
    /// `totp NAME off`
    TotpOff(UserName),
}

impl AdminCommand {
    pub(super) fn wants_password(&self) -> bool {
        matches!(self, Self::User(UserCommand::Add(_) | UserCommand::Password(_)))
    }
}

pub(super) fn parse(words: &[&str]) -> Result<AdminCommand, UsageError> {
    match words {
        [] | ["help"] => Ok(AdminCommand::Help),
        ["list"] => Ok(AdminCommand::List),
        ["watch"] => Ok(AdminCommand::Watch),
        ["message", to, words @ ..] if !words.is_empty() => {
            Ok(AdminCommand::Message { to: whom(to)?, words: words.join(" ") })
        }
        ["end", whose] if *whose != "all" => Ok(AdminCommand::End(whom(whose)?)),
        ["drain", machine] => Ok(AdminCommand::Drain { machine: name(machine)?, draining: true }),
        ["undrain", machine] => Ok(AdminCommand::Drain { machine: name(machine)?, draining: false }),
        ["user", words @ ..] => user(words).map(AdminCommand::User),
        [.., last] => Err(odd(last)),
    }
}

fn user(words: &[&str]) -> Result<UserCommand, UsageError> {
    match words {
        [] | ["list"] => Ok(UserCommand::List),
        ["add", who] => Ok(UserCommand::Add(name(who)?)),
        ["password", who] => Ok(UserCommand::Password(name(who)?)),
        ["remove", who] => Ok(UserCommand::Remove(name(who)?)),
        ["admin", who, "on"] => Ok(UserCommand::Admin(name(who)?, true)),
        ["admin", who, "off"] => Ok(UserCommand::Admin(name(who)?, false)),
        ["disable", who] => Ok(UserCommand::Disable(name(who)?, true)),
        ["enable", who] => Ok(UserCommand::Disable(name(who)?, false)),
        ["expire", who, "never"] => Ok(UserCommand::Expire(name(who)?, None)),
        ["expire", who, when] => {
            Ok(UserCommand::Expire(name(who)?, Some(moment(when).ok_or_else(|| odd(when))?)))
        }
        ["totp", who, "off"] => Ok(UserCommand::TotpOff(name(who)?)),
        [.., last] => Err(odd(last)),
    }
}

fn whom(word: &str) -> Result<Whom, UsageError> {
    match word {
        "all" => Ok(Whom::All),
        slot if slot.contains('/') => Ok(Whom::Slot(name(slot)?)),
        user => Ok(Whom::User(name(user)?)),
    }
}

fn name<T: std::str::FromStr>(word: &str) -> Result<T, UsageError> {
    word.parse().map_err(|_| odd(word))
}

/// A moment, or the beginning of a day (UTC).
#[must_use]
pub fn moment(word: &str) -> Option<Timestamp> {
    let day = || TimeZone::UTC.to_timestamp(word.parse::<Date>().ok()?.at(0, 0, 0, 0)).ok();
    word.parse::<Timestamp>().ok().or_else(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn administrators_words_are_understood_or_refused() {
        let read = |line: &str| parse(&line.split_whitespace().collect::<Vec<_>>());
        let ada: UserName = "ada".parse().unwrap();
        assert_eq!(
            read("message gpu1/2 back in five"),
            Ok(AdminCommand::Message {
                to: Whom::Slot("gpu1/2".parse().unwrap()),
                words: "back in five".into()
            })
        );
        assert_eq!(read("end ada"), Ok(AdminCommand::End(Whom::User(ada.clone()))));
        let drain = |draining| Ok(AdminCommand::Drain { machine: "gpu1".parse().unwrap(), draining });
        assert_eq!(read("drain gpu1"), drain(true));
        assert_eq!(read("undrain gpu1"), drain(false));
        let midnight = "2027-06-30T00:00:00Z".parse().ok();
        assert_eq!(
            read("user expire ada 2027-06-30"),
            Ok(AdminCommand::User(UserCommand::Expire(ada.clone(), midnight)))
        );
        assert!(read("user password ada").unwrap().wants_password());
        for (line, word) in [
            ("end all", "all"),
            ("end", "end"),
            ("message ada", "ada"),
            ("drain GPU", "GPU"),
            ("user admin ada maybe", "maybe"),
            ("user expire ada tomorrow", "tomorrow"),
            ("dance", "dance"),
        ] {
            assert_eq!(read(line), Err(UsageError::Odd(word.into())), "{line}");
        }
    }
}
