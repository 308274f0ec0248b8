//! The words after `clusteria`, understood or refused.

use super::admin_words::{self, AdminCommand};
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
    /// `queue …`
    Queue {
        /// What.
        queue: QueueCommand,
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
    /// `ssh-config`: for `~/.ssh/config`
    SshConfig {
        /// As JSON.
        json: bool,
    },
    /// `key …`
    Key {
        /// What.
        key: KeyCommand,
        /// As JSON.
        json: bool,
    },
    /// `password --account`
    AccountPassword,
    /// `totp …`
    Totp(TotpCommand),
    /// `charter`
    Charter,
    /// `accept`
    Accept,
    /// `admin …`
    Admin {
        /// What.
        admin: AdminCommand,
        /// As JSON.
        json: bool,
    },
}

/// `queue …`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueCommand {
    /// `queue`
    Show,
    /// `queue join [TARGET]`
    Join(Target),
    /// `queue wait [TARGET]`: without one the place that is there already is as good
    Wait(Option<Target>),
    /// `queue leave`
    Leave,
}

/// `key …`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyCommand {
    /// `add`, or `add KEY`: without one it comes on standard input.
    Add(Option<String>),
    /// `list`
    List,
    /// `remove FINGERPRINT`
    Remove(String),
}

/// `totp …`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TotpCommand {
    /// `totp`
    Begin,
    /// `totp CODE`
    Confirm(String),
    /// `totp off CODE`
    Off(String),
}

/// Words that are no command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsageError {
    /// No such command.
    Unknown(String),
    /// A word too many, or one that makes no sense.
    Odd(String),
}

