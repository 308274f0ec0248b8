//! Who asks: the cookie, the session behind it, the language; and what forms say.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

use super::cookies::{add_cookie, cookie, cookie_name, is_planted, unplant};
use super::guard;
use super::session::{Secret, Session, hex};
use super::{Ends, Site};
use crate::auth::account::standing;
use crate::auth::permissions::Permissions;
use crate::reservation::{ReservationId, UserName};
use crate::text::web::Page;
use crate::text::{Lang, Say};

/// Where the language is remembered.
pub(super) const LANG_COOKIE: &str = "clusteria-lang";
/// Says that a script asks for the page that is shown already.
const LIVE: &str = "x-clusteria-live";
/// A year.
const LANG_LIFE: u32 = 31_536_000;

/// Somebody who asks for a page.
pub(super) struct Visitor {
    pub(super) site: Arc<Site>,
    pub(super) peer: SocketAddr,
    pub(super) host: String,
    pub(super) lang: Lang,
    /// The language that was chosen in this browser.
    pub(super) chosen_here: Option<Lang>,
    pub(super) secret: Secret,
    pub(super) session: Option<Arc<Session>>,
    /// Are they an administrator, as far as is known now?
    pub(super) admin: bool,
    /// The picture is asked for anew: what is said once waits for a reader.
    pub(super) live: bool,
    /// The path that is asked for, for links back to it.
    pub(super) path: String,
    fresh: bool,
    /// Cookies of the session's name have come that are not ours.
    planted: bool,
}

impl Visitor {
    pub(super) fn user(&self) -> Option<&UserName> {
        self.session.as_ref().map(|session| session.who.user())
    }

    pub(super) fn say(&self, text: impl Say) -> String {
        text.say(self.lang)
    }

    /// This session by its hash, if a reservation's password has opened it: a new one, made here, does not end it.
    pub(super) fn spared(&self, session: &Session) -> Option<String> {
        session.lent_by.is_some().then(|| hex(self.secret.key()))
    }

    /// Signed in from now on, by another secret than before: nobody can have planted it.
    pub(super) fn renew(&mut self) {
        if let Some(secret) = Secret::new() {
            self.site.sessions.forget_half(&self.secret);
            self.secret = secret;
            self.fresh = true;
        }
    }

    /// With the cookie, if they have none yet.
    pub(super) fn answer(&self, answer: impl IntoResponse) -> Response {
        let mut answer = answer.into_response();
        if self.planted {
            for gone in unplant(cookie_name(self.site.https()), &self.host, &self.path) {
                add_cookie(&mut answer, &gone);
            }
        }
        if self.fresh {
            let site = &self.site;
            let secure = if site.https() { "; Secure" } else { "" };
            let name = cookie_name(site.https());
            let value = self.secret.reveal();
            add_cookie(&mut answer, &format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}"));
        }
        answer
    }

    /// On to another page of ours.
    pub(super) fn go(&self, path: &str) -> Response {
        self.answer((StatusCode::SEE_OTHER, [(header::LOCATION, path.to_owned())]))
    }
}

/// The language of `Accept-Language`: the first that we speak.
fn accepted(headers: &HeaderMap) -> Lang {
    let wanted =
        headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut ranked: Vec<(&str, f32)> = wanted
        .split(',')
        .take(16)
        .map(|one| {
            let (tag, weight) = one.split_once(";q=").unwrap_or((one, "1"));
            (tag.trim(), weight.trim().parse().unwrap_or(0.0))
        })
        .collect();
    ranked.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let ours = ranked.iter().find_map(|(tag, _)| match tag.get(..2)?.to_ascii_lowercase().as_str() {
        "fr" => Some(Lang::Fr),
        "en" => Some(Lang::En),
        _ => None,
    });
    ours.unwrap_or_default()
}

pub(super) fn language(headers: &HeaderMap) -> Lang {
    language_of_browser(headers).unwrap_or_else(|| accepted(headers))
}

/// What was chosen in this browser.
fn language_of_browser(headers: &HeaderMap) -> Option<Lang> {
    Lang::from_code(cookie(headers, LANG_COOKIE)?)
}

pub(super) fn language_cookie(lang: Lang, https: bool) -> String {
    let (code, secure) = (lang.code(), if https { "; Secure" } else { "" });
    format!("{LANG_COOKIE}={code}; Path=/; Max-Age={LANG_LIFE}; HttpOnly; SameSite=Lax{secure}")
}

