//! `[auth]`: how people prove who they are.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::reservation::UserName;

/// `[auth]`
#[derive(Debug, Clone, PartialEq)]
pub struct Auth {
    /// The methods switched on; at least one.
    pub methods: Vec<AuthMethod>,
    /// Files with the keys that may sign users' certificates.
    pub user_ca: Vec<PathBuf>,
    /// `[auth.ldap]`: the university's directory.
    pub ldap: Option<Ldap>,
    /// `[auth.tailnet]`
    pub tailnet: Tailnet,
    /// `[auth.throttle]`
    pub throttle: Throttle,
    /// `[auth.totp]`
    pub totp: Totp,
}

/// A way to prove who one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthMethod {
    /// Keys in the ledger.
    PublicKey,
    /// Passwords, also asked by keyboard-interactive.
    Password,
    /// The tailnet's own identity of the peer.
    Tailnet,
}

/// `[auth.ldap]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ldap {
    /// `ldaps://` or, always with StartTLS, `ldap://`; tried in this order. At least one.
    pub urls: Vec<String>,
    /// Certificates that servers are checked against, where they are not the system's.
    pub ca: Option<PathBuf>,
    /// Limit of each step: connecting, binding, searching.
    pub timeout: Duration,
    /// How a name becomes an entry.
    pub entry: LdapEntry,
    /// The group (its DN) that opens the door; without it everybody in the directory may come in.
    pub group: Option<String>,
    /// The group (its DN) of administrators.
    pub admin_group: Option<String>,
    /// Whose members must have a second factor.
    pub totp_group: Option<String>,
    /// How long an entry that was found is believed without asking again.
    pub cache: Duration,
    /// The attribute with public keys; empty for none.
    pub key_attribute: String,
    /// The attribute with the user id; without it the ledger gives one.
    pub uid_attribute: Option<String>,
}

/// How a user's entry is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LdapEntry {
    /// Bind as the user at once; `{user}` stands for the name.
    BindAs {
        /// `uid={user},ou=people,dc=example,dc=org`
        dn: String,
    },
    /// Search first, then bind as what was found.
    Search {
        /// Below which DN.
        base: String,
        /// `(uid={user})`
        filter: String,
        /// Who searches, and the file with their password; nobody: anonymously.
        service: Option<(String, PathBuf)>,
    },
}

/// `[auth.tailnet]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tailnet {
    /// tailscaled's socket.
    pub socket: PathBuf,
    /// How long one question may take.
    pub timeout: Duration,
    /// `ada@DOMAIN` is ada, for these domains only.
    pub domains: Vec<String>,
    /// Logins, or nodes (their names), and who they are here.
    pub users: Vec<(String, UserName)>,
    /// May somebody come in whom neither ledger nor directory knows?
    pub new_users: bool,
}

/// `[auth.throttle]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttle {
    /// Wrong tries of one user from one address before a wait.
    pub free: u32,
    /// The first wait; each further wrong try doubles it.
    pub first_delay: Duration,
    /// The longest wait.
    pub max_delay: Duration,
    /// After so long without a try nothing is held against anybody.
    pub forget: Duration,
}

/// `[auth.totp]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totp {
    /// Who must have a second factor; others may.
    pub required: TotpRequired,
    /// After which methods the code is asked.
    pub after: Vec<AuthMethod>,
}

/// Who must have a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TotpRequired {
    /// Nobody: who has enrolled is asked.
    Nobody,
    /// Administrators.
    Admins,
    /// Everybody.
    Everybody,
}
