//! Accepting, TLS, HTTP/1.1 with limits, and the end.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
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
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::jupyter::Door;
use super::{Ends, Site, Web, WebError};

const BACKLOG: i32 = 1024;
/// After an accept that failed (no descriptors left), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// A request's head arrives within this time; so long may a kept connection be idle too.
const HEAD_LIMIT: Duration = Duration::from_secs(30);
/// A request's head fits in this, or it is refused.
const HEAD_BYTES: usize = 64 * 1024;

/// Binds an address, not blocking.
pub(super) fn bind(address: SocketAddr) -> Result<TcpListener, WebError> {
    let make = || -> io::Result<TcpListener> {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    };
    make().map_err(|source| WebError::Bind { address, source })
}

/// What answers the requests of a listener.
#[derive(Clone)]
enum Answers {
    Router(axum::Router),
    Jupyter(Door),
}

impl Answers {
    async fn answer(self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let request = request.map(Body::new);
        Ok(match self {
            Self::Router(router) => {
                let answer = TowerToHyperService::new(router).call(request).await;
                answer.unwrap_or_else(|never| match never {})
            }
            Self::Jupyter(door) => door.answer(request).await,
        })
    }
}

impl Web {
    /// Serves until `stopping`; then what is under way has `drain` to end.
    pub async fn serve(self, stopping: CancellationToken, drain: Duration) {
        let Self { site, bound, tls } = self;
        let page = super::routes::router(site.clone(), stopping.clone());
        let pages = bound.page.into_iter().map(|listener| (listener, Answers::Router(page.clone())));
        let metrics = super::metrics::router(site.clone());
        // Asked for by programs of the administrators', which know no certificate of ours.
        let metrics = bound.metrics.map(|listener| (listener, Answers::Router(metrics), None));
        let jupyters = bound
            .jupyter
            .into_iter()
            .map(|(listener, machine)| (listener, Answers::Jupyter(Door::new(site.clone(), machine))));
        let connections = TaskTracker::new();
        let tls = tls.map(TlsAcceptor::from);
        let loops: Vec<_> = pages
            .chain(jupyters)
            .map(|(listener, answers)| (listener, answers, tls.clone()))
            .chain(metrics)
            .map(|(listener, answers, tls)| {
                let accept = Accept {
                    answers,
                    tls,
                    site: site.clone(),
                    connections: connections.clone(),
                    stopping: stopping.clone(),
                };
                tokio::spawn(accept.run(listener))
            })
            .collect();
        for accepting in loops {
            let _ = accepting.await;
        }
        connections.close();
        site.tasks.close();
        let _ = timeout(drain, async {
            connections.wait().await;
            site.tasks.wait().await;
        })
        .await;
    }
}

struct Accept {
    answers: Answers,
    tls: Option<TlsAcceptor>,
    site: Arc<Site>,
    connections: TaskTracker,
    stopping: CancellationToken,
}

impl Accept {
    async fn run(self, listener: TcpListener) {
        let listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(e) => return tracing::error!("the page: {e}"),
        };
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.stopping.cancelled() => return,
            };
            let Ok((stream, peer)) = accepted else {
                sleep(ACCEPT_PAUSE).await;
                continue;
            };
            // Who does not fit is closed at once: no answer costs us more than theirs them.
            let Some(place) = self.site.limits.take(peer.ip().to_canonical()) else { continue };
            let (tls, answers) = (self.tls.clone(), self.answers.clone());
            let stopping = self.stopping.clone();
            self.connections.spawn(async move {
                let _place = place;
                if let Err(e) = connection(stream, peer, tls, answers, stopping).await {
                    tracing::debug!(client = %peer, "the page: {e}");
                }
            });
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    answers: Answers,
    stopping: CancellationToken,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let ends = Ends { peer, local: stream.local_addr()?.ip() };
    match tls {
        None => http(stream, ends, answers, stopping).await,
        Some(acceptor) => {
            let stream = timeout(HANDSHAKE_LIMIT, acceptor.accept(stream)).await??;
            http(stream, ends, answers, stopping).await
        }
    }
}

async fn http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ends: Ends,
    answers: Answers,
    stopping: CancellationToken,
) -> io::Result<()> {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ends);
        answers.clone().answer(request)
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(serving);
    let outcome = tokio::select! {
        outcome = &mut serving => outcome,
        () = stopping.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    outcome.map_err(io::Error::other)
}