impl FromRequestParts<Arc<Site>> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Response> {
        let failed = || StatusCode::INTERNAL_SERVER_ERROR.into_response();
        let ends = *parts.extensions.get::<Ends>().ok_or_else(failed)?;
        let headers = &parts.headers;
        let found = cookie(headers, cookie_name(site.https())).and_then(Secret::read);
        let planted = is_planted(headers, cookie_name(site.https()));
        // Ours is among them, and stays.
        let fresh = found.is_none() && !planted;
        // Who brings no secret of ours costs the ledger nothing.
        let session = match &found {
            Some(secret) => session(site, secret).await,
            None => None,
        };
        let secret = found.or_else(Secret::new).ok_or_else(failed)?;
        // What somebody has chosen, here or in the menu, goes before what their browser says.
        let chosen = session.as_ref().and_then(|session| site.door.languages.of(session.who.user()));
        let admin = match &session {
            Some(session) => site.door.auth.is_admin(&session.who).await,
            None => false,
        };
        Ok(Self {
            site: site.clone(),
            peer: ends.peer,
            host: guard::host(headers).to_owned(),
            lang: chosen.unwrap_or_else(|| language(headers)),
            chosen_here: language_of_browser(headers),
            secret,
            session,
            admin,
            live: headers.contains_key(LIVE),
            path: parts.uri.path().to_owned(),
            fresh,
            planted,
        })
    }
}

/// An account that was locked in the meantime has no session any more.
async fn session(site: &Site, secret: &Secret) -> Option<Arc<Session>> {
    let session = site.sessions.find(secret).await?;
    let user = session.who.user();
    // What a reservation's password has opened ends with the reservation.
    let lent = *session.who.permissions() == Permissions::RESERVATION;
    let over = lent && (session.lent_by.is_none() || session.lent_by != live(site, user));
    if !over && is_open(site, user).await {
        return Some(session);
    }
    site.sessions.end(secret).await;
    None
}

/// The reservation that a user has now.
pub(super) fn live(site: &Site, user: &UserName) -> Option<ReservationId> {
    site.door.workspaces.desk().read(|book| book.of(user).map(|mine| mine.id.clone()))
}

/// Is this account open now? When the ledger cannot say, what runs goes on.
pub(super) async fn is_open(site: &Site, user: &UserName) -> bool {
    let name = user.clone();
    match site.door.ledger.run(move |l| l.user(&name)).await {
        Ok(Some(record)) => standing(&record, Timestamp::now()).is_ok(),
        Ok(None) => false,
        Err(_) => true,
    }
}

/// Somebody who has signed in. Others are asked to, and then brought back.
pub(super) struct Member {
    pub(super) visitor: Visitor,
    pub(super) session: Arc<Session>,
}

impl FromRequestParts<Arc<Site>> for Member {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Response> {
        let visitor = Visitor::from_request_parts(parts, site).await?;
        match visitor.session.clone() {
            Some(session) => Ok(Self { visitor, session }),
            None if parts.method == axum::http::Method::GET && !visitor.live => Err(visitor.go("/sign-in")),
            None => Err(super::layout::refusal(&visitor, StatusCode::FORBIDDEN, Page::Refused)),
        }
    }
}

/// A form of ours, sent by somebody.
pub(super) struct Posted {
    pub(super) visitor: Visitor,
    pub(super) fields: HashMap<String, String>,
}

impl Posted {
    pub(super) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map(String::as_str).unwrap_or_default()
    }

    /// Only for somebody who has signed in.
    pub(super) fn session(&self) -> Result<Arc<Session>, Response> {
        let refused = || super::layout::refusal(&self.visitor, StatusCode::FORBIDDEN, Page::Refused);
        self.visitor.session.clone().ok_or_else(refused)
    }
}

impl FromRequest<Arc<Site>> for Posted {
    type Rejection = Response;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, site).await?;
        let form =
            Form::<HashMap<String, String>>::from_request(Request::from_parts(parts, body), site).await;
        let fields = form.map(|Form(fields)| fields).map_err(|rejection: FormRejection| {
            super::layout::refusal(&visitor, rejection.status(), Page::TooLarge)
        })?;
        let token = fields.get("token").map(String::as_str).unwrap_or_default();
        if !visitor.secret.is_form_token(token) {
            return Err(super::layout::refusal(&visitor, StatusCode::FORBIDDEN, Page::FormExpired));
        }
        Ok(Self { visitor, fields })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_chosen_by_the_reader() {
        let of = |accept: &str, cookie: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, accept.parse().unwrap());
            headers.insert(header::COOKIE, cookie.parse().unwrap());
            language(&headers)
        };
        assert_eq!(of("fr-FR,fr;q=0.9,en;q=0.8", ""), Lang::Fr);
        assert_eq!(of("de,en;q=0.5,fr;q=0.7", "a=b"), Lang::Fr);
        assert_eq!(of("de", ""), Lang::En);
        assert_eq!(of("é;q=x,,;q=", ""), Lang::En);
        assert_eq!(of("fr", "x=1; clusteria-lang=en"), Lang::En);
    }
}
