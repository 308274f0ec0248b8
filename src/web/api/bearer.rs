//! Who calls, by their token; and what they send.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::Problem;
use crate::auth::Identity;
use crate::text::{Lang, printable};
use crate::web::visitor::language;
use crate::web::{Ends, Site};

/// Somebody's program.
pub(super) struct Bearer {
    pub(super) site: Arc<Site>,
    pub(super) who: Identity,
    pub(super) peer: SocketAddr,
    pub(super) lang: Lang,
}

impl FromRequestParts<Arc<Site>> for Bearer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Problem> {
        let Some(Ends { peer, .. }) = parts.extensions.get::<Ends>().copied() else {
            return Err(Problem::Token);
        };
        let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let (scheme, token) = header.and_then(|value| value.split_once(' ')).ok_or(Problem::Token)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Problem::Token);
        }
        let lang = language(&parts.headers);
        let who = site.door.auth.by_token(peer, token.trim()).await;
        let who = who.map_err(|denial| Problem::denied(denial, lang))?;
        Ok(Self { site: site.clone(), who, peer, lang })
    }
}

/// An administrator's program.
pub(super) struct Admin(pub(super) Bearer);

impl FromRequestParts<Arc<Site>> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Problem> {
        let bearer = Bearer::from_request_parts(parts, site).await?;
        if bearer.who.is_admin() { Ok(Self(bearer)) } else { Err(Problem::NotAdmin) }
    }
}

/// JSON that was sent, or why it will not do.
pub(super) struct Sent<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<Site>> for Sent<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, site).await.map_err(|e| Problem::Odd(e.body_text()))?;
        let text = if bytes.is_empty() { b"{}".as_slice() } else { &bytes };
        serde_json::from_slice(text).map(Self).map_err(|e| Problem::Odd(printable(&e.to_string())))
    }
}
