//! Signing in: the same ways as by SSH, through the same throttle. The username and password may come together with the
//! wish for a slot, which is then granted as soon as all is proved.

use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, PreEscaped, html};

use super::cookies::add_cookie;
use super::home;
use super::layout::{self, token};
use super::session::Notice;
use super::visitor::{Posted, Visitor, language_cookie};
use crate::auth::{Attempt, Denial, Half, Login, MAX_PASSWORD, totp};
use crate::config::AuthMethod;
use crate::error_chain::in_full;
use crate::reservation::{SlotId, UserName};
use crate::text::login::Login as Words;
use crate::text::web::Page;
use crate::text::{Lang, qr};

/// `GET /sign-in`
pub(super) async fn form(visitor: Visitor) -> Response {
    if visitor.session.is_some() {
        return visitor.go("/");
    }
    page(&visitor, StatusCode::OK, &[], "")
}

fn page(visitor: &Visitor, status: StatusCode, said: &[Notice], name: &str) -> Response {
    let title = visitor.say(Page::SignIn);
    let main = html! {
        h1 { (title) }
        form.narrow method="post" action="/sign-in" {
            (token(visitor))
            (credentials(visitor, name))
            button.main { (title) }
        }
    };
    layout::with_status(visitor, status, &title, said, &main)
}

/// The fields of who has not signed in.
pub(super) fn credentials(visitor: &Visitor, name: &str) -> Markup {
    let auth = &visitor.site.door.auth;
    let (tailnet, password) = (auth.allows(AuthMethod::Tailnet), auth.allows(AuthMethod::Password));
    let hint = if password { Page::PasswordHint { tailnet } } else { Page::TailnetOnly };
    html! {
        label for="user" { (visitor.say(Page::UserName)) }
        input id="user" name="user" value=(name) required autocomplete="username" autocapitalize="none"
            spellcheck="false" maxlength="64";
        @if password {
            label for="password" { (visitor.say(Page::Password)) }
            input id="password" name="password" type="password" autocomplete="current-password"
                maxlength=(MAX_PASSWORD) aria-describedby="password-hint" required[!tailnet];
        }
        p.hint id="password-hint" { (visitor.say(hint)) }
    }
}

/// `POST /sign-in`
pub(super) async fn post(form: Posted) -> Response {
    enter(form, None).await
}

/// Proves who they are by what the form says.
pub(super) async fn enter(form: Posted, wish: Option<SlotId>) -> Response {
    let login = prove(&form).await;
    let name: String = form.field("user").chars().take(64).collect();
    concluded(form.visitor, login, wish, &name).await
}

async fn prove(form: &Posted) -> Login {
    let auth = &form.visitor.site.door.auth;
    let (name, password) = (form.field("user").trim(), form.field("password"));
    let peer = form.visitor.peer;
    if password.is_empty() && auth.allows(AuthMethod::Tailnet) {
        let who = Attempt { name, peer, method: "page tailnet" };
        return auth.tailnet(who).await.unwrap_or(Login::Out(Denial::Wrong));
    }
    if !auth.allows(AuthMethod::Password) || password.len() > MAX_PASSWORD {
        return Login::Out(Denial::Wrong);
    }
    auth.password(Attempt { name, peer, method: "page password" }, password).await
}

async fn concluded(mut visitor: Visitor, login: Login, wish: Option<SlotId>, name: &str) -> Response {
    match login {
        Login::In(identity, checked) => {
            visitor.renew();
            let user = identity.user().clone();
            let begun = visitor.site.sessions.begin(&visitor.secret, identity, &checked, wish.clone()).await;
            if begun.is_none() {
                return turned_away(&visitor, Denial::Wrong, wish, name);
            }
            visitor.session = begun;
            join_languages(&mut visitor, &user).await;
            let mut answer = proceed(&visitor).await;
            if let Some(lang) = visitor.site.door.languages.of(&user) {
                add_cookie(&mut answer, &language_cookie(lang, visitor.site.https()));
            }
            answer
        }
        Login::Half(half) => {
            visitor.renew();
            visitor.site.sessions.keep_half(&visitor.secret, half, wish);
            visitor.go("/code")
        }
        Login::Out(denial) => turned_away(&visitor, denial, wish, name),
    }
}

/// The form again, with what they had typed and chosen.
fn turned_away(visitor: &Visitor, denial: Denial, wish: Option<SlotId>, name: &str) -> Response {
    let (status, text) = denied(visitor, denial);
    let said = [Notice { text, bad: true }];
    match wish {
        Some(slot) => home::page(visitor, status, &said, Some(&slot), name),
        None => page(visitor, status, &said, name),
    }
}

