//! A public key as people paste it: one line of `authorized_keys` or of a `.pub` file.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};

use crate::store::KeyRecord;
use crate::text::printable;

/// Kinds that can be enrolled.
const KINDS: [&str; 7] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];
/// The only option of `authorized_keys` that is taken: a FIDO key must verify its user (a PIN, a finger).
const VERIFY_REQUIRED: &str = "verify-required ";
/// RSA below this is refused (RFC 8332 and NIST SP 800-131A), in bits.
const RSA_MIN_BITS: usize = 2048;
const COMMENT_LIMIT: usize = 128;

/// Why a line is no key that can be enrolled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a key at all.
    #[error("this is not a public key: paste one line of a .pub file, like `ssh-ed25519 AAAA… comment`")]
    NotAKey,
    /// A private key was pasted.
    #[error("this is a PRIVATE key: it must stay on your machine. Give the .pub file beside it")]
    Private,
    /// A kind that is not taken.
    #[error("keys of type {0} are not accepted: make one with `ssh-keygen -t ed25519`")]
    Kind(String),
    /// Too short an RSA key.
    #[error(
        "this RSA key has {0} bits, at least {RSA_MIN_BITS} are needed: `ssh-keygen -t ed25519` makes a good key"
    )]
    TooShort(usize),
}

/// Reads a line.
///
/// # Errors
/// [`KeyError`]
pub fn parse(line: &str) -> Result<KeyRecord, KeyError> {
    let line = line.trim();
    if line.contains("PRIVATE KEY") {
        return Err(KeyError::Private);
    }
    let (option, line) = match line.strip_prefix(VERIFY_REQUIRED) {
        Some(rest) => (VERIFY_REQUIRED, rest.trim_start()),
        None => ("", line),
    };
    let mut words = line.splitn(3, char::is_whitespace);
    let (Some(kind), Some(blob)) = (words.next(), words.next()) else {
        return Err(KeyError::NotAKey);
    };
    let comment = words.next().unwrap_or_default().trim();
    let bytes = STANDARD.decode(blob).map_err(|_| KeyError::NotAKey)?;
    let (inner, rest) = field(&bytes).ok_or(KeyError::NotAKey)?;
    if inner != kind.as_bytes() {
        return Err(KeyError::NotAKey);
    }
    if !KINDS.contains(&kind) {
        return Err(KeyError::Kind(printable(&kind.chars().take(40).collect::<String>())));
    }
    if kind == "ssh-rsa" {
        check_rsa(rest)?;
    }
    Ok(KeyRecord {
        fingerprint: fingerprint(&bytes),
        line: format!("{option}{kind} {blob}"),
        comment: printable(&comment.chars().take(COMMENT_LIMIT).collect::<String>()),
        last_used: None,
    })
}

/// Must whoever signs with this enrolled key prove to it who they are?
#[must_use]
pub fn demands_verification(line: &str) -> bool {
    line.starts_with(VERIFY_REQUIRED)
}

/// `SHA256:…` of a key's wire form (RFC 4253 section 6.6), as `ssh-keygen -l` prints it.
#[must_use]
pub fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob)))
}

/// The first length-prefixed field and what follows it (RFC 4251 section 5, `string`).
fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

fn check_rsa(fields: &[u8]) -> Result<(), KeyError> {
    let (_exponent, rest) = field(fields).ok_or(KeyError::NotAKey)?;
    let (modulus, _) = field(rest).ok_or(KeyError::NotAKey)?;
    let significant = modulus.iter().skip_while(|byte| **byte == 0);
    let bits = significant.count() * 8;
    if bits < RSA_MIN_BITS { Err(KeyError::TooShort(bits)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJZ6lK8kKeqUu0TPTPzPpt8jzCYtbyzVHdSFQ5aK4oDF";

    #[test]
    fn a_pasted_key_is_read() {
        let key = parse(&format!("{ED25519} ada's \x1b[31mlaptop\n")).unwrap();
        assert_eq!(key.line, ED25519);
        assert_eq!(key.comment, "ada's \u{fffd}[31mlaptop");
        assert!(key.fingerprint.starts_with("SHA256:"));
        assert_eq!(key.fingerprint.len(), 50);
    }

    #[test]
    fn what_is_no_key_is_told_apart() {
        let not = |line: &str| parse(line).unwrap_err();
        assert_eq!(not(""), KeyError::NotAKey);
        assert_eq!(not("ssh-ed25519"), KeyError::NotAKey);
        assert_eq!(not("ssh-ed25519 !!!"), KeyError::NotAKey);
        assert_eq!(not(&ED25519.replace("ssh-ed25519", "ssh-rsa")), KeyError::NotAKey);
        assert_eq!(not("-----BEGIN OPENSSH PRIVATE KEY-----"), KeyError::Private);
        assert_eq!(not("ssh-dss AAAAB3NzaC1kc3M="), KeyError::Kind("ssh-dss".into()));
    }

    #[test]
    fn a_security_key_may_have_to_verify_its_user() {
        let kind = "sk-ssh-ed25519@openssh.com";
        let mut blob = Vec::new();
        for field in [kind.as_bytes(), &[7; 32], b"ssh:"] {
            blob.extend(u32::try_from(field.len()).unwrap().to_be_bytes());
            blob.extend(field);
        }
        let line = format!("{kind} {}", STANDARD.encode(blob));
        let key = parse(&format!("{line} yubi")).unwrap();
        assert!(key.line == line && key.comment == "yubi" && !demands_verification(&key.line));
        let strict = parse(&format!("verify-required {line} yubi")).unwrap();
        assert!(strict.fingerprint == key.fingerprint && demands_verification(&strict.line));
        assert_eq!(parse(&format!("no-touch-required {line}")).unwrap_err(), KeyError::NotAKey);
    }
}
