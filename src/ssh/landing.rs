//! Where a channel's first request lands (design, section 5). Pure.

use crate::reservation::{MachineName, Target};

/// The SSH user name, `user` or `user+target`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The name before the `+`: not checked yet, the ledger decides.
    pub user: String,
    /// What is asked for, or the words that make no target.
    pub target: Result<Target, String>,
}

/// Longer words are no target, and only these are told.
const WORD_CHARS: usize = 64;

impl Login {
    /// Reads it; a listener bound to a machine means that machine where no target is named.
    #[must_use]
    pub fn read(name: &str, listener: Option<&MachineName>) -> Self {
        let (user, target) = match name.split_once('+') {
            Some((user, target)) => {
                (user, target.parse().map_err(|_| target.chars().take(WORD_CHARS).collect()))
            }
            None => (name, Ok(listener.cloned().map_or(Target::Any, Target::Machine))),
        };
        Self { user: user.to_owned(), target }
    }
}

/// What a channel asks for first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// A shell on a terminal.
    TerminalShell,
    /// `clusteria menu` on a terminal.
    Menu,
    /// `clusteria …`
    Door,
    /// Anything else: exec, subsystem, a shell without a terminal, a forward.
    Other,
}

/// Where it lands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landing {
    /// In the user's container.
    Container,
    /// In the menu, then in the container that was chosen.
    Menu,
    /// In the gateway, which runs the command.
    Door,
    /// In a container that is reserved for it at once, if that is allowed.
    Reserve,
    /// Nowhere: a menu is open on this connection and the choice is its.
    BehindMenu,
}

/// Decides.
#[must_use]
pub fn land(first: First, has_reservation: bool, menu_is_open: bool) -> Landing {
    match (first, has_reservation) {
        (First::Door, _) => Landing::Door,
        (First::Menu, _) => Landing::Menu,
        (First::TerminalShell | First::Other, true) => Landing::Container,
        (First::TerminalShell, false) => Landing::Menu,
        (First::Other, false) if menu_is_open => Landing::BehindMenu,
        (First::Other, false) => Landing::Reserve,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_section_5() {
        for menu in [true, false] {
            assert_eq!(land(First::TerminalShell, true, menu), Landing::Container);
            assert_eq!(land(First::TerminalShell, false, menu), Landing::Menu);
            assert_eq!(land(First::Door, true, menu), Landing::Door);
            assert_eq!(land(First::Door, false, menu), Landing::Door);
            assert_eq!(land(First::Other, true, menu), Landing::Container);
        }
        assert_eq!(land(First::Other, false, false), Landing::Reserve);
        assert_eq!(land(First::Other, false, true), Landing::BehindMenu, "never queued behind a menu");
        assert_eq!(land(First::Menu, true, false), Landing::Menu);
    }

    #[test]
    fn user_names_carry_targets() {
        let read = |name| Login::read(name, None);
        assert_eq!(read("ada"), Login { user: "ada".into(), target: Ok(Target::Any) });
        assert_eq!(read("ada+gpu1").target, Ok("gpu1".parse().unwrap()));
        assert_eq!(read("ada+gpu1/2").target, Ok("gpu1/2".parse().unwrap()));
        assert_eq!(read("ada+").target, Err(String::new()));
        assert_eq!(read("ada+GPU 1").target, Err("GPU 1".into()));
        assert_eq!(read(&format!("ada+{}", "\u{1b}".repeat(1 << 18))).target, Err("\u{1b}".repeat(64)));
        let gpu1: MachineName = "gpu1".parse().unwrap();
        assert_eq!(Login::read("ada", Some(&gpu1)).target, Ok(Target::Machine(gpu1.clone())));
        assert_eq!(Login::read("ada+gpu2", Some(&gpu1)).target, Ok("gpu2".parse().unwrap()));
    }
}
