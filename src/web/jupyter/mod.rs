//! JupyterLab in the container, for its holder and nobody else, on listeners of its own.
//!
//! [`Door`] answers there. Who comes by the page's button has a ticket, and gets a cookie for it; every request with
//! that cookie is carried to 127.0.0.1:8888 of the container of that reservation, and there is no way to name another
//! host or port. JupyterLab knows by a header that the gateway vouches for the request: a code that only who knows the
//! hash of the reservation's password can make, which are the ledger, the agent and JupyterLab itself.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, header};
use axum::response::IntoResponse;
use maud::html;
use tokio::time::Instant;

mod carry;
mod headers;
mod tickets;

use tickets::Pass;
pub(super) use tickets::Tickets;

use super::guard::{host, is_ours};
use super::layout;
use super::session::{Secret, Session};
use super::visitor::{Posted, Visitor, cookie, language};
use super::{Ends, Site};
use crate::audit::Event;
use crate::reservation::{MachineName, Reservation, State};
use crate::text::Say;
use crate::text::web::Page;

/// Where a ticket is redeemed: a path that JupyterLab does not have.
const TICKET_PATH: &str = "/clusteria/ticket/";

/// What answers on a listener.
#[derive(Clone)]
pub(super) struct Door {
    site: Arc<Site>,
    machine: Option<MachineName>,
}

impl Door {
    pub(super) fn new(site: Arc<Site>, machine: Option<MachineName>) -> Self {
        Self { site, machine }
    }

    pub(super) async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let lang = language(request.headers());
        match self.try_answer(request).await {
            Ok(answer) => answer,
            Err(No::Refused(status, words)) => (status, words.say(lang) + "\n").into_response(),
            Err(No::ToThePage(to)) => (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response(),
            Err(No::OtherMachine(mine)) => {
                let words = Page::ProxyOtherMachine { slot: &mine.slot };
                (StatusCode::CONFLICT, words.say(lang) + "\n").into_response()
            }
        }
    }

    async fn try_answer(&self, request: Request<Body>) -> Result<Response<Body>, No> {
        let refused = |status, words| Err(No::Refused(status, words));
        let ends = request.extensions().get::<Ends>().copied();
        let asked = host(request.headers()).to_owned();
        let once = request.headers().get_all(header::HOST).iter().count() == 1;
        if !once || !ends.is_some_and(|ends| self.site.names.knows(&asked, ends.local)) {
            return refused(StatusCode::MISDIRECTED_REQUEST, Page::WrongHost);
        }
        if let Some(ticket) = request.uri().path().strip_prefix(TICKET_PATH) {
            return self.redeem(ticket).ok_or(No::ToThePage(self.site.names.page(&asked)));
        }
        let Some(pass) = self.pass(&request) else {
            let is_page = request.method() == Method::GET && !headers::is_upgrade(request.headers());
            let page = || No::ToThePage(self.site.names.page(&asked) + "/reservation");
            return Err(if is_page { page() } else { No::Refused(StatusCode::FORBIDDEN, Page::ProxySignIn) });
        };
        // Of what only shows something, JupyterLab says itself who may embed it.
        let changes = ![Method::GET, Method::HEAD].contains(request.method());
        let origin = self.site.names.origin(&asked);
        if (changes || headers::is_upgrade(request.headers())) && !is_ours(request.headers(), &origin) {
            return refused(StatusCode::FORBIDDEN, Page::Refused);
        }
        let mine = self.reservation(&pass).await?;
        carry::carry(&self.site, &mine, &origin, request).await
    }

    fn pass(&self, request: &Request<Body>) -> Option<Pass> {
        let cookie = cookie(request.headers(), headers::cookie_name(self.site.https()))?;
        self.site.tickets.pass(&Secret::read(cookie)?)
    }

