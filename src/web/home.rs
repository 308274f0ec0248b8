//! The machines and their slots, as cards; pick a free one, give your name and password, press *Reserve*.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use maud::{Markup, html};

use super::layout::{self, token};
use super::queue;
use super::session::{Notice, Session};
use super::sign_in;
use super::visitor::{Posted, Visitor};
use crate::reservation::view::{MachineView, SlotState, SlotView};
use crate::reservation::{Cause, Refusal, SlotId, Target, UserName};
use crate::text::menu::{Menu, Until};
use crate::text::printable;
use crate::text::refusal::Refused;
use crate::text::web::Page;

/// `GET /`
pub(super) async fn show(visitor: Visitor) -> Response {
    page(&visitor, StatusCode::OK, &[], None, "")
}

/// With what was chosen and typed already.
pub(super) fn page(
    visitor: &Visitor,
    status: StatusCode,
    said: &[Notice],
    chosen: Option<&SlotId>,
    name: &str,
) -> Response {
    let title = visitor.say(Page::Machines);
    let now = Timestamp::now();
    let desk = visitor.site.door.workspaces.desk();
    let view = desk.read(|book| book.view(now));
    let mine = visitor.user().and_then(|user| desk.read(|book| book.of(user).cloned()));
    let free = view.machines.iter().any(|machine| machine.free() > 0);
    let main = html! {
        h1 { (title) }
        div id="mine" data-live {
            @if let Some(mine) = &mine {
                p.notice {
                    (visitor.say(Page::Ready { slot: &mine.slot })) " · "
                    (visitor.say(Page::Left { until: Until { deadline: mine.deadline, now } })) " "
                    a href="/reservation" { (visitor.say(Page::GoToReservation)) }
                }
            }
        }
        form method="post" action="/reserve" {
            (token(visitor))
            fieldset {
                legend { (visitor.say(Page::ChooseSlot)) }
                div.cards id="cards" data-live {
                    @for machine in &view.machines { (card(visitor, machine, now, chosen)) }
                }
            }
            div.reserve {
                @if visitor.session.is_none() { (sign_in::credentials(visitor, name)) }
                button.main { (visitor.say(Page::Reserve)) }
                div id="full" data-live {
                    @if !free { p.hint { (visitor.say(Page::NothingFree)) } }
                }
            }
        }
        @if visitor.session.is_some() && mine.is_none() {
            section.card.narrow id="queue" data-live { (queue::panel(visitor, &view)) }
        }
    };
    layout::with_status(visitor, status, &title, said, &main)
}

fn card(visitor: &Visitor, machine: &MachineView, now: Timestamp, chosen: Option<&SlotId>) -> Markup {
    let (free, total) = (machine.free(), machine.slots.len());
    let reason = machine.offline.as_deref().map(printable);
    let state = match &reason {
        Some(reason) => visitor.say(Menu::MachineOffline { reason }),
        None if machine.draining => visitor.say(Menu::MachineDraining),
        None => visitor.say(Menu::FreeOf { free, total }),
    };
    html! {
        section.card aria-labelledby={ "m-" (machine.name) } {
            h2 id={ "m-" (machine.name) } {
                (machine.name)
                @if let Some(label) = &machine.label { " " span.hint { (printable(label)) } }
            }
            p.state { (dot(free > 0)) (state) }
            ul { @for slot in &machine.slots { li { (line(visitor, slot, now, chosen)) } } }
        }
    }
}

fn dot(free: bool) -> Markup {
    html! { span.dot.free[free] aria-hidden="true" {} }
}

fn line(visitor: &Visitor, slot: &SlotView, now: Timestamp, chosen: Option<&SlotId>) -> Markup {
    let free = visitor.user().map_or(slot.state == SlotState::Free, |user| slot.state.is_for(user));
    let id = format!("s-{}-{}", slot.id.machine, slot.id.number);
    let gpus = slot.gpus.iter().map(|gpu| printable(gpu)).collect::<Vec<_>>().join(", ");
    html! {
        input type="radio" name="slot" id=(id) value=(slot.id) required disabled[!free]
            checked[free && chosen == Some(&slot.id)];
        label.slot for=(id) {
            (dot(free))
            span.name { (slot.id) @if !gpus.is_empty() { " " span.hint { "GPU " (gpus) } } }
            span.words { (words(visitor, &slot.state, now)) }
        }
    }
}

/// The menu's words; who holds what is for those who have signed in.
fn words(visitor: &Visitor, state: &SlotState, now: Timestamp) -> String {
    let until = |deadline: &Timestamp| Until { deadline: *deadline, now };
    let knows = visitor.session.is_some();
    let is_mine = |user: &UserName| visitor.user() == Some(user);
    match state {
        SlotState::Free => visitor.say(Menu::Free),
        SlotState::Reserved { user, .. } if is_mine(user) => visitor.say(Page::YoursHere),
        SlotState::Reserved { user, deadline } if knows => {
            visitor.say(Menu::Taken { user, until: until(deadline) })
        }
        SlotState::Reserved { deadline, .. } => visitor.say(Page::TakenUntil { until: until(deadline) }),
        SlotState::Held { user, until: at } if is_mine(user) => {
            visitor.say(Menu::HeldForYou { until: until(at) })
        }
        SlotState::Held { user, until: at } if knows => visitor.say(Menu::Held { user, until: until(at) }),
        SlotState::Held { until: at, .. } => visitor.say(Page::HeldUntil { until: until(at) }),
        SlotState::Starting { user, deadline } if knows => {
            visitor.say(Menu::Starting { user, until: until(deadline) })
        }
        SlotState::Starting { deadline, .. } => visitor.say(Page::StartingFor { until: until(deadline) }),
        SlotState::Ending { user } if knows => visitor.say(Menu::Ending { user }),
        SlotState::Ending { .. } => visitor.say(Page::EndingSoon),
        SlotState::Offline => visitor.say(Menu::Offline),
        SlotState::Draining => visitor.say(Menu::Draining),
    }
}

/// `POST /reserve`
pub(super) async fn post(form: Posted) -> Response {
    let Ok(slot) = form.field("slot").parse::<SlotId>() else {
        let said = [Notice { text: form.visitor.say(Page::ChooseFirst), bad: true }];
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return page(&form.visitor, status, &said, None, form.field("user"));
    };
    match form.visitor.session.clone() {
        None => sign_in::enter(form, Some(slot)).await,
        Some(session) if !form.visitor.site.door.charter.is_accepted(session.who.user()) => {
            session.wish(slot);
            form.visitor.go("/charter")
        }
        Some(session) => reserve(&form.visitor, &session, slot),
    }
}

/// Claims the slot; the start goes on by itself, and its password waits in the session.
pub(super) fn reserve(visitor: &Visitor, session: &Arc<Session>, slot: SlotId) -> Response {
    let workspaces = &visitor.site.door.workspaces;
    match workspaces.reserve(&session.who, Target::Slot(slot.clone()), Cause::Explicit) {
        Ok(lease) => {
            let session = session.clone();
            visitor.site.tasks.spawn(async move {
                if let Ok(container) = lease.ready().await
                    && let Some(password) = container.password
                {
                    session.show(container.reservation.id, password);
                }
            });
            visitor.go("/reservation")
        }
        Err(Refusal::CharterNotAccepted) => {
            session.wish(slot);
            visitor.go("/charter")
        }
        Err(refusal) => {
            session.say(visitor.say(Refused { refusal: &refusal, now: Timestamp::now() }), true);
            visitor.go("/")
        }
    }
}