impl Say for UsageError {
    fn say(&self, lang: Lang) -> String {
        match self {
            Self::Unknown(word) => Door::Unknown(&printable(word)).say(lang),
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
    let rest: Vec<&str> = words.iter().filter(|word| *word != "--json").map(String::as_str).collect();
    let command = match rest.as_slice() {
        [] | ["help" | "--help" | "-h"] => Command::Help,
        ["menu"] | ["menu", "--plain"] => Command::Menu,
        ["status"] => Command::Status { json },
        ["machines"] => Command::Machines { json },
        ["release"] => Command::Release { json },
        ["reserve"] => Command::Reserve { target: Target::Any, json },
        ["reserve", "--wait"] => Command::Queue { queue: QueueCommand::Wait(Some(Target::Any)), json },
        ["reserve", target] => Command::Reserve { target: self::target(target)?, json },
        ["reserve", target, "--wait"] | ["reserve", "--wait", target] => {
            Command::Queue { queue: QueueCommand::Wait(Some(self::target(target)?)), json }
        }
        ["queue", words @ ..] => Command::Queue { queue: queue(words)?, json },
        ["ssh-config"] => Command::SshConfig { json },
        ["key", words @ ..] => Command::Key { key: key(words)?, json },
        ["password"] => Command::Password { json },
        ["password", "--account"] => Command::AccountPassword,
        ["totp"] => Command::Totp(TotpCommand::Begin),
        ["totp", "off", code] => Command::Totp(TotpCommand::Off((*code).to_owned())),
        ["totp", code] => Command::Totp(TotpCommand::Confirm((*code).to_owned())),
        ["charter"] => Command::Charter,
        ["accept"] => Command::Accept,
        ["admin", words @ ..] => Command::Admin { admin: admin_words::parse(words)?, json },
        [known, .., last] if is_command(known) => return Err(odd(last)),
        [other, ..] => return Err(UsageError::Unknown((*other).to_owned())),
    };
    Ok(command)
}

fn is_command(word: &str) -> bool {
    let commands = [
        "help",
        "menu",
        "status",
        "machines",
        "release",
        "reserve",
        "password",
        "totp",
        "charter",
        "accept",
        "ssh-config",
    ];
    commands.contains(&word)
}

fn queue(words: &[&str]) -> Result<QueueCommand, UsageError> {
    match words {
        [] | ["show"] => Ok(QueueCommand::Show),
        ["join"] => Ok(QueueCommand::Join(Target::Any)),
        ["join", target] => Ok(QueueCommand::Join(self::target(target)?)),
        ["wait"] => Ok(QueueCommand::Wait(None)),
        ["wait", target] => Ok(QueueCommand::Wait(Some(self::target(target)?))),
        ["leave"] => Ok(QueueCommand::Leave),
        [.., last] => Err(odd(last)),
    }
}

fn target(word: &str) -> Result<Target, UsageError> {
    word.parse().map_err(|_| odd(word))
}

fn key(words: &[&str]) -> Result<KeyCommand, UsageError> {
    match words {
        ["add"] => Ok(KeyCommand::Add(None)),
        ["add", key @ ..] => Ok(KeyCommand::Add(Some(key.join(" ")))),
        [] | ["list"] => Ok(KeyCommand::List),
        ["remove", word @ ..] if !word.is_empty() => Ok(KeyCommand::Remove(word.join(" "))),
        [.., last] => Err(odd(last)),
    }
}

pub(super) fn odd(word: &str) -> UsageError {
    UsageError::Odd(word.to_owned())
}

/// What a command reads from its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    /// Nothing.
    Nothing,
    /// A text: all of standard input, or one line that is typed.
    Key,
    /// The old password and the new one, typed unseen or a line each.
    Passwords,
    /// A line, if there is one.
    Line,
}

impl Command {
    /// What it reads.
    #[must_use]
    pub fn wants(&self) -> Wants {
        match self {
            Self::Key { key: KeyCommand::Add(None), .. } => Wants::Key,
            Self::AccountPassword => Wants::Passwords,
            Self::Admin { admin, .. } if admin.wants_password() => Wants::Line,
            _ => Wants::Nothing,
        }
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
        let queue = |line| match parse(&words(line)) {
            Ok(Command::Queue { queue, .. }) => queue,
            other => panic!("{other:?}"),
        };
        let gpu1: Target = "gpu1".parse().unwrap();
        assert_eq!(queue("clusteria queue"), QueueCommand::Show);
        assert_eq!(queue("clusteria queue join"), QueueCommand::Join(Target::Any));
        assert_eq!(queue("clusteria queue join gpu1 --json"), QueueCommand::Join(gpu1.clone()));
        assert_eq!(queue("clusteria queue wait"), QueueCommand::Wait(None));
        assert_eq!(queue("clusteria reserve gpu1 --wait"), QueueCommand::Wait(Some(gpu1)));
        assert_eq!(queue("clusteria queue leave"), QueueCommand::Leave);
        assert_eq!(parse(&words("clusteria queue jump")), Err(UsageError::Odd("jump".into())));
        assert_eq!(parse(&words("clusteria ssh-config")), Ok(Command::SshConfig { json: false }));
        let key = |line| parse(&words(line)).map(|command| (command.wants(), command));
        let command = Command::Key { key: KeyCommand::Add(None), json: false };
        assert_eq!(key("clusteria key add"), Ok((Wants::Key, command)));
        let given = KeyCommand::Add(Some("ssh-ed25519 AAAA me".into()));
        assert_eq!(
            key("clusteria key add 'ssh-ed25519 AAAA me' --json"),
            Ok((Wants::Nothing, Command::Key { key: given, json: true }))
        );
        assert_eq!(parse(&words("clusteria key remove")), Err(UsageError::Odd("remove".into())));
        assert_eq!(
            parse(&words("clusteria totp off 123456")),
            Ok(Command::Totp(TotpCommand::Off("123456".into())))
        );
        assert_eq!(key("clusteria password --account"), Ok((Wants::Passwords, Command::AccountPassword)));
        assert_eq!(parse(&words("clusteria dance")), Err(UsageError::Unknown("dance".into())));
    }
}
