//! The charter: read and accepted before anything is reserved.

use axum::http::StatusCode;
use axum::response::Response;
use maud::html;

use super::layout::{self, token};
use super::sign_in::proceed;
use super::visitor::{Member, Posted};
use crate::error_chain::in_full;
use crate::text::web::Page;

/// `GET /charter`
pub(super) async fn page(Member { visitor, session }: Member) -> Response {
    let charter = &visitor.site.door.charter;
    let title = visitor.say(Page::CharterHeading);
    let accepted = charter.is_accepted(session.who.user());
    let Some(text) = charter.text(visitor.lang) else {
        return layout::refusal(&visitor, StatusCode::NOT_FOUND, Page::NotFound);
    };
    let main = html! {
        h1 { (title) }
        div.charter tabindex="0" role="region" aria-label=(title) { (text) }
        @if accepted {
            p { (visitor.say(Page::CharterAccepted)) }
        } @else {
            form method="post" action="/charter" {
                (token(&visitor))
                button.main { (visitor.say(Page::CharterAccept)) }
            }
        }
    };
    layout::show(&visitor, &title, &main)
}

/// `POST /charter`
pub(super) async fn accept(form: Posted) -> Result<Response, Response> {
    let session = form.session()?;
    let visitor = form.visitor;
    if let Err(e) = visitor.site.door.charter.accept(session.who.user()).await {
        tracing::error!(user = %session.who.user(), "charter: {}", in_full(&e));
        return Err(layout::refusal(&visitor, StatusCode::SERVICE_UNAVAILABLE, Page::SomethingFailed));
    }
    if !session.has_wish() {
        session.say(visitor.say(Page::CharterAccepted), false);
    }
    Ok(proceed(&visitor).await)
}
