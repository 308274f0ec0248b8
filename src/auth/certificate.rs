//! OpenSSH user certificates (PROTOCOL.certkeys): who signed it, for whom, from when to when, from where, for what.
//!
//! Pure but for [`Authorities::load`]. Both signatures, the authority's and the holder's, have been verified by
//! whoever shows us a [`Shown`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::authorized_key::{self, KeyError};
use super::fido;
use super::permissions::Permissions;

/// What a certificate says.
#[derive(Debug, Clone)]
pub struct Shown<'a> {
    /// A user's, not a host's.
    pub is_user: bool,
    /// The fingerprint of the key that signed it.
    pub authority: &'a str,
    /// Signed with a hash that still means something (not RSA with SHA-1).
    pub is_well_signed: bool,
    /// The names it is for.
    pub principals: &'a [String],
    /// Seconds since 1970: valid from the first, before the second.
    pub valid: (u64, u64),
    /// Options that refuse where they are not understood.
    pub critical: &'a BTreeMap<String, String>,
    /// Options that are ignored where they are not understood.
    pub extensions: &'a BTreeMap<String, String>,
    /// The holder's signature, where their key is a FIDO key and they have signed already.
    pub fido_signature: Option<&'a [u8]>,
}

/// Why a certificate does not open the door. For the log: the client learns nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The authority is none of ours.
    #[error("signed by an authority that is not in [auth] user_ca")]
    Authority,
    /// A weak signature of the authority.
    #[error("signed with SHA-1")]
    Weak,
    /// A host's certificate.
    #[error("a host's certificate, not a user's")]
    Host,
    /// Not yet, or no more.
    #[error("outside of its time")]
    Time,
    /// Somebody else's, or nobody's.
    #[error("the user is not among its principals")]
    Principal,
    /// Another place.
    #[error("not from this address")]
    Source,
    /// An option that must be understood and is not.
    #[error("critical option {0} is not known")]
    Critical(String),
    /// No touch, or no PIN where one is demanded.
    #[error("the security key was not touched, or did not verify its user")]
    Untouched,
}

/// Decides: may `user` come in from `source` at `now` (seconds since 1970), and what may they do?
///
/// # Errors
/// [`Unfit`]
pub fn decide(
    shown: &Shown<'_>,
    authorities: &Authorities,
    user: &str,
    source: IpAddr,
    now: u64,
) -> Result<Permissions, Unfit> {
    if !authorities.0.contains(shown.authority) {
        return Err(Unfit::Authority);
    }
    if !shown.is_well_signed {
        return Err(Unfit::Weak);
    }
    if !shown.is_user {
        return Err(Unfit::Host);
    }
    if now < shown.valid.0 || shown.valid.1 <= now {
        return Err(Unfit::Time);
    }
    // A certificate for nobody in particular is one for everybody: refused, as sshd's TrustedUserCAKeys does.
    if !shown.principals.iter().any(|principal| principal == user) {
        return Err(Unfit::Principal);
    }
    let mut permissions = extensions(shown.extensions);
    let mut verify_required = false;
    for (name, value) in shown.critical {
        match name.as_str() {
            "force-command" => permissions.force_command = Some(value.clone()),
            "source-address" if is_from(value, source) => {}
            "source-address" => return Err(Unfit::Source),
            "verify-required" => verify_required = true,
            _ => return Err(Unfit::Critical(name.clone())),
        }
    }
    if shown.fido_signature.is_some_and(|signature| !fido::is_enough(signature, verify_required)) {
        return Err(Unfit::Untouched);
    }
    Ok(permissions)
}

/// What is not there is not allowed.
fn extensions(names: &BTreeMap<String, String>) -> Permissions {
    let has = |name: &str| names.contains_key(name);
    Permissions {
        pty: has("permit-pty"),
        port_forwarding: has("permit-port-forwarding"),
        agent_forwarding: has("permit-agent-forwarding"),
        x11_forwarding: has("permit-X11-forwarding"),
        enrolment: false,
        administration: true,
        force_command: None,
    }
}

