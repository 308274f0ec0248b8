//! One's tokens for the API: made here only, by somebody who has signed in.

use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use super::layout::{self, copied, token};
use super::session::Session;
use super::visitor::{Member, Posted, Visitor};
use crate::text::account::Account;
use crate::text::printable;
use crate::text::session::moment;
use crate::text::web::Page;

/// `GET /tokens`
pub(super) async fn page(Member { visitor, session }: Member) -> Response {
    let main = main(&visitor, &session, None).await;
    layout::show(&visitor, &visitor.say(Page::Tokens), &main)
}

async fn main(visitor: &Visitor, session: &Session, made: Option<&str>) -> Markup {
    let tokens = visitor.site.door.auth.tokens(&session.who).await.unwrap_or_default();
    html! {
        h1 { (visitor.say(Page::Tokens)) }
        p { (visitor.say(Page::TokensHelp)) " " a href="/api/v1/openapi.json" { "OpenAPI" } }
        @if let Some(made) = made {
            section.card {
                p { (visitor.say(Page::TokenOnce)) }
                (copied(visitor, "token", made))
            }
        }
        @if tokens.is_empty() { p { (visitor.say(Page::NoTokens)) } }
        @for record in &tokens {
            section.card {
                h2 { (printable(&record.label)) " " code { (record.id) } }
                p.hint {
                    (moment(record.created)) " · " (visitor.say(Page::LastUsed)) ": "
                    @match record.last_used {
                        Some(time) => (moment(time)),
                        None => (visitor.say(Page::NeverUsed)),
                    }
                }
                form method="post" action="/tokens/remove" {
                    (token(visitor))
                    input type="hidden" name="id" value=(record.id);
                    button aria-label={ (visitor.say(Page::Remove)) " " (record.id) } {
                        (visitor.say(Page::Remove))
                    }
                }
            }
        }
        form.card method="post" action="/tokens" {
            (token(visitor))
            label for="label" { (visitor.say(Page::TokenLabel)) }
            input id="label" name="label" required maxlength="64" autocomplete="off";
            p { button.main { (visitor.say(Page::TokenMake)) } }
        }
    }
}

/// `POST /tokens`: the answer is the only place where it is shown.
pub(super) async fn make(form: Posted) -> Result<Response, Response> {
    let session = form.session()?;
    let visitor = &form.visitor;
    if !session.who.permissions().enrolment {
        session.say(visitor.say(Account::Restricted), true);
        return Ok(visitor.go("/tokens"));
    }
    match visitor.site.door.auth.make_token(&session.who, form.field("label")).await {
        Ok((made, _)) => {
            let main = main(visitor, &session, Some(&made)).await;
            Ok(layout::with_status(visitor, StatusCode::CREATED, &visitor.say(Page::Tokens), &[], &main))
        }
        Err(error) => {
            session.say(visitor.say(Account::Refused(&error)), true);
            Ok(visitor.go("/tokens"))
        }
    }
}

/// `POST /tokens/remove`
pub(super) async fn remove(form: Posted) -> Result<Response, Response> {
    let session = form.session()?;
    match form.visitor.site.door.auth.remove_token(&session.who, form.field("id")).await {
        Ok(true) => session.say(form.visitor.say(Page::TokenRemoved), false),
        Ok(false) => session.say(form.visitor.say(Page::NotFound), true),
        Err(error) => session.say(form.visitor.say(Account::Refused(&error)), true),
    }
    Ok(form.visitor.go("/tokens"))
}
