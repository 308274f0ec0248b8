//! The queue: one's place and when it should be one's turn; join, leave. Who waits reads it live, as in the menu.

use axum::response::Response;
use jiff::Timestamp;
use maud::{Markup, html};

use super::layout::token;
use super::session::Session;
use super::visitor::{Posted, Visitor};
use crate::handover::Waits;
use crate::reservation::view::ClusterView;
use crate::reservation::{Refusal, Target};
use crate::text::queue::Line;
use crate::text::refusal::Refused;
use crate::text::web::Page;

/// For somebody who has signed in and has no reservation: below the cards.
pub(super) fn panel(visitor: &Visitor, view: &ClusterView) -> Markup {
    let Some(user) = visitor.user() else { return html! {} };
    let now = view.now;
    let mine = view.waiting(user);
    html! {
        h2 { (visitor.say(Page::Queue)) }
        @match mine {
            Some(waiting) => p.notice { (visitor.say(Line::Mine { waiting, now })) },
            None => p.hint { (visitor.say(Page::QueueHelp)) },
        }
        @let others: Vec<_> = view.queue.iter().filter(|waiting| waiting.user != *user).collect();
        @if !others.is_empty() {
            ol { @for waiting in others { li { (visitor.say(Line::Other { waiting, now })) } } }
        }
        form method="post" action="/queue" {
            (token(visitor))
            @if mine.is_some() {
                button id="queue-leave" name="act" value="leave" { (visitor.say(Page::QueueLeave)) }
            } @else {
                label for="queue-target" { (visitor.say(Page::QueueFor)) }
                select id="queue-target" name="target" {
                    option value="" { (visitor.say(Page::QueueAny)) }
                    @for machine in &view.machines { option value=(machine.name) { (machine.name) } }
                }
                p { button id="queue-join" name="act" value="join" { (visitor.say(Page::QueueJoin)) } }
            }
        }
    }
}

/// `POST /queue`
pub(super) async fn post(form: Posted) -> Result<Response, Response> {
    let session = form.session()?;
    let (visitor, workspaces) = (&form.visitor, &form.visitor.site.door.workspaces);
    let outcome = match wanted(&form, &session) {
        Ok(waits) => workspaces.queue(waits).await,
        Err(refusal) => Err(refusal),
    };
    if outcome == Err(Refusal::CharterNotAccepted) {
        return Ok(visitor.go("/charter"));
    }
    if let Err(refusal) = outcome {
        session.say(visitor.say(Refused { refusal: &refusal, now: Timestamp::now() }), true);
    }
    Ok(visitor.go("/"))
}

fn wanted(form: &Posted, session: &Session) -> Result<Waits, Refusal> {
    let target = match (form.field("act"), form.field("target")) {
        ("leave", _) => return Ok(Waits::Leaves { user: session.who.user().clone() }),
        (_, "") => Target::Any,
        (_, target) => {
            target.parse().map_err(|_| Refusal::UnknownMachine(target.chars().take(64).collect()))?
        }
    };
    Ok(Waits::Joins { who: Box::new(session.who.clone()), target })
}
