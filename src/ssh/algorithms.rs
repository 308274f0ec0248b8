//! What we offer on the wire, and the sizes behind it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PrivateKey};
use russh::server::Config as RusshConfig;
use russh::{Limits, MethodKind, MethodSet, Preferred, SshId, cipher, compression, kex, mac};

use crate::config::{Auth, AuthMethod, Ciphers, Ssh};

/// Bytes a client may send on a channel before they are consumed. With 20 ms of round trip this
/// carries 100 MB/s; it is also what one stalled channel can make us hold.
pub(super) const WINDOW: u32 = 2 * 1024 * 1024;
/// What all channels of one connection together can make us hold: 64 of them stalled, each with a full
/// window. A client that goes on beyond that is cut off.
const MAX_UNCONSUMED: u64 = 64 * WINDOW as u64;
const PACKET: u32 = 32 * 1024;
/// Messages between channel tasks and the connection: what an echo waits behind beside a bulk transfer.
const EVENTS: usize = 8;
const AES_GCM: &[cipher::Name] = &[cipher::AES_128_GCM, cipher::AES_256_GCM];
const MAX_AUTH_ATTEMPTS: usize = 20;
/// Keepalives that may go unanswered.
pub(super) const KEEPALIVES: usize = 3;

/// Clients choose a dialect by this name. SFTP's symlink has its two paths the other way round in OpenSSH's
/// sftp-server, which is what answers in containers: asyncssh, npm ssh2, libssh and WinSCP send them so only to
/// `OpenSSH`, first thing in the name. npm ssh2 with strictVendor forwards Unix sockets only then, too.
const SERVER_ID: &str = concat!("SSH-2.0-OpenSSH_9.9 clusteria_", env!("CARGO_PKG_VERSION"));

/// What clients are offered.
pub(super) struct Offer {
    pub(super) all: Arc<RusshConfig>,
    /// For OpenSSH's clients, where it is another.
    openssh: Option<Arc<RusshConfig>>,
}

impl Offer {
    pub(super) fn new(ssh: &Ssh, auth: &Auth, keys: &[PrivateKey]) -> Self {
        let all = russh_config(ssh, auth, keys.to_vec());
        let fast = || {
            let mut fast = russh_config(ssh, auth, keys.to_vec());
            fast.preferred.cipher = Cow::Borrowed(AES_GCM);
            Arc::new(fast)
        };
        Self { all: Arc::new(all), openssh: (ssh.ciphers == Ciphers::AesGcm).then(fast) }
    }

    /// What a client with this version line is offered, if it is not what all are.
    pub(super) fn for_client(&self, id: &[u8]) -> Option<Arc<RusshConfig>> {
        self.openssh.clone().filter(|_| has_aes_gcm(id))
    }
}

/// OpenSSH has it since 6.2. The client's own order counts (RFC 4253 section 7.1), and OpenSSH's has slower ones first.
fn has_aes_gcm(id: &[u8]) -> bool {
    let version = std::str::from_utf8(id).ok().and_then(|id| id.strip_prefix("SSH-2.0-OpenSSH_"));
    let version = version.map(|version| version.strip_prefix("for_Windows_").unwrap_or(version));
    let number = |text: &str| text.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok());
    version.and_then(|version| version.split_once('.')).is_some_and(|(major, minor)| {
        number(major).zip(number(minor)).is_some_and(|version: (u16, u16)| version >= (6, 2))
    })
}

fn russh_config(ssh: &Ssh, auth: &Auth, keys: Vec<PrivateKey>) -> RusshConfig {
    RusshConfig {
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
    }
}

fn methods(auth: &Auth) -> MethodSet {
    let mut kinds = Vec::new();
    for method in &auth.methods {
        match method {
            AuthMethod::PublicKey => kinds.push(MethodKind::PublicKey),
            AuthMethod::Password => kinds.extend([MethodKind::Password, MethodKind::KeyboardInteractive]),
            // Clients begin with `none` anyway; it is never named.
            AuthMethod::Tailnet => {}
        }
    }
    MethodSet::from(kinds.as_slice())
}

/// docs/ssh.md says for whom each weaker one is still here, and why others are not: finite-field groups cost us
/// far more than the client that asks for them (DHEat, CVE-2002-20001).
fn preferred() -> Preferred {
    Preferred {
        kex: Cow::Borrowed(&[
            kex::MLKEM768X25519_SHA256,
            kex::CURVE25519,
            kex::CURVE25519_PRE_RFC_8731,
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
        mac: Cow::Borrowed(&[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM, mac::HMAC_SHA256]),
        // zlib in russh has lost its place in the stream before (bssh#215): none is offered.
        compression: Cow::Borrowed(&[compression::NONE]),
        ..Preferred::default()
    }
}

#[cfg(test)]
mod tests {
    use super::has_aes_gcm;

    #[test]
    fn openssh_has_aes_gcm_since_6_2() {
        for id in ["OpenSSH_9.2p1 Debian-2+deb12u3", "OpenSSH_6.2", "OpenSSH_10.0", "OpenSSH_for_Windows_8.1"]
        {
            assert!(has_aes_gcm(format!("SSH-2.0-{id}").as_bytes()), "{id}");
        }
        for id in
            ["OpenSSH_6.1p1", "OpenSSH_5.9", "OpenSSH", "OpenSSH_", "paramiko_3.4.0", "PuTTY_Release_0.83"]
        {
            assert!(!has_aes_gcm(format!("SSH-2.0-{id}").as_bytes()), "{id}");
        }
        assert!(!has_aes_gcm(b"SSH-2.0-OpenSSH_9.\xff"));
    }
}
