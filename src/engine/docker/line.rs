//! The line to an engine: a Unix socket, TCP with mutual TLS, or `docker system dial-stdio` at the other end of ssh.
//!
//! Each request has a connection to itself, kept for the next one when it is done. Engines are believed to be broken
//! until they have answered: to connect takes no longer than a limit, and no connection brings more than a budget.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, BollardRequest, ClientVersion, Docker};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::START_LIMIT;
use super::ssh::SshLine;
use crate::agent::pins::keep_alive;
use crate::config::{EngineAddress, EngineTls};

/// To connect, with everything that belongs to it.
const CONNECT_LIMIT: Duration = Duration::from_secs(8);
/// For a connection that has failed to say why.
const LAST_WORD: Duration = Duration::from_secs(1);
/// Idle connections that are kept.
const MOST_IDLE: usize = 4;
/// What an engine may say on one connection: so much at once, and so much more each second. The longest honest answer is
/// a list of containers; an endless one ends here.
const BUDGET: u64 = 16 * 1024 * 1024;
const BUDGET_EACH_SECOND: u64 = 1024 * 1024;

/// A client of the engine at this address that has agreed with it on an API version.
pub(super) async fn client(address: &EngineAddress) -> Result<Docker, Error> {
    let version = Arc::new(OnceLock::new());
    let line = Arc::new(Line { address: address.clone(), version: version.clone(), idle: Mutex::default() });
    let transport = move |request: BollardRequest| line.clone().exchange(request);
    // Each call has a limit of its own; bollard's is the longest of them.
    let limit = START_LIMIT.as_secs();
    let docker =
        Docker::connect_with_custom_transport(transport, Some("http://docker"), limit, API_DEFAULT_VERSION)?;
    let docker = docker.negotiate_version().await?;
    let ClientVersion { major_version, minor_version } = docker.client_version();
    let _ = version.set(format!("/v{major_version}.{minor_version}"));
    Ok(docker)
}

struct Line<B> {
    address: EngineAddress,
    /// What was agreed on, as it stands before every path: bollard itself leaves it out (0.21), and an engine takes
    /// a path without one for its own newest version.
    version: Arc<OnceLock<String>>,
    idle: Mutex<Vec<SendRequest<B>>>,
}

/// Tells why a connection has ended.
type Ended = oneshot::Receiver<hyper::Error>;

impl<B> Line<B>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    async fn exchange(self: Arc<Self>, request: Request<B>) -> Result<Response<Incoming>, Error> {
        let version = self.version.get().map(String::as_str).unwrap_or_default();
        let mut request = relative(request, version);
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let (mut sender, ended) = match idle {
                Some(sender) if sender.is_ready() => (sender, None),
                Some(_) => continue,
                None => {
                    let (sender, ended) = self.connect().await?;
                    (sender, Some(ended))
                }
            };
            match sender.try_send_request(request).await {
                Ok(response) => {
                    tokio::spawn(self.clone().keep(sender));
                    return Ok(response);
                }
                // An idle connection whose other end had gone meanwhile, and nothing of the request has left.
                Err(mut failed) => match (failed.take_message(), ended) {
                    (Some(again), None) => request = again,
                    (_, ended) => return Err(why(failed.into_error(), ended).await.into()),
                },
            }
        }
    }

    /// For the next one, once the answer has been read to its end.
    async fn keep(self: Arc<Self>, mut sender: SendRequest<B>) {
        if sender.ready().await.is_ok() {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < MOST_IDLE {
                idle.push(sender);
            }
        }
    }

    async fn connect(&self) -> Result<(SendRequest<B>, Ended), Error> {
        let opened = timeout(CONNECT_LIMIT, open(&self.address)).await;
        let late = || {
            let what = format!("no answer within {} s", CONNECT_LIMIT.as_secs());
            Err(io::Error::new(io::ErrorKind::TimedOut, what))
        };
        let stream = opened.unwrap_or_else(|_| late())?;
        let (sender, connection) = handshake(TokioIo::new(Budgeted::new(stream))).await?;
        let (tell, ended) = oneshot::channel();
        tokio::spawn(async move {
            if let Err(e) = connection.await {
                let _ = tell.send(e);
            }
        });
        Ok((sender, ended))
    }
}

/// A request that could not be sent knows less than the connection does: an engine that does not believe our certificate
/// says so when the handshake is over for us already.
async fn why(failed: hyper::Error, ended: Option<Ended>) -> hyper::Error {
    let Some(ended) = ended.filter(|_| failed.is_canceled()) else { return failed };
    timeout(LAST_WORD, ended).await.ok().and_then(Result::ok).unwrap_or(failed)
}

/// Over a connection of its own a request names no host; HTTP/1.1 wants the header all the same.
fn relative<B>(mut request: Request<B>, version: &str) -> Request<B> {
    let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let version = if path.starts_with("/v1.") { "" } else { version };
    if let Ok(uri) = format!("{version}{path}").parse::<Uri>() {
        *request.uri_mut() = uri;
    }
    request.headers_mut().insert(HOST, HeaderValue::from_static("docker"));
    request
}

pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

async fn open(address: &EngineAddress) -> io::Result<Box<dyn Duplex>> {
    match address {
        EngineAddress::Unix(socket) => {
            let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", socket.display()));
            Ok(Box::new(UnixStream::connect(socket).await.map_err(named)?))
        }
        EngineAddress::Ssh(host) => Ok(Box::new(SshLine::open(host)?)),
        EngineAddress::Tcp { host, port, tls } => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            keep_alive(&stream)?;
            let Some(tls) = tls else { return Ok(Box::new(stream)) };
            // Read anew each time: a certificate that was renewed needs no restart.
            let files = tls.clone();
            let config = tokio::task::spawn_blocking(move || tls_config(&files)).await??;
            let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
            Ok(Box::new(TlsConnector::from(Arc::new(config)).connect(name, stream).await?))
        }
    }
}

/// Only the authority that is named is believed, not those of the system: whoever is believed here gets containers to start.
fn tls_config(files: &EngineTls) -> io::Result<ClientConfig> {
    let bad = |path: &Path, why: &dyn fmt::Display| io::Error::other(format!("{}: {why}", path.display()));
    let certificates = |path: &PathBuf| -> io::Result<Vec<CertificateDer<'static>>> {
        let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let all: Vec<_> = all.map_err(|e| bad(path, &e))?;
        if all.is_empty() { Err(bad(path, &"there is no certificate in it")) } else { Ok(all) }
    };
    let mut roots = rustls::RootCertStore::empty();
    for authority in certificates(&files.ca)? {
        roots.add(authority).map_err(|e| bad(&files.ca, &e))?;
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| bad(&files.key, &e))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    builder
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates(&files.cert)?, key)
        .map_err(|e| bad(&files.cert, &e))
}

/// A connection that brings no more than a budget.
struct Budgeted<S> {
    stream: S,
    since: Instant,
    read: u64,
}

impl<S> Budgeted<S> {
    fn new(stream: S) -> Self {
        Self { stream, since: Instant::now(), read: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Budgeted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        self.read += (buffer.filled().len() - before) as u64;
        let allowed = BUDGET + BUDGET_EACH_SECOND * self.since.elapsed().as_secs();
        if self.read > allowed {
            return Poll::Ready(Err(io::Error::other("it sends without end")));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Budgeted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
