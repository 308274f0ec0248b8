//! One's SSH keys.

use axum::response::Response;
use maud::html;

use super::layout::{self, token};
use super::session::Session;
use super::visitor::{Member, Posted};
use crate::auth::OwnError;
use crate::text::account::Account;
use crate::text::printable;
use crate::text::session::moment;
use crate::text::web::Page;

/// `GET /keys`
pub(super) async fn page(Member { visitor, session }: Member) -> Response {
    let title = visitor.say(Page::Keys);
    let keys = visitor.site.door.auth.keys(&session.who).await.unwrap_or_default();
    let main = html! {
        h1 { (title) }
        p { (visitor.say(Page::KeysHelp)) }
        @if keys.is_empty() { p { (visitor.say(Page::NoKeys)) } }
        @for key in &keys {
            section.card {
                h2 { (printable(&key.comment)) @if key.comment.is_empty() { (visitor.say(Page::KeyName)) } }
                p.long { code { (key.fingerprint) } }
                p.hint {
                    (visitor.say(Page::LastUsed)) ": "
                    @match key.last_used {
                        Some(time) => (moment(time)),
                        None => (visitor.say(Page::NeverUsed)),
                    }
                }
                form method="post" action="/keys/remove" {
                    (token(&visitor))
                    input type="hidden" name="key" value=(key.fingerprint);
                    button aria-label={ (visitor.say(Page::Remove)) " " (key.fingerprint) } {
                        (visitor.say(Page::Remove))
                    }
                }
            }
        }
        form.card method="post" action="/keys" {
            (token(&visitor))
            label for="key" { (visitor.say(Page::KeyToPaste)) }
            textarea id="key" name="key" rows="4" required spellcheck="false" placeholder="ssh-ed25519 AAAA…" {}
            button.main { (visitor.say(Page::AddKey)) }
        }
    };
    layout::show(&visitor, &title, &main)
}

/// `POST /keys`
pub(super) async fn add(form: Posted) -> Result<Response, Response> {
    let session = form.session()?;
    if is_restricted(&form, &session) {
        return Ok(form.visitor.go("/keys"));
    }
    match form.visitor.site.door.auth.add_keys(&session.who, form.field("key")).await {
        Ok(keys) => keys.iter().for_each(|key| session.say(form.visitor.say(Account::KeyAdded(key)), false)),
        Err(error) => refused(&form, &error)?,
    }
    Ok(form.visitor.go("/keys"))
}

/// `POST /keys/remove`
pub(super) async fn remove(form: Posted) -> Result<Response, Response> {
    let session = form.session()?;
    if is_restricted(&form, &session) {
        return Ok(form.visitor.go("/keys"));
    }
    match form.visitor.site.door.auth.remove_key(&session.who, form.field("key")).await {
        Ok(key) => session.say(form.visitor.say(Account::KeyRemoved(&key)), false),
        Err(error) => refused(&form, &error)?,
    }
    Ok(form.visitor.go("/keys"))
}

/// A reservation's password opens work, not the account.
fn is_restricted(form: &Posted, session: &Session) -> bool {
    let restricted = !session.who.permissions().enrolment;
    if restricted {
        session.say(form.visitor.say(Account::Restricted), true);
    }
    restricted
}

fn refused(form: &Posted, error: &OwnError) -> Result<(), Response> {
    form.session()?.say(form.visitor.say(Account::Refused(error)), true);
    Ok(())
}