/// Is the address in the list, `192.0.2.0/24,2001:db8::1`? A list with a mistake in it matches nothing.
fn is_from(list: &str, source: IpAddr) -> bool {
    let source = source.to_canonical();
    let networks: Option<Vec<bool>> = list.split(',').map(|network| holds(network, source)).collect();
    networks.is_some_and(|networks| networks.contains(&true))
}

/// `None`: not a network, or one whose host part is not zero, which sshd refuses too.
fn holds(network: &str, source: IpAddr) -> Option<bool> {
    let (address, length) = match network.split_once('/') {
        Some((address, length)) => (address, Some(length.parse::<u32>().ok()?)),
        None => (network, None),
    };
    let (address, full) = bits(address.parse().ok()?);
    let (own, own_full) = bits(source);
    let host_bits = full.checked_sub(length.unwrap_or(full))?;
    let prefix = |bits: u128| bits.checked_shr(host_bits).unwrap_or(0);
    if prefix(address).checked_shl(host_bits).unwrap_or(0) != address {
        return None;
    }
    Some(full == own_full && prefix(address) == prefix(own))
}

fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

/// The keys that may sign certificates, by fingerprint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authorities(BTreeSet<String>);

/// Why an authority's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// It cannot be read.
    #[error("[auth] user_ca {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line of it is no key.
    #[error("[auth] user_ca {}: {source}", path.display())]
    Key {
        /// Which.
        path: PathBuf,
        /// Why.
        source: KeyError,
    },
    /// There is no key in it.
    #[error("[auth] user_ca {}: no key in it", .0.display())]
    Empty(PathBuf),
}

impl Authorities {
    /// Reads the files: one public key a line, `#` for comments.
    ///
    /// # Errors
    /// [`AuthorityError`]
    pub fn load(files: &[PathBuf]) -> Result<Self, AuthorityError> {
        let mut all = BTreeSet::new();
        for path in files {
            let keys = read(path)?;
            if keys.is_empty() {
                return Err(AuthorityError::Empty(path.clone()));
            }
            all.extend(keys);
        }
        Ok(Self(all))
    }

