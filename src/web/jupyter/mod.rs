//! JupyterLab in the container, for its holder and nobody else, on listeners of its own.
//!
//! [`Door`] answers there. Who comes by the page's button is sent here to `OPEN_PATH`, which gives their browser a secret;
//! then to the page for a ticket that only this browser can redeem ([`ticket`]); and gets a cookie for it. Every request
//! with that cookie is carried to 127.0.0.1:8888 of the container of that reservation, and there is no way to name
//! another host or port. JupyterLab knows by a header that the gateway vouches for the request: a code that only who knows
//! the hash of the reservation's password can make, which are the ledger, the agent and JupyterLab itself.
//!
//! What a container answers is its student's, or a stranger's whose notebook they have opened. It is shown under this
//! origin and not the page's; `headers` takes from it what would reach further than its own answer. No service worker is
//! let in: one would stay in the browser, and answer for the next reservation's JupyterLab.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, header};
use axum::response::IntoResponse;
use maud::{DOCTYPE, html};
use tokio::time::sleep;

mod carry;
mod headers;
mod tickets;

use tickets::Ticket;
pub(super) use tickets::Tickets;

use super::cookies::{add_cookie, cookie, is_planted, unplant};
use super::guard::{host, is_ours};
use super::layout;
use super::session::{Secret, Session, hex};
use super::visitor::{Member, Posted, Visitor, language};
use super::{Ends, Site};
use crate::audit::Event;
use crate::reservation::{MachineName, Refusal, Reservation, State, UserName};
use crate::store::PassRecord;
use crate::text::Say;
use crate::text::web::Page;

