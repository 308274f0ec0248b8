//! russh's certificates, in the words of `auth`.

use russh::keys::ssh_key::{Signature, certificate::CertType};
use russh::keys::{Algorithm, Certificate, HashAlg};

use crate::auth::certificate::Shown;
use crate::auth::fido;

/// The fingerprint of the key that signed a certificate.
pub(super) fn authority(certificate: &Certificate) -> String {
    certificate.signature_key().fingerprint(HashAlg::Sha256).to_string()
}

/// What a certificate says. russh has verified its authority's signature, and its holder's where it is given.
pub(super) fn shown<'a>(
    certificate: &'a Certificate,
    authority: &'a str,
    signature: Option<&'a Signature>,
) -> Shown<'a> {
    Shown {
        is_user: certificate.cert_type() == CertType::User,
        authority,
        is_well_signed: certificate.signature().algorithm() != Algorithm::Rsa { hash: None },
        principals: certificate.valid_principals(),
        valid: (certificate.valid_after(), certificate.valid_before()),
        critical: certificate.critical_options(),
        extensions: certificate.extensions(),
        fido_signature: signature
            .filter(|signature| fido::is_fido(signature.algorithm().as_str()))
            .map(Signature::as_bytes),
    }
}