    /// Is there any?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn read(path: &Path) -> Result<Vec<String>, AuthorityError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| AuthorityError::File { path: path.to_owned(), source })?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let fingerprint = |line| match authorized_key::parse(line) {
        // What an authority's security key checked is not shown to us.
        Ok(key) if key.line.split(' ').any(fido::is_fido) => Err(KeyError::Kind(key.line)),
        Ok(key) => Ok(key.fingerprint),
        Err(error) => Err(error),
    };
    lines
        .map(fingerprint)
        .collect::<Result<_, _>>()
        .map_err(|source| AuthorityError::Key { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    struct Case {
        principals: Vec<String>,
        critical: BTreeMap<String, String>,
        extensions: BTreeMap<String, String>,
    }

    impl Case {
        fn new(critical: &[(&str, &str)], extensions: &[(&str, &str)]) -> Self {
            Self {
                principals: vec!["ada".into()],
                critical: options(critical),
                extensions: options(extensions),
            }
        }

        fn shown(&self) -> Shown<'_> {
            Shown {
                is_user: true,
                authority: "SHA256:ca",
                is_well_signed: true,
                principals: &self.principals,
                valid: (NOW, NOW + 1),
                critical: &self.critical,
                extensions: &self.extensions,
                fido_signature: None,
            }
        }
    }

    fn decided(shown: &Shown<'_>) -> Result<Permissions, Unfit> {
        let authorities = Authorities(["SHA256:ca".to_owned()].into());
        decide(shown, &authorities, "ada", "192.0.2.7".parse().unwrap(), NOW)
    }

    #[test]
    fn each_thing_that_is_wrong_refuses() {
        let case = Case::new(&[], &[]);
        let right = case.shown();
        assert!(decided(&right).is_ok());
        let wrong = |wrong: Shown<'_>| decided(&wrong).unwrap_err();
        assert_eq!(wrong(Shown { authority: "SHA256:other", ..right.clone() }), Unfit::Authority);
        assert_eq!(wrong(Shown { is_well_signed: false, ..right.clone() }), Unfit::Weak);
        assert_eq!(wrong(Shown { is_user: false, ..right.clone() }), Unfit::Host);
        assert_eq!(wrong(Shown { valid: (NOW + 1, NOW + 2), ..right.clone() }), Unfit::Time);
        assert_eq!(wrong(Shown { valid: (0, NOW), ..right.clone() }), Unfit::Time);
        for principals in [vec![], vec![String::new()], vec!["bob".into()], vec!["ada ".into(), "Ada".into()]]
        {
            assert_eq!(wrong(Shown { principals: &principals, ..right.clone() }), Unfit::Principal);
        }
        assert_eq!(
            decide(&right, &Authorities::default(), "ada", "192.0.2.7".parse().unwrap(), NOW),
            Err(Unfit::Authority)
        );
    }

    #[test]
    fn extensions_allow_and_critical_options_restrict() {
        let nothing = decided(&Case::new(&[], &[("no-such-extension", "")]).shown()).unwrap();
        assert_eq!(
            nothing,
            Permissions {
                pty: false,
                port_forwarding: false,
                agent_forwarding: false,
                x11_forwarding: false,
                enrolment: false,
                administration: true,
                force_command: None
            }
        );
        let all = [
            ("permit-X11-forwarding", ""),
            ("permit-agent-forwarding", ""),
            ("permit-port-forwarding", ""),
            ("permit-pty", ""),
            ("permit-user-rc", ""),
        ];
        let most = Permissions { enrolment: false, ..Permissions::ALL };
        assert_eq!(decided(&Case::new(&[], &all).shown()), Ok(most));
        let forced = decided(&Case::new(&[("force-command", "uptime")], &all).shown()).unwrap();
        assert_eq!(forced.force_command.as_deref(), Some("uptime"));
        let unknown = Case::new(&[("force-command", "uptime"), ("new-thing", "")], &all);
        assert_eq!(decided(&unknown.shown()), Err(Unfit::Critical("new-thing".into())));
    }

    #[test]
    fn the_source_address_is_matched_as_sshd_does() {
        for (list, matches) in [
            ("192.0.2.7", true),
            ("192.0.2.0/24", true),
            ("10.0.0.0/8,192.0.2.4/30", true),
            ("0.0.0.0/0", true),
            ("192.0.2.8", false),
            ("192.0.3.0/24", false),
            ("2001:db8::/32", false),
            ("::/0", false),
            ("192.0.2.7/24", false),
            ("192.0.2.7/33", false),
            ("192.0.2.7,nonsense", false),
            ("", false),
            ("192.0.2.7,", false),
        ] {
            let case = Case::new(&[("source-address", list)], &[]);
            assert_eq!(decided(&case.shown()).is_ok(), matches, "{list}");
        }
        let mapped: IpAddr = "::ffff:192.0.2.7".parse().unwrap();
        assert!(is_from("192.0.2.0/24", mapped));
        assert!(is_from("2001:db8::/32", "2001:db8::1".parse().unwrap()));
    }

    #[test]
    fn a_security_key_must_have_been_touched() {
        let signature = |flags: u8| [vec![0; 64], vec![flags, 0, 0, 0, 1]].concat();
        let plain = Case::new(&[], &[]);
        let strict = Case::new(&[("verify-required", "")], &[]);
        for (case, flags, fits) in
            [(&plain, 0, false), (&plain, 1, true), (&strict, 1, false), (&strict, 5, true)]
        {
            let signature = signature(flags);
            let shown = Shown { fido_signature: Some(&signature), ..case.shown() };
            assert_eq!(decided(&shown).is_ok(), fits, "{flags}");
        }
    }

    #[test]
    fn authorities_are_read_line_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pub");
        let load = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Authorities::load(std::slice::from_ref(&path))
        };
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJZ6lK8kKeqUu0TPTPzPpt8jzCYtbyzVHdSFQ5aK4oDF";
        assert_eq!(load(&format!("# ours\n\n{key} ca\n")).unwrap().0.len(), 1);
        assert!(matches!(load("# none\n"), Err(AuthorityError::Empty(_))));
        assert!(matches!(load("nonsense\n"), Err(AuthorityError::Key { .. })));
        let missing = Authorities::load(&[folder.path().join("missing")]);
        assert!(matches!(missing, Err(AuthorityError::File { .. })));
        assert!(Authorities::load(&[]).unwrap().is_empty());
    }
}
