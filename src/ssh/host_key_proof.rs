//! All our host keys, announced and proven (OpenSSH's PROTOCOL section 2.5), so that clients learn the ones
//! that they have not seen yet and a key can be replaced without frightening anybody.

use russh::keys::signature::Signer;
use russh::keys::ssh_encoding::Encode;
use russh::keys::ssh_key::Signature;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{Algorithm, HashAlg, PrivateKey};

use crate::wire::Fields;

/// The announcement, which wants no answer.
pub(super) const ANNOUNCE: &str = "hostkeys-00@openssh.com";
/// The question whether we hold them, and what its answers are signed over.
pub(super) const PROVE: &str = "hostkeys-prove-00@openssh.com";

/// What [`ANNOUNCE`] carries: every public key.
pub(super) fn announcement(keys: &[PrivateKey]) -> Vec<u8> {
    let mut payload = Vec::new();
    for blob in keys.iter().filter_map(|key| key.public_key().to_bytes().ok()) {
        put(&mut payload, &blob);
    }
    payload
}

/// The answer to [`PROVE`]: a signature for each key that is asked for, all of them ours and none asked for
/// twice; otherwise nothing. `negotiated` is what the key exchange was signed with. Slow: it signs.
pub(super) fn prove(
    keys: &[PrivateKey],
    session_id: &[u8],
    negotiated: &Algorithm,
    asked: &[u8],
) -> Option<Vec<u8>> {
    let mut left: Vec<(&PrivateKey, Vec<u8>)> =
        keys.iter().filter_map(|key| Some((key, key.public_key().to_bytes().ok()?))).collect();
    let mut asked = Fields::new(asked);
    let mut answer = Vec::new();
    while !asked.is_over() {
        let wanted = asked.bytes()?;
        let place = left.iter().position(|(_, blob)| blob == wanted)?;
        let (key, blob) = left.swap_remove(place);
        let mut message = Vec::new();
        for part in [PROVE.as_bytes(), session_id, &blob] {
            put(&mut message, part);
        }
        put(&mut answer, &sign(key, negotiated, &message)?);
    }
    (!answer.is_empty()).then_some(answer)
}

/// An RSA key signs as in the key exchange, where that was RSA; never with SHA-1.
fn sign(key: &PrivateKey, negotiated: &Algorithm, message: &[u8]) -> Option<Vec<u8>> {
    let signature: Signature = match (key.key_data(), negotiated) {
        (KeypairData::Rsa(rsa), Algorithm::Rsa { hash: Some(hash) }) => {
            (rsa, Some(*hash)).try_sign(message).ok()?
        }
        (KeypairData::Rsa(rsa), _) => (rsa, Some(HashAlg::Sha512)).try_sign(message).ok()?,
        _ => key.try_sign(message).ok()?,
    };
    let mut bytes = Vec::new();
    signature.encode(&mut bytes).ok()?;
    Some(bytes)
}

/// A `string` of RFC 4251 section 5; what is longer than its length can say is never ours.
fn put(to: &mut Vec<u8>, field: &[u8]) {
    to.extend(u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
    to.extend_from_slice(field);
}

#[cfg(test)]
mod tests {
    use super::*;
    use russh::keys::signature::Verifier;
    use russh::keys::ssh_encoding::Decode;

    fn keys() -> Vec<PrivateKey> {
        let folder = tempfile::tempdir().unwrap();
        crate::ssh::host_keys::generate(folder.path()).unwrap();
        crate::ssh::host_keys::load_for_server(folder.path()).unwrap()
    }

    #[test]
    fn every_key_of_ours_is_proven_and_no_other() {
        let (ours, theirs) = (keys(), keys());
        let all = announcement(&ours);
        let negotiated = Algorithm::Rsa { hash: Some(HashAlg::Sha256) };
        let answer = prove(&ours, b"session", &negotiated, &all).unwrap();
        let mut answers = Fields::new(&answer);
        for key in &ours {
            let mut message = Vec::new();
            for part in [PROVE.as_bytes(), b"session", &key.public_key().to_bytes().unwrap()] {
                put(&mut message, part);
            }
            let signature = Signature::decode(&mut answers.bytes().unwrap()).unwrap();
            key.public_key().key_data().verify(&message, &signature).unwrap();
            if key.algorithm().is_rsa() {
                assert_eq!(signature.algorithm(), negotiated);
            }
        }
        assert!(answers.is_over());
        let mut with_theirs = all.clone();
        with_theirs.extend(announcement(&theirs));
        for refused in [with_theirs, all.repeat(2), Vec::new(), all[..all.len() - 1].to_vec(), vec![0xff; 9]]
        {
            assert_eq!(prove(&ours, b"session", &negotiated, &refused), None);
        }
    }
}
