//! FIDO security keys: what the authenticator checked before it signed (OpenSSH's PROTOCOL.u2f).

/// Somebody touched it.
const USER_PRESENT: u8 = 0x01;
/// Somebody proved to it who they are: a PIN, a finger.
const USER_VERIFIED: u8 = 0x04;
/// Flags (1) and counter (4) follow the signature proper.
const TRAILER: usize = 5;

/// Is this kind of key kept in a security key?
#[must_use]
pub fn is_fido(kind: &str) -> bool {
    kind.starts_with("sk-")
}

/// Did the authenticator check what we demand? A touch always; who it was, where the enrolled key says so.
/// `signature` is a FIDO signature with its trailer, and has been verified.
#[must_use]
pub fn is_enough(signature: &[u8], verify_required: bool) -> bool {
    let flags = signature.len().checked_sub(TRAILER).and_then(|at| signature.get(at));
    let demanded = if verify_required { USER_PRESENT | USER_VERIFIED } else { USER_PRESENT };
    flags.is_some_and(|flags| flags & demanded == demanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_touch_is_always_demanded_and_verification_where_wanted() {
        for (flags, touched, verified) in [
            (0x00, false, false),
            (0x01, true, false),
            (0x04, false, false),
            (0x05, true, true),
            (0xff, true, true),
        ] {
            let signature = [vec![7; 64], vec![flags, 0, 0, 0, 9]].concat();
            assert_eq!(is_enough(&signature, false), touched, "{flags:#x}");
            assert_eq!(is_enough(&signature, true), verified, "{flags:#x}");
        }
        assert!(!is_enough(&[1; 4], false) && !is_enough(&[], false));
        assert!(is_fido("sk-ssh-ed25519@openssh.com") && !is_fido("ssh-ed25519"));
    }
}
