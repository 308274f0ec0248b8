//! What every request of the page passes: its host must be ours, what changes something must come from our own pages,
//! it has limited time; and every answer carries what keeps browsers strict.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use super::{Ends, Site};
use crate::text::web::Page;
use crate::text::{Lang, Say};

/// A page or a form; a login may wait in the throttle and a directory, a password for its container.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// Forms are small: keys are the largest.
pub(super) const MOST_BODY: usize = 64 * 1024;

const HEADERS: [(HeaderName, &str); 8] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // Not no-referrer: then browsers would say `Origin: null` with our own forms.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=(), clipboard-write=(self)",
    ),
    (HeaderName::from_static("x-robots-tag"), "noindex"),
];

/// The host that was asked for.
pub(super) fn host(headers: &HeaderMap) -> &str {
    headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default()
}

pub(super) async fn guard(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let https = site.https();
    let mut answer = match refuse(&site, &request) {
        Some((status, words)) => (status, words.say(Lang::En) + "\n").into_response(),
        None => match timeout(ANSWER_LIMIT, next.run(request)).await {
            Ok(answer) => answer,
            Err(_) => (StatusCode::GATEWAY_TIMEOUT, Page::SomethingFailed.say(Lang::En)).into_response(),
        },
    };
    let headers = answer.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if https {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    answer
}

fn refuse(site: &Site, request: &Request) -> Option<(StatusCode, Page<'static>)> {
    let host = host(request.headers());
    let ends = request.extensions().get::<Ends>()?;
    if request.headers().get_all(header::HOST).iter().count() != 1 || !site.names.knows(host, ends.local) {
        return Some((StatusCode::MISDIRECTED_REQUEST, Page::WrongHost));
    }
    let by_token = request.headers().contains_key(header::AUTHORIZATION);
    let changes = ![Method::GET, Method::HEAD].contains(request.method());
    if changes && !by_token && !is_ours(request.headers(), &site.names.origin(host)) {
        return Some((StatusCode::FORBIDDEN, Page::FormExpired));
    }
    None
}

/// Did one of our own pages send this? Browsers say so; what says nothing is not a browser, and has no cookie of ours.
pub(super) fn is_ours(headers: &HeaderMap, origin: &str) -> bool {
    match headers.get(header::ORIGIN) {
        Some(from) => from.to_str().is_ok_and(|from| from.eq_ignore_ascii_case(origin)),
        None => headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin"),
    }
}
