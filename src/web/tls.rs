//! The certificate and its key, from files.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::WebError;
use crate::config::TlsFiles;

pub(super) fn load(files: &TlsFiles) -> Result<Arc<ServerConfig>, WebError> {
    let odd = |path: &Path, why: String| WebError::Certificate { path: path.to_owned(), why };
    let (certificate, key) = (&files.certificate, &files.key);
    let read = |path: &Path| std::fs::read(path).map_err(|e| odd(path, e.to_string()));
    let chain = CertificateDer::pem_slice_iter(&read(certificate)?).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|e| odd(certificate, e.to_string()))?;
    let secret = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|e| odd(key, e.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| odd(certificate, e.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|e| odd(key, e.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