/// Where a browser gets its secret, and where it redeems its ticket: paths that JupyterLab does not have.
const OPEN_PATH: &str = "/clusteria/open";
const TICKET_PATH: &str = "/clusteria/ticket/";
/// Where JupyterLab begins.
const START: &str = "/lab";
/// A password that another click is making is there within a moment.
const LOOK: Duration = Duration::from_millis(100);
const LOOKS: usize = 50;
/// Of a hash in hexadecimal digits.
const HASH_CHARS: usize = 64;

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
        let planted = self.planted(&request);
        let mut answer = match self.try_answer(request).await {
            Ok(answer) => return answer,
            Err(No::Refused(status, words)) => (status, words.say(lang) + "\n").into_response(),
            Err(No::ToThePage(to)) => (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response(),
            Err(No::OtherMachine(mine)) => {
                let words = Page::ProxyOtherMachine { slot: &mine.slot };
                (StatusCode::CONFLICT, words.say(lang) + "\n").into_response()
            }
        };
        for gone in &planted {
            add_cookie(&mut answer, gone);
        }
        answer
    }

    /// What takes cookies of our names away that scripts have planted here: a second one locks its owner out, and stays.
    fn planted(&self, request: &Request<Body>) -> Vec<String> {
        let (asked, https) = (request.headers(), self.site.https());
        let names = [headers::cookie_name(https), headers::browser_cookie_name(https)];
        let planted = names.into_iter().filter(|name| is_planted(asked, name));
        planted.flat_map(|name| unplant(name, host(asked), request.uri().path())).collect()
    }

    async fn try_answer(&self, request: Request<Body>) -> Result<Response<Body>, No> {
        let refused = |status, words| Err(No::Refused(status, words));
        let ends = request.extensions().get::<Ends>().copied();
        let asked = host(request.headers()).to_owned();
        let once = request.headers().get_all(header::HOST).iter().count() == 1;
        if !once || !ends.is_some_and(|ends| self.site.names.knows(&asked, ends.local)) {
            return refused(StatusCode::MISDIRECTED_REQUEST, Page::WrongHost);
        }
        if request.headers().contains_key(headers::SERVICE_WORKER) {
            return refused(StatusCode::FORBIDDEN, Page::Refused);
        }
        if request.uri().path() == OPEN_PATH {
            return self.open(&asked, request.uri().query());
        }
        if let Some(ticket) = request.uri().path().strip_prefix(TICKET_PATH) {
            let redeemed = self.redeem(ticket, request.headers()).await;
            return redeemed.ok_or(No::ToThePage(self.site.names.page(&asked)));
        }
        let Some(pass) = self.pass(request.headers()).await else {
            let is_page = request.method() == Method::GET && !headers::is_upgrade(request.headers());
            let page = || No::ToThePage(self.site.names.page(&asked) + "/reservation");
            return Err(if is_page { page() } else { No::Refused(StatusCode::FORBIDDEN, Page::ProxySignIn) });
        };
        if [Method::CONNECT, Method::TRACE].contains(request.method()) {
            return refused(StatusCode::METHOD_NOT_ALLOWED, Page::Refused);
        }
        // Of what only shows something, JupyterLab says itself who may embed it.
        let changes = ![Method::GET, Method::HEAD].contains(request.method());
        let origin = self.site.names.origin(&asked);
        if (changes || headers::is_upgrade(request.headers())) && !is_ours(request.headers(), &origin) {
            return refused(StatusCode::FORBIDDEN, Page::Refused);
        }
        let mine = self.reservation(&pass).await?;
        carry::carry(&self.site, &mine, &origin, request).await
    }

    async fn pass(&self, asked: &HeaderMap) -> Option<PassRecord> {
        let cookie = Secret::read(cookie(asked, headers::cookie_name(self.site.https()))?)?;
        self.site.tickets.pass(&cookie, self.site.sessions.too_old()).await
    }

    /// Their reservation, if it is still the one that the cookie is for.
    async fn reservation(&self, pass: &PassRecord) -> Result<Reservation, No> {
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

    /// A secret for this browser, and back to the page for a ticket that is good with it only.
    fn open(&self, asked: &str, query: Option<&str>) -> Result<Response<Body>, No> {
        let failed = || No::Refused(StatusCode::SERVICE_UNAVAILABLE, Page::SomethingFailed);
        let secret = Secret::new().ok_or_else(failed)?;
        let names = &self.site.names;
        let from = query.and_then(|query| query.strip_prefix("from="));
        let page = from.and_then(|from| names.page_by(from)).unwrap_or_else(|| names.page(asked));
        let https = self.site.https();
        let answer = [
            (header::SET_COOKIE, self.cookie(headers::browser_cookie_name(https), &secret, "Lax")),
            (header::LOCATION, format!("{page}/jupyter/ticket/{}", hex(secret.key()))),
            (header::CACHE_CONTROL, "no-store".to_owned()),
        ];
        Ok((StatusCode::SEE_OTHER, answer).into_response())
    }

    async fn redeem(&self, ticket: &str, asked: &HeaderMap) -> Option<Response<Body>> {
        let https = self.site.https();
        let browser = Secret::read(cookie(asked, headers::browser_cookie_name(https))?)?;
        let secret = self.site.tickets.redeem(&Secret::read(ticket)?, &browser).await?;
        // Not a redirect: where the page has another host, browsers would count what follows as coming from elsewhere, and
        // keep the cookie back.
        let answer = [
            (header::SET_COOKIE, self.cookie(headers::cookie_name(https), &secret, "Strict")),
            (header::REFRESH, format!("0; url={START}")),
            (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
            (header::CONTENT_SECURITY_POLICY, "default-src 'none'".to_owned()),
            (header::REFERRER_POLICY, "no-referrer".to_owned()),
            (header::CACHE_CONTROL, "no-store".to_owned()),
            // What the reservation before has left in this browser: nothing of it answers for this one.
            (headers::CLEAR_SITE_DATA, "\"cache\", \"storage\"".to_owned()),
        ];
        let text = html! { (DOCTYPE) title { "JupyterLab" } a href=(START) { "JupyterLab" } };
        Some((answer, text.into_string()).into_response())
    }

    fn cookie(&self, name: &str, secret: &Secret, same_site: &str) -> String {
        let secure = if self.site.https() { "; Secure" } else { "" };
        format!("{name}={}; Path=/; HttpOnly; SameSite={same_site}{secure}", secret.reveal())
    }
}

/// Why it was not carried.
enum No {
    Refused(StatusCode, Page<'static>),
    ToThePage(String),
    OtherMachine(Reservation),
}

/// `POST /jupyter` on the page: on to JupyterLab's origin, which comes back for a ticket.
pub(super) async fn open(form: Posted) -> Result<axum::response::Response, axum::response::Response> {
    let session = form.session()?;
    let visitor = form.visitor;
    let mine = active(&visitor, session.who.user())?;
    // JupyterLab is closed without a password. Nobody has to know this one: the button is the way in.
    if !has_password(&visitor, &session, &mine).await {
        return Err(layout::refusal(&visitor, StatusCode::SERVICE_UNAVAILABLE, Page::SomethingFailed));
    }
    let place = place(&visitor, &mine)?;
    visitor.site.door.audit.note(Event::Forward {
        user: mine.user.clone(),
        source: visitor.peer,
        kind: "page",
        target: "JupyterLab".to_owned(),
        unwritten: 0,
    });
    Ok(onward(&visitor, &format!("{place}{OPEN_PATH}?from={}", visitor.host)))
}

/// Has the reservation a password, or has it one now? Another click may be at it.
async fn has_password(visitor: &Visitor, session: &Session, mine: &Reservation) -> bool {
    let workspaces = &visitor.site.door.workspaces;
    for _ in 0..LOOKS {
        if workspaces.has_password(&mine.id).await {
            return true;
        }
        match workspaces.renew_password_from(&mine.user, visitor.spared(session)).await {
            Err(Refusal::TooMuchAtOnce) => sleep(LOOK).await,
            made => return matches!(made, Ok(Some(_))),
        }
    }
    false
}

/// `GET /jupyter/ticket/{browser}`: back to JupyterLab's origin with a ticket. It changes nothing and tells nobody anything
/// who makes somebody else ask for it: the ticket goes to their own browser, and is good only with the secret there.
pub(super) async fn ticket(
    Path(browser): Path<String>,
    Member { visitor, session }: Member,
) -> Result<axum::response::Response, axum::response::Response> {
    let mine = active(&visitor, session.who.user())?;
    if browser.len() != HASH_CHARS {
        return Err(layout::refusal(&visitor, StatusCode::NOT_FOUND, Page::NotFound));
    }
    let place = place(&visitor, &mine)?;
    let ticket = Ticket { session: visitor.secret.key(), reservation: mine.id, browser };
    let busy = || layout::refusal(&visitor, StatusCode::SERVICE_UNAVAILABLE, Page::SomethingFailed);
    let ticket = visitor.site.tickets.issue(ticket).ok_or_else(busy)?;
    let to = format!("{place}{TICKET_PATH}{}", ticket.reveal());
    Ok(visitor.answer((StatusCode::SEE_OTHER, [(header::LOCATION, to)])))
}

fn active(visitor: &Visitor, user: &UserName) -> Result<Reservation, axum::response::Response> {
    let mine = visitor.site.door.workspaces.desk().read(|book| book.of(user).cloned());
    let none = || layout::refusal(visitor, StatusCode::CONFLICT, Page::ProxyNoReservation);
    mine.filter(|mine| mine.state == State::Active).ok_or_else(none)
}

fn place(visitor: &Visitor, mine: &Reservation) -> Result<String, axum::response::Response> {
    let none = || layout::refusal(visitor, StatusCode::NOT_FOUND, Page::NotFound);
    visitor.site.names.jupyter(&visitor.host, &mine.slot.machine).ok_or_else(none)
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
