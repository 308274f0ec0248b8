//! The frame around every page, and the answers that are only a word.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::assets;
use super::session::Notice;
use super::visitor::Visitor;
use crate::text::printable;
use crate::text::web::Page;

/// HTML as an answer.
pub(super) fn show(visitor: &Visitor, title: &str, main: &Markup) -> Response {
    with_status(visitor, StatusCode::OK, title, &[], main)
}

/// With words above it that only this answer says.
pub(super) fn with_status(
    visitor: &Visitor,
    status: StatusCode,
    title: &str,
    said: &[Notice],
    main: &Markup,
) -> Response {
    let text = frame(visitor, title, said, main).into_string();
    visitor.answer((status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], text))
}

/// A page that says why not.
pub(super) fn refusal(visitor: &Visitor, status: StatusCode, words: Page<'_>) -> Response {
    let title = visitor.say(words);
    let main = html! {
        h1 { (title) }
        p { a href="/" { (visitor.say(Page::BackToMachines)) } }
    };
    with_status(visitor, status, &title, &[], &main).into_response()
}

fn frame(visitor: &Visitor, title: &str, said: &[Notice], main: &Markup) -> Markup {
    let kept = match &visitor.session {
        Some(session) if !visitor.live => session.take_notices(),
        _ => Vec::new(),
    };
    let cluster = printable(&visitor.site.config.cluster.name);
    html! {
        (DOCTYPE)
        html lang=(visitor.lang.pick("en", "fr")) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · " (cluster) }
                link rel="icon" href=(assets::icon()) type="image/svg+xml";
                link rel="stylesheet" href=(assets::style());
                script src=(assets::script()) defer {}
            }
            body {
                a.skip href="#main" { (visitor.say(Page::SkipToContent)) }
                (top(visitor, &cluster))
                main id="main" tabindex="-1" {
                    div id="said" role="status" {
                        @for notice in kept.iter().chain(said) {
                            p.notice.bad[notice.bad] { (notice.text) }
                        }
                    }
                    (main)
                }
                footer {
                    @if let Some(motd) = &visitor.site.config.cluster.motd {
                        p { (printable(motd)) }
                    }
                    p.hint { (visitor.say(Page::StorageHelp)) }
                    p.hint id="connection" role="status" data-live-words=(visitor.say(Page::Live))
                        data-lost-words=(visitor.say(Page::NotLive)) {}
                }
            }
        }
    }
}

fn top(visitor: &Visitor, cluster: &str) -> Markup {
    let here = |path: &str| (visitor.path == path).then_some("page");
    let link = |path: &str, words: Page<'_>| {
        html! { a href=(path) aria-current=[here(path)] { (visitor.say(words)) } }
    };
    html! {
        header {
            a.brand href="/" { (cluster) }
            nav aria-label=(cluster) {
                (link("/", Page::Machines))
                @if visitor.session.is_some() {
                    (link("/reservation", Page::MyReservation))
                    (link("/keys", Page::Keys))
                    (link("/tokens", Page::Tokens))
                }
                @if visitor.admin { (link("/admin", Page::Administration)) }
            }
            div.account {
                form method="post" action="/language" {
                    (token(visitor))
                    input type="hidden" name="back" value=(visitor.path);
                    button.plain name="lang" value=(visitor.lang.pick("fr", "en"))
                        lang=(visitor.lang.pick("fr", "en")) { (visitor.say(Page::OtherLanguage)) }
                }
                @match visitor.user() {
                    Some(user) => {
                        span { span.hint { (visitor.say(Page::SignedInAs)) } " " strong { (user) } }
                        form method="post" action="/sign-out" {
                            (token(visitor))
                            button.plain { (visitor.say(Page::SignOut)) }
                        }
                    }
                    None => (link("/sign-in", Page::SignIn)),
                }
            }
        }
    }
}

/// What every form carries: it was made for this visitor.
pub(super) fn token(visitor: &Visitor) -> Markup {
    html! { input type="hidden" name="token" value=(visitor.secret.form_token()); }
}

/// Something to copy, with its button where there is a script.
pub(super) fn copied(visitor: &Visitor, id: &str, text: &str) -> Markup {
    html! {
        div.copy {
            pre id=(id) tabindex="0" { (text) }
            button type="button" id={ "copy-" (id) } data-copy=(id) data-done=(visitor.say(Page::Copied)) hidden
                aria-label={ (visitor.say(Page::Copy)) ": " (text.lines().next().unwrap_or_default()) } {
                (visitor.say(Page::Copy))
            }
        }
    }
}
