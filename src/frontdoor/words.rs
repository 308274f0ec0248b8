//! The words after `clusteria`, understood or refused.

use crate::reservation::Target;
use crate::text::door::Door;
use crate::text::{Lang, Say, printable};

/// A front-door command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `help`, or nothing at all.
    Help,
    /// `menu`
    Menu,
    /// `status`
    Status {
        /// As JSON.
        json: bool,
    },
    /// `machines`
    Machines {
        /// As JSON.
        json: bool,
    },
    /// `reserve [TARGET]`
    Reserve {
        /// Where.
        target: Target,
        /// As JSON.
        json: bool,
    },
    /// `password`: a new one for the reservation
    Password {
        /// As JSON.
        json: bool,
    },
    /// `release`
    Release {
        /// As JSON.
        json: bool,
    },
}

/// Words that are no command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsageError {
    /// No such command.
    Unknown(String),
    /// A command of the design that is not built yet.
    NotYet(String),
    /// A word too many, or one that makes no sense.
    Odd(String),
}

impl Say for UsageError {
    fn say(&self, lang: Lang) -> String {
        match self {
            Self::Unknown(word) => Door::Unknown(&printable(word)).say(lang),
            Self::NotYet(word) => Door::NotYet(&printable(word)).say(lang),
            Self::Odd(word) => Door::Usage(&printable(word)).say(lang),
        }
    }
}

/// Understands the words after `clusteria`.
///
/// # Errors
/// [`UsageError`]
pub fn parse(words: &[String]) -> Result<Command, UsageError> {
    let json = words.iter().any(|word| word == "--json");
    let mut rest = words.iter().filter(|word| *word != "--json").map(String::as_str);
    let command = rest.next().unwrap_or("help");
    let argument = rest.next();
    let odd = |word: &str| UsageError::Odd(word.to_owned());
    if let Some(extra) = rest.next() {
        return Err(odd(extra));
    }
    let alone = |command| argument.map_or(Ok(command), |extra| Err(odd(extra)));
    match command {
        "help" | "--help" | "-h" => Ok(Command::Help),
        "menu" => alone(Command::Menu),
        "status" => alone(Command::Status { json }),
        "machines" => alone(Command::Machines { json }),
        "release" => alone(Command::Release { json }),
        "password" => alone(Command::Password { json }),
        "reserve" => {
            let target = argument.map_or(Ok(Target::Any), |t| t.parse().map_err(|_| odd(t)))?;
            Ok(Command::Reserve { target, json })
        }
        "queue" | "key" | "ssh-config" | "admin" => Err(UsageError::NotYet(command.into())),
        other => Err(UsageError::Unknown(other.to_owned())),
    }
}

/// Is this `exec` command line for the front door? Then its words after `clusteria`.
#[must_use]
pub fn split_command_line(line: &[u8]) -> Option<Vec<String>> {
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split_ascii_whitespace();
    (words.next()? == "clusteria")
        .then(|| words.map(|word| word.trim_matches(['\'', '"']).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        split_command_line(line.as_bytes()).unwrap()
    }

    #[test]
    fn command_lines_for_the_front_door_are_told_from_others() {
        assert_eq!(words("clusteria reserve 'gpu1/2' --json"), ["reserve", "gpu1/2", "--json"]);
        assert_eq!(words("clusteria"), Vec::<String>::new());
        for other in ["clusterias", "ls clusteria", "", "./clusteria status"] {
            assert_eq!(split_command_line(other.as_bytes()), None);
        }
        assert_eq!(split_command_line(b"clusteria \xff"), None);
    }

    #[test]
    fn words_are_understood_or_refused() {
        let gpu: Target = "gpu1/2".parse().unwrap();
        assert_eq!(
            parse(&words("clusteria reserve gpu1/2 --json")),
            Ok(Command::Reserve { target: gpu, json: true })
        );
        assert_eq!(parse(&words("clusteria")), Ok(Command::Help));
        assert_eq!(parse(&words("clusteria status")), Ok(Command::Status { json: false }));
        assert_eq!(parse(&words("clusteria password --json")), Ok(Command::Password { json: true }));
        assert_eq!(parse(&words("clusteria reserve GPU")), Err(UsageError::Odd("GPU".into())));
        assert_eq!(parse(&words("clusteria release now")), Err(UsageError::Odd("now".into())));
        assert_eq!(parse(&words("clusteria queue")), Err(UsageError::NotYet("queue".into())));
        assert_eq!(parse(&words("clusteria dance")), Err(UsageError::Unknown("dance".into())));
    }
}
