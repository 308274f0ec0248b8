//! What a credential allows its holder to do.

use serde::{Deserialize, Serialize};

/// Keys and an account's password allow everything; a certificate says what it allows, and what a reservation's password
/// opens is work, not the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// A terminal.
    pub pty: bool,
    /// Forwards of ports and sockets, in both directions.
    pub port_forwarding: bool,
    /// The client's ssh-agent, lent to the container.
    pub agent_forwarding: bool,
    /// The client's display, lent to the container.
    pub x11_forwarding: bool,
    /// Changes of what opens the account: keys, password, second factor. What ends by itself, as a certificate does,
    /// must not make something that lasts.
    pub enrolment: bool,
    /// What administrators do, if they are one.
    pub administration: bool,
    /// Run instead of whatever is asked for.
    pub force_command: Option<String>,
}

impl Permissions {
    /// Everything.
    pub const ALL: Self = Self {
        pty: true,
        port_forwarding: true,
        agent_forwarding: true,
        x11_forwarding: true,
        enrolment: true,
        administration: true,
        force_command: None,
    };

    /// What the password of a reservation opens: it is lent to editors and browsers, and no second factor is asked with it.
    pub const RESERVATION: Self = Self { enrolment: false, administration: false, ..Self::ALL };
}
