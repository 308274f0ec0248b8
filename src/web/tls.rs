//! The certificate and its key, from files; and what is answered to who comes without TLS.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, header};
use axum::response::IntoResponse;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::visitor::language;
use super::{Ends, JUPYTER, Site, WebError, guard};
use crate::config::TlsFiles;
use crate::text::Say;
use crate::text::web::Page;

/// A record that carries a handshake (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;
/// Until the first byte.
const FIRST_LIMIT: Duration = Duration::from_secs(10);

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

/// Does TLS begin on it?
pub(super) async fn begins(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    let read = timeout(FIRST_LIMIT, stream.peek(&mut first)).await??;
    Ok(read == 0 || first == [HANDSHAKE])
}

/// To the same place by HTTPS. Only of what was asked for to be shown: what was sent has crossed the network in the clear, and is not repeated.
pub(super) fn onward(site: &Site, service: &str, request: &Request<Body>) -> Response<Body> {
    let asked = guard::host(request.headers());
    let ends = request.extensions().get::<Ends>();
    let lang = language(request.headers());
    if !ends.is_some_and(|ends| site.names.knows(asked, ends.local)) {
        return (StatusCode::MISDIRECTED_REQUEST, Page::WrongHost.say(lang) + "\n").into_response();
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return (StatusCode::FORBIDDEN, Page::NeedsHttps.say(lang) + "\n").into_response();
    }
    let there = if service == JUPYTER { site.names.origin(asked) } else { site.names.page(asked) };
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, format!("{there}{path}"))]).into_response()
}