/// Theirs, as the menu knows it; where they have chosen none yet, what they chose in this browser.
async fn join_languages(visitor: &mut Visitor, user: &UserName) {
    match (visitor.site.door.languages.of(user), visitor.chosen_here) {
        (Some(lang), _) => visitor.lang = lang,
        (None, Some(lang)) => remember(visitor, user, lang).await,
        (None, None) => {}
    }
}

async fn remember(visitor: &Visitor, user: &UserName, lang: Lang) {
    if let Err(e) = visitor.site.door.languages.choose(user, lang).await {
        tracing::warn!(%user, "the language is not remembered: {}", in_full(&e));
    }
}

fn denied(visitor: &Visitor, denial: Denial) -> (StatusCode, String) {
    let status = match denial {
        Denial::Wrong => return (StatusCode::FORBIDDEN, visitor.say(Page::WrongLogin)),
        Denial::Later(_) => StatusCode::TOO_MANY_REQUESTS,
        Denial::DirectoryDown | Denial::Busy => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, visitor.say(Words::Denied(denial)))
}

/// What comes after signing in: the charter, then what was wished for.
pub(super) async fn proceed(visitor: &Visitor) -> Response {
    let Some(session) = &visitor.session else { return visitor.go("/sign-in") };
    if !visitor.site.door.charter.is_accepted(session.who.user()) {
        return visitor.go("/charter");
    }
    match session.take_wish() {
        Some(slot) => home::reserve(visitor, session, slot),
        None => visitor.go("/"),
    }
}

/// `GET /code`
pub(super) async fn code_form(visitor: Visitor) -> Response {
    match visitor.site.sessions.half(&visitor.secret) {
        Some((half, _)) => code_page(&visitor, StatusCode::OK, &half, &[]),
        None => visitor.go("/sign-in"),
    }
}

fn code_page(visitor: &Visitor, status: StatusCode, half: &Half, said: &[Notice]) -> Response {
    let title = visitor.say(Page::CodeHeading);
    let main = html! {
        h1 { (title) }
        @match half.to_enrol() {
            Some(secret) => {
                p { (visitor.say(Page::EnrolHelp)) }
                (picture(&totp::uri(&visitor.site.config.cluster.name, half.user().as_str(), secret)))
                (layout::copied(visitor, "secret", secret))
            }
            None => p { (visitor.say(Page::CodeHelp)) },
        }
        form.narrow method="post" action="/code" {
            (token(visitor))
            label for="code" { (visitor.say(Page::Code)) }
            input id="code" name="code" required inputmode="numeric" autocomplete="one-time-code" maxlength="16";
            button.main { (visitor.say(Page::Continue)) }
        }
    };
    layout::with_status(visitor, status, &title, said, &main)
}

/// The picture that applications read.
fn picture(uri: &str) -> Markup {
    let Some((size, path)) = qr::path(uri) else { return html! {} };
    html! {
        svg.qr viewBox={ "0 0 " (size) " " (size) } role="img" aria-label="QR" {
            rect width=(size) height=(size) fill="#fff" {}
            path d=(PreEscaped(path)) fill="#000" {}
        }
    }
}

/// `POST /code`
pub(super) async fn code(form: Posted) -> Response {
    let visitor = form.visitor;
    let Some((half, wish)) = visitor.site.sessions.half(&visitor.secret) else {
        return visitor.go("/sign-in");
    };
    let name = half.user().to_string();
    let who = Attempt { name: &name, peer: visitor.peer, method: "page code" };
    let code = form.fields.get("code").map(|code| code.trim().to_owned()).unwrap_or_default();
    match visitor.site.door.auth.code(who, half.clone(), &code).await {
        Login::Out(denial) => {
            let (status, text) = denied(&visitor, denial);
            code_page(&visitor, status, &half, &[Notice { text, bad: true }])
        }
        login => concluded(visitor, login, wish, &name).await,
    }
}

/// `POST /sign-out`
pub(super) async fn out(form: Posted) -> Response {
    let mut visitor = form.visitor;
    visitor.session = None;
    visitor.site.sessions.end(&visitor.secret).await;
    visitor.renew();
    visitor.go("/")
}

/// `POST /language`
pub(super) async fn language(form: Posted) -> Response {
    let lang = if form.field("lang") == "fr" { Lang::Fr } else { Lang::En };
    let back = form.field("back");
    // A path of ours, and nothing that a browser could take for another host.
    let is_path =
        back.starts_with('/') && back.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-".contains(&b));
    let back = if is_path && !back.starts_with("//") { back } else { "/" };
    if let Some(session) = &form.visitor.session {
        remember(&form.visitor, session.who.user(), lang).await;
    }
    let mut answer = form.visitor.go(back);
    add_cookie(&mut answer, &language_cookie(lang, form.visitor.site.https()));
    answer
}
