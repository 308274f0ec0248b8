//! Who is at the other end of transport `tls`: TLS 1.3 with raw public keys (RFC 7250), each side knowing the other's.
//!
//! The keys are made for one reservation, so there is nothing to certify: the key that was expected is there, or nobody is.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::AlwaysResolvesClientRawPublicKeys;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    ServerConfig, SignatureScheme,
};
use socket2::{SockRef, TcpKeepalive};

/// An Ed25519 private key is any 32 bytes (RFC 8032).
pub const SEED: usize = 32;
/// After so much of it the kernel asks.
const SILENCE: Duration = Duration::from_secs(30);
/// RFC 8410: what stands before the seed in PKCS #8.
const PKCS8_HEAD: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// A side's own key.
#[derive(Debug, Clone)]
pub struct OwnKey(Arc<CertifiedKey>);

/// The other side's public key, a SubjectPublicKeyInfo in DER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(pub Vec<u8>);

impl OwnKey {
    /// From its seed.
    ///
    /// # Errors
    /// When the library does not take it.
    pub fn from_seed(seed: &[u8; SEED]) -> Result<Self, Error> {
        let encoded = [PKCS8_HEAD.as_slice(), seed].concat();
        let encoded = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(encoded));
        let key = ring::default_provider().key_provider.load_private_key(encoded)?;
        let public = key.public_key().ok_or(Error::General("a key without its public half".into()))?;
        let public = CertificateDer::from(public.as_ref().to_vec());
        Ok(Self(Arc::new(CertifiedKey::new(vec![public], key))))
    }

    /// What the other side must know.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.cert.first().map(|key| key.as_ref().to_vec()).unwrap_or_default())
    }

    /// For the side that calls.
    ///
    /// # Errors
    /// When the library does not take the configuration.
    pub fn client(&self, server: PublicKey) -> Result<ClientConfig, Error> {
        let provider = provider();
        let verifier = Pinned::new(server, &provider);
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(self.0.clone())));
        // One key exchange either way: with keys this small there is nothing to gain.
        config.resumption = rustls::client::Resumption::disabled();
        config.enable_sni = false;
        config.enable_secret_extraction = true;
        Ok(config)
    }

    /// For the side that is called.
    ///
    /// # Errors
    /// When the library does not take the configuration.
    pub fn server(&self, client: PublicKey) -> Result<ServerConfig, Error> {
        let provider = provider();
        let verifier = Pinned::new(client, &provider);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(self.0.clone())));
        config.send_tls13_tickets = 0;
        config.enable_secret_extraction = true;
        Ok(config)
    }
}

/// A network that is cut says nothing: the kernel asks whether the other side is still there.
///
/// # Errors
/// The kernel's.
pub fn keep_alive(socket: &impl AsFd) -> io::Result<()> {
    let keepalive = TcpKeepalive::new().with_time(SILENCE).with_interval(SILENCE / 3);
    SockRef::from(socket).set_tcp_keepalive(&keepalive)
}

/// AES-128 first: every server's processor has it in hardware, and both ends are ours.
fn provider() -> Arc<CryptoProvider> {
    use rustls::crypto::ring::cipher_suite::{
        TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
    };
    let cipher_suites =
        vec![TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256];
    Arc::new(CryptoProvider { cipher_suites, ..ring::default_provider() })
}

/// Accepts one key.
#[derive(Debug)]
struct Pinned {
    key: PublicKey,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Pinned {
    fn new(key: PublicKey, provider: &CryptoProvider) -> Arc<Self> {
        Arc::new(Self { key, algorithms: provider.signature_verification_algorithms })
    }

    fn check(&self, presented: &CertificateDer<'_>) -> Result<(), Error> {
        if presented.as_ref() == self.key.0 {
            return Ok(());
        }
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(key.as_ref());
        verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms)
    }
}

fn only_tls13() -> Result<HandshakeSignatureValid, Error> {
    Err(PeerIncompatible::Tls12NotOffered.into())
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        presented: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(presented).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        only_tls13()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, key, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        presented: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(presented).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        only_tls13()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, key, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
