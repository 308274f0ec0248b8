//! What the directory's certificates are checked against, and the searching account's password.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::SetupError;
use crate::config::LdapEntry;

pub(super) fn config(ca: Option<&Path>) -> Result<Arc<ClientConfig>, SetupError> {
    let mut roots = RootCertStore::empty();
    let certificates = match ca {
        Some(path) => from_file(path)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(SetupError::Certificates(ca.map_or_else(
            || "the system has none: name a file in [auth.ldap] ca".to_owned(),
            |path| format!("there is none in {}", path.display()),
        )));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| SetupError::Certificates(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn from_file(path: &Path) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    let bytes = read(path)?;
    CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|e| SetupError::Certificates(format!("{}: {e}", path.display())))
}

fn read(path: &Path) -> Result<Vec<u8>, SetupError> {
    std::fs::read(path).map_err(|source| SetupError::File { path: path.to_owned(), source })
}

/// The searching account with its password: the file's first line.
pub(super) fn service(entry: &LdapEntry) -> Result<Option<(String, String)>, SetupError> {
    let LdapEntry::Search { service: Some((dn, path)), .. } = entry else { return Ok(None) };
    let bytes = read(path)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(Some((dn.clone(), text.lines().next().unwrap_or_default().to_owned())))
}