    /// Their reservation, if it is still the one that the cookie is for.
    async fn reservation(&self, pass: &Pass) -> Result<Reservation, No> {
        let mine = self.site.door.workspaces.desk().read(|book| book.of(&pass.user).cloned());
        let gone = || No::Refused(StatusCode::FORBIDDEN, Page::ProxyNoReservation);
        let mine = mine.filter(|mine| mine.id == pass.reservation && mine.state == State::Active);
        let mine = mine.ok_or_else(gone)?;
        let accepted = self.site.door.charter.is_accepted(&pass.user);
        if !accepted || !super::visitor::is_open(&self.site, &pass.user).await {
            return Err(gone());
        }
        match &self.machine {
            Some(machine) if *machine != mine.slot.machine => Err(No::OtherMachine(mine)),
            _ => Ok(mine),
        }
    }

    fn redeem(&self, ticket: &str) -> Option<Response<Body>> {
        let secret = self.site.tickets.redeem(&Secret::read(ticket)?)?;
        let https = self.site.https();
        let (name, secure) = (headers::cookie_name(https), if https { "; Secure" } else { "" });
        let cookie = format!("{name}={}; Path=/; HttpOnly; SameSite=Strict{secure}", secret.reveal());
        let answer = [
            (header::SET_COOKIE, cookie),
            (header::LOCATION, "/lab".to_owned()),
            (header::REFERRER_POLICY, "no-referrer".to_owned()),
            (header::CACHE_CONTROL, "no-store".to_owned()),
        ];
        Some((StatusCode::SEE_OTHER, answer).into_response())
    }
}

/// Why it was not carried.
enum No {
    Refused(StatusCode, Page<'static>),
    ToThePage(String),
    OtherMachine(Reservation),
}

/// `POST /jupyter` on the page: on to JupyterLab, with a ticket.
pub(super) async fn open(form: Posted) -> Result<axum::response::Response, axum::response::Response> {
    let session = form.session()?;
    let visitor = form.visitor;
    let workspaces = &visitor.site.door.workspaces;
    let mine = workspaces.desk().read(|book| book.of(session.who.user()).cloned());
    let Some(mine) = mine.filter(|mine| mine.state == State::Active) else {
        return Err(layout::refusal(&visitor, StatusCode::CONFLICT, Page::ProxyNoReservation));
    };
    // JupyterLab is closed without a password. Nobody has to know this one: the button is the way in.
    if !workspaces.has_password(&mine.id).await && workspaces.renew_password(&mine.user).await.is_err() {
        return Err(layout::refusal(&visitor, StatusCode::SERVICE_UNAVAILABLE, Page::SomethingFailed));
    }
    let place = visitor.site.names.jupyter(&visitor.host, &mine.slot.machine);
    let ticket = visitor.site.tickets.issue(pass(&mine, &session));
    match (place, ticket) {
        (Some(place), Some(ticket)) => {
            visitor.site.door.audit.note(Event::Forward {
                user: mine.user.clone(),
                source: visitor.peer,
                kind: "page",
                target: "JupyterLab".to_owned(),
            });
            let to = format!("{place}{TICKET_PATH}{}", ticket.reveal());
            Ok(onward(&visitor, &to))
        }
        _ => Err(layout::refusal(&visitor, StatusCode::NOT_FOUND, Page::NotFound)),
    }
}

/// Not a redirect: browsers hold the policy's `form-action` against where a form ends up, and that is another origin.
fn onward(visitor: &Visitor, to: &str) -> axum::response::Response {
    let words = visitor.say(Page::OpenJupyter);
    let main = html! { h1 { (words) } p { a href=(to) { (words) } } };
    let mut answer = layout::show(visitor, &words, &main);
    if let Ok(refresh) = format!("0; url={to}").parse() {
        answer.headers_mut().insert(header::REFRESH, refresh);
    }
    answer
}

fn pass(mine: &Reservation, session: &Session) -> Pass {
    let until: Instant = session.until();
    Pass { user: mine.user.clone(), reservation: mine.id.clone(), until }
}
