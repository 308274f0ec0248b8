//! What we offer on the wire, and the sizes behind it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PrivateKey};
use russh::server::Config as RusshConfig;
use russh::{Limits, MethodKind, MethodSet, Preferred, SshId, cipher, compression, kex, mac};

use crate::config::{Auth, AuthMethod, Ssh};

/// Bytes a client may send on a channel before they are consumed. With 20 ms of round trip this
/// carries 100 MB/s; it is also what one stalled channel can make us hold.
pub(super) const WINDOW: u32 = 2 * 1024 * 1024;
/// What all channels of one connection together can make us hold: 64 of them stalled, each with a full
/// window. A client that goes on beyond that is cut off.
const MAX_UNCONSUMED: u64 = 64 * WINDOW as u64;
const PACKET: u32 = 32 * 1024;
/// Messages between channel tasks and the connection: what an echo waits behind beside a bulk transfer.
const EVENTS: usize = 8;
const MAX_AUTH_ATTEMPTS: usize = 20;
/// Keepalives that may go unanswered.
pub(super) const KEEPALIVES: usize = 3;

/// Some clients look for `OpenSSH_` or two digits in a row before they ask for Unix-socket
/// forwarding (npm ssh2's strictVendor): the version of the library has them, honestly.
const SERVER_ID: &str = concat!("SSH-2.0-clusteria_", env!("CARGO_PKG_VERSION"), "_russh_0.65.1");

pub(super) fn russh_config(ssh: &Ssh, auth: &Auth, keys: Vec<PrivateKey>) -> Arc<RusshConfig> {
    Arc::new(RusshConfig {
        server_id: SshId::Standard(Cow::Borrowed(SERVER_ID)),
        methods: methods(auth),
        // Refusals take their time in `auth`, where a key that is merely offered costs none.
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys,
        limits: Limits::default(),
        window_size: WINDOW,
        maximum_packet_size: PACKET,
        event_buffer_size: EVENTS,
        channel_buffer_size: 1,
        preferred: preferred(),
        max_auth_attempts: MAX_AUTH_ATTEMPTS,
        inactivity_timeout: None,
        keepalive_interval: Some(ssh.keepalive),
        keepalive_max: KEEPALIVES,
        nodelay: true,
        manual_window: true,
        max_unconsumed: MAX_UNCONSUMED,
        more_signature_algorithms: vec![Algorithm::SkEd25519, Algorithm::SkEcdsaSha2NistP256],
        ..RusshConfig::default()
    })
}

fn methods(auth: &Auth) -> MethodSet {
    let mut kinds = Vec::new();
    for method in &auth.methods {
        match method {
            AuthMethod::PublicKey => kinds.push(MethodKind::PublicKey),
            AuthMethod::Password => kinds.extend([MethodKind::Password, MethodKind::KeyboardInteractive]),
        }
    }
    MethodSet::from(kinds.as_slice())
}

fn preferred() -> Preferred {
    Preferred {
        kex: Cow::Borrowed(&[
            kex::MLKEM768X25519_SHA256,
            kex::CURVE25519,
            kex::CURVE25519_PRE_RFC_8731,
            kex::ECDH_SHA2_NISTP256,
            kex::ECDH_SHA2_NISTP384,
            kex::ECDH_SHA2_NISTP521,
            kex::DH_G16_SHA512,
            kex::EXTENSION_SUPPORT_AS_SERVER,
            kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
        ]),
        key: Cow::Borrowed(&[
            Algorithm::Ed25519,
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
            Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
            Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
        ]),
        cipher: Cow::Borrowed(&[
            cipher::AES_128_GCM,
            cipher::AES_256_GCM,
            cipher::CHACHA20_POLY1305,
            cipher::AES_128_CTR,
            cipher::AES_256_CTR,
        ]),
        mac: Cow::Borrowed(&[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM, mac::HMAC_SHA256, mac::HMAC_SHA512]),
        // zlib in russh has lost its place in the stream before (bssh#215): none is offered.
        compression: Cow::Borrowed(&[compression::NONE]),
        ..Preferred::default()
    }
}
