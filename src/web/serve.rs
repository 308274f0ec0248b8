//! Accepting, TLS, HTTP/1.1 with limits, and the end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::jupyter::Door;
use super::{Bound, Ends, JUPYTER, METRICS, PAGE, Site, Web, WebError, limits, tls};
use crate::handover::{self, Inheritance, Place};

const BACKLOG: u32 = 1024;
/// After an accept that failed (no descriptors left), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// A request's head arrives within this time; so long may a kept connection be idle too.
const HEAD_LIMIT: Duration = Duration::from_secs(30);
/// Who has come when the end begins, and has not asked for anything yet, has so long for it.
const FIRST_REQUEST: Duration = Duration::from_secs(2);
/// A request's head fits in this, or it is refused.
const HEAD_BYTES: usize = 64 * 1024;

/// A listening socket: the one that a running gateway offers, or a new one.
pub(super) fn open(place: &Place, inheritance: Option<&mut Inheritance>) -> Result<TcpListener, WebError> {
    let offered = inheritance.and_then(|inheritance| inheritance.take_listener(place));
    let opened = match offered {
        Some(listener) => handover::adopt(listener),
        None => bind(place.address),
    };
    opened.map_err(|source| WebError::Bind { address: place.address, source })
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// What answers the requests of a listener.
#[derive(Clone)]
enum Answers {
    Router(axum::Router),
    Jupyter(Door),
    /// Without TLS where there should be: on to the same place with it.
    ToHttps(Arc<Site>, &'static str),
}

impl Answers {
    /// What is answered where TLS is missing.
    fn by_https(&self, site: Arc<Site>) -> Self {
        Self::ToHttps(site, if matches!(self, Self::Jupyter(_)) { JUPYTER } else { PAGE })
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let request = request.map(Body::new);
        Ok(match self {
            Self::Router(router) => {
                let answer = TowerToHyperService::new(router).call(request).await;
                answer.unwrap_or_else(|never| match never {})
            }
            Self::Jupyter(door) => door.answer(request).await,
            Self::ToHttps(site, service) => tls::onward(&site, service, &request),
        })
    }
}

impl Web {
    /// Accepts connections from here on.
    pub fn accept(&mut self) {
        let page = super::routes::router(self.site.clone(), self.closing.clone());
        let metrics = super::metrics::router(self.site.clone());
        for Bound { place, listener, machine } in &self.bound {
            let (answers, tls) = match place.service.as_str() {
                // Asked by programs of the administrators', which know no certificate of ours.
                METRICS => (Answers::Router(metrics.clone()), None),
                JUPYTER => {
                    (Answers::Jupyter(Door::new(self.site.clone(), machine.clone())), self.tls.clone())
                }
                _ => (Answers::Router(page.clone()), self.tls.clone()),
            };
            let accept = Accept {
                answers,
                tls,
                site: self.site.clone(),
                connections: self.connections.clone(),
                closing: self.closing.clone(),
            };
            self.loops.spawn(accept.run(listener.clone()));
        }
    }

    /// Accepts no more for now: who comes waits in the sockets' queues.
    pub async fn pause(&mut self) {
        self.loops.shutdown().await;
    }

    /// Closes the listening sockets. Connections end after the answer they are at; live pages connect again.
    pub async fn close(&mut self) {
        self.pause().await;
        self.bound.clear();
        self.closing.cancel();
        self.connections.close();
        self.site.tasks.close();
    }

    /// Waits until the last connection has ended: kernels' are long.
    pub async fn served_out(&self) {
        self.connections.wait().await;
        self.site.tasks.wait().await;
    }

    /// Gives them `drain` to end.
    pub async fn drain(self, drain: Duration) {
        let _ = timeout(drain, self.served_out()).await;
    }
}

struct Accept {
    answers: Answers,
    tls: Option<TlsAcceptor>,
    site: Arc<Site>,
    connections: TaskTracker,
    closing: CancellationToken,
}

impl Accept {
    async fn run(self, listener: Arc<TcpListener>) {
        loop {
            let Ok((stream, peer)) = listener.accept().await else {
                sleep(ACCEPT_PAUSE).await;
                continue;
            };
            // Who does not fit is closed at once: no answer costs us more than theirs them.
            let Some(place) = self.site.limits.take(peer.ip().to_canonical()) else { continue };
            let (tls, answers) = (self.tls.clone(), self.answers.clone());
            let (site, closing) = (self.site.clone(), self.closing.clone());
            self.connections.spawn(async move {
                let place = Arc::new(place);
                let tls = tls.map(|tls| (tls, site));
                if let Err(e) = connection(stream, peer, tls, answers, (place, closing)).await {
                    tracing::debug!(client = %peer, "the page: {e}");
                }
            });
        }
    }
}

/// A connection's place among all, which what it becomes may keep, and when it is to end.
type Life = (Arc<limits::Place>, CancellationToken);

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<(TlsAcceptor, Arc<Site>)>,
    answers: Answers,
    life: Life,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let ends = Ends { peer, local: stream.local_addr()?.ip() };
    match tls {
        None => http(stream, ends, answers, life).await,
        Some((_, site)) if !tls::begins(&stream).await? => {
            http(stream, ends, answers.by_https(site), life).await
        }
        Some((acceptor, _)) => {
            let stream = timeout(HANDSHAKE_LIMIT, acceptor.accept(stream)).await??;
            http(stream, ends, answers, life).await
        }
    }
}

async fn http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ends: Ends,
    answers: Answers,
    (place, closing): Life,
) -> io::Result<()> {
    let asked = CancellationToken::new();
    let asks = asked.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        asks.cancel();
        request.extensions_mut().insert(ends);
        request.extensions_mut().insert(place.clone());
        answers.clone().answer(request)
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(serving);
    let end = async {
        closing.cancelled().await;
        // hyper would close a fresh connection at once, under a request that is on its way.
        let _ = timeout(FIRST_REQUEST, asked.cancelled()).await;
    };
    let outcome = tokio::select! {
        outcome = &mut serving => outcome,
        () = end => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    outcome.map_err(io::Error::other)
}
