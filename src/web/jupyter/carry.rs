//! One request to JupyterLab and its answer back. Bodies are passed on piece by piece, as fast as their reader takes
//! them; a websocket is two streams of bytes.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, StatusCode, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use sha2::Sha256;
use tokio::io::copy_bidirectional;
use tokio::time::timeout;

use super::{No, headers};
use crate::bridge;
use crate::error_chain::in_full;
use crate::reservation::Reservation;
use crate::text::web::Page;
use crate::web::Site;
use crate::web::limits::Place;

const PORT: u16 = 8888;
/// From the request's end to the answer's head: JupyterLab works it out before it answers, saving a notebook too.
const ANSWER_LIMIT: Duration = Duration::from_secs(600);
/// What the code vouches for.
const PURPOSE: &[u8] = b"clusteria page";

pub(super) async fn carry(
    site: &Arc<Site>,
    mine: &Reservation,
    origin: &str,
    mut request: Request<Body>,
) -> Result<Response<Body>, No> {
    let away = || No::Refused(StatusCode::BAD_GATEWAY, Page::ProxyNotRunning);
    let voucher = voucher(site, mine).await.ok_or_else(away)?;
    let agent = site.door.workspaces.container(mine.clone()).agent;
    let stream = bridge::dial_tcp(&agent, "127.0.0.1", PORT).await.map_err(|e| {
        tracing::debug!(reservation = %mine.id, "JupyterLab: {}", in_full(&e));
        away()
    })?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| away())?;
    site.tasks.spawn(async move {
        let _ = connection.with_upgrades().await;
    });

    let place = request.extensions().get::<Arc<Place>>().cloned();
    let upgrade = headers::is_upgrade(request.headers()).then(|| hyper::upgrade::on(&mut request));
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse::<Uri>().map_err(|_| away())?;
    headers::inward(request.headers_mut(), origin, voucher);
    let answer = timeout(ANSWER_LIMIT, sender.send_request(request)).await;
    let mut answer = answer.map_err(|_| away())?.map_err(|_| away())?;

    let upgraded = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
    if upgraded && upgrade.is_none() {
        return Err(away());
    }
    if let (true, Some(theirs)) = (upgraded, upgrade) {
        let ours = hyper::upgrade::on(&mut answer);
        site.tasks.spawn(async move {
            // It is one connection of its address for as long as it lasts.
            let _place = place;
            if let (Ok(theirs), Ok(ours)) = (theirs.await, ours.await) {
                let _ = copy_bidirectional(&mut TokioIo::new(theirs), &mut TokioIo::new(ours)).await;
            }
        });
    }
    headers::outward(answer.headers_mut(), origin, upgraded);
    Ok(answer.map(Body::new))
}

/// Of the hash of the reservation's password, which nobody else knows: a new password ends it.
async fn voucher(site: &Site, mine: &Reservation) -> Option<HeaderValue> {
    let id = mine.id.clone();
    let hash = site.door.ledger.run(move |l| l.reservation_password(&id)).await.ok()??;
    let mac = Hmac::<Sha256>::new_from_slice(hash.as_bytes()).ok()?.chain_update(PURPOSE);
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()).parse().ok()
}
