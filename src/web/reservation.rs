//! One's own reservation: how far it is, its password, the ways into it, and its end.

use axum::http::header;
use axum::response::Response;
use jiff::Timestamp;
use maud::{Markup, html};

use super::layout::{self, copied, token};
use super::session::Session;
use super::visitor::{Member, Posted, Visitor};
use crate::agent::protocol::JupyterState;
use crate::connect::Places;
use crate::frontdoor::jupyter_state;
use crate::menu::Gauge;
use crate::reservation::{MachineName, Refusal, Reservation, State, Target};
use crate::text::door::Door;
use crate::text::menu::{Menu, Until};
use crate::text::printable;
use crate::text::refusal::Refused;
use crate::text::session::Line;
use crate::text::usage;
use crate::text::web::Page;

/// `GET /reservation`
pub(super) async fn page(Member { visitor, session }: Member) -> Response {
    let title = visitor.say(Page::MyReservation);
    let user = session.who.user();
    let workspaces = &visitor.site.door.workspaces;
    let (mine, last) = workspaces.desk().read(|book| (book.of(user).cloned(), book.last_of(user).cloned()));
    let main = match mine {
        None => html! {
            h1 { (title) }
            div id="state" data-live {
                p { (visitor.say(Page::NoReservation)) }
                @if let Some(ended) = &last { p.notice { (visitor.say(Line::LastEnded(ended))) } }
                p { a id="back" href="/" { (visitor.say(Page::BackToMachines)) } }
            }
            div id="reservation" data-live {}
            div id="use" data-live {}
            // In its own part, which changes only when there is nothing to release any more: who has opened it goes on reading.
            div id="release" data-live {}
        },
        Some(mine) => {
            let has_password = workspaces.has_password(&mine.id).await;
            let jupyter = jupyter_state(workspaces, &mine).await;
            html! {
                h1 { (title) }
                // What changes by itself is apart from what is read, copied and pressed: a text that is being selected, or a
                // button that has the focus, is not taken away by a figure.
                div id="state" data-live { (state(&visitor, &mine)) }
                div id="reservation" data-live {
                    @if mine.state == State::Active {
                        (password(&visitor, &session, &mine, has_password))
                        (ways(&visitor, &session, jupyter.as_ref()))
                    }
                }
                div id="use" data-live {
                    @if mine.state == State::Active { (in_use(&visitor, &mine)) }
                }
                div id="release" data-live { (release(&visitor)) }
            }
        }
    };
    layout::show(&visitor, &title, &main)
}

fn state(visitor: &Visitor, mine: &Reservation) -> Markup {
    let now = Timestamp::now();
    let slot = &mine.slot;
    let until = Until { deadline: mine.deadline, now };
    let left = mine.left(now).as_secs();
    if mine.state == State::Starting {
        let lease = visitor.site.door.workspaces.lease(&mine.user, &Target::Any).ok().flatten();
        let stage = lease.and_then(|lease| lease.stage());
        return html! {
            section.card.state aria-busy="true" {
                h2 { (visitor.say(Page::Starting { slot })) }
                progress aria-label=(visitor.say(Menu::Reserving { slot })) {}
                @if let Some(stage) = &stage { p { (visitor.say(Line::Starting(stage))) } }
            }
        };
    }
    html! {
        section.card.state {
            h2 { span.dot.free aria-hidden="true" {} (visitor.say(Page::Ready { slot })) }
            p { time datetime=(mine.deadline) data-left=(left) { (visitor.say(Page::Left { until })) } }
        }
    }
}

fn password(visitor: &Visitor, session: &Session, mine: &Reservation, has_one: bool) -> Markup {
    let shown = session.shown(&mine.id);
    let words = match (&shown, has_one) {
        (Some(_), _) => Page::PasswordOnce,
        (None, true) => Page::PasswordUnseen,
        (None, false) => Page::PasswordNone,
    };
    html! {
        section.card {
            h2 { (visitor.say(Page::PasswordHeading)) }
            @if let Some(password) = &shown { (copied(visitor, "reservation-password", password.reveal())) }
            p.hint { (visitor.say(words)) }
            form method="post" action="/password" {
                (token(visitor))
                button id="renew" { (visitor.say(Page::PasswordRenew)) }
            }
        }
    }
}

fn ways(visitor: &Visitor, session: &Session, jupyter: Option<&JupyterState>) -> Markup {
    let user = session.who.user();
    let places = places(visitor);
    let runs = jupyter == Some(&JupyterState::Running);
    let line = |id: &str, words: Page<'_>, text: &str| {
        html! { dt { (visitor.say(words)) } dd { (copied(visitor, id, text)) } }
    };
    html! {
        section.card {
            h2 { (visitor.say(Page::Open)) }
            div.buttons {
                @if visitor.site.names.has_jupyter() {
                    form method="post" action="/jupyter" target="_blank" {
                        (token(visitor))
                        button.main id="open-jupyter" disabled[!runs] aria-describedby="jupyter-help" {
                            (visitor.say(Page::OpenJupyter))
                        }
                    }
                }
                a.button id="open-vscode" href=(places.editor(user)) aria-describedby="vscode-help" {
                    (visitor.say(Page::OpenVsCode))
                }
            }
            @if visitor.site.names.has_jupyter() {
                p.hint id="jupyter-help" {
                    @match jupyter {
                        Some(JupyterState::Running) => (visitor.say(Page::OpenJupyterHelp)),
                        Some(state) => (visitor.say(Door::Jupyter(state))),
                        None => (visitor.say(Page::JupyterNotYet)),
                    }
                }
            }
            p.hint id="vscode-help" { (visitor.say(Page::OpenVsCodeHelp)) }
        }
        section.card {
            h2 { (visitor.say(Page::ByHand)) }
            dl {
                (line("line-shell", Page::LineShell, &places.shell(user)))
                (line("line-copy", Page::LineCopyHere, &places.copy(user)))
                @if runs { (line("line-jupyter", Page::LineJupyter, &places.forward(user))) }
                dt { (visitor.say(Page::SshConfig)) }
                dd {
                    (copied(visitor, "ssh-config", &ssh_config(visitor, session)))
                    p.hint { (visitor.say(Page::SshConfigHelp)) }
                }
            }
        }
    }
}

/// What is known of it now; nothing is shown that is not known.
fn in_use(visitor: &Visitor, mine: &Reservation) -> Markup {
    let seen = visitor.site.door.workspaces.usage().picture().remove(&mine.slot);
    let seen = seen.filter(|seen| seen.user == mine.user);
    let gauges = seen.as_ref().map(|seen| Gauge::all(&seen.usage, visitor.lang)).unwrap_or_default();
    let lines = seen.map(|seen| usage::lines(&seen.usage, true, visitor.lang)).unwrap_or_default();
    html! {
        @if !lines.is_empty() {
            section.card {
                h2 { (visitor.say(Page::Use)) }
                @for gauge in &gauges {
                    label.gauge {
                        (printable(&gauge.name)) " " span.hint { (printable(&gauge.words)) }
                        // What nobody can measure has words alone.
                        @if let Some(percent) = gauge.percent {
                            meter min="0" max="100" low="90" high="98" optimum="0" value=(percent.min(100)) {}
                        }
                    }
                }
                ul { @for line in &lines { li { (line) } } }
            }
        }
    }
}

fn release(visitor: &Visitor) -> Markup {
    html! {
        details.card {
            summary id="release-ask" { (visitor.say(Page::Release)) }
            p { (visitor.say(Page::ReleaseSure)) }
            form method="post" action="/release" {
                (token(visitor))
                button.danger id="release-now" { (visitor.say(Page::ReleaseNow)) }
            }
        }
    }
}

fn places(visitor: &Visitor) -> Places {
    Places::new(&visitor.site.config, Some(super::address::host_of(&visitor.host)))
}

fn ssh_config(visitor: &Visitor, session: &Session) -> String {
    let machines: Vec<MachineName> = visitor.site.config.machines.iter().map(|m| m.name.clone()).collect();
    places(visitor).ssh_config(session.who.user(), &machines)
}

/// `GET /ssh-config`
pub(super) async fn config_file(Member { visitor, session }: Member) -> Response {
    let text = ssh_config(&visitor, &session);
    visitor.answer(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text))
}

/// Says why not, on the next page.
fn refused(visitor: &Visitor, session: &Session, refusal: &Refusal) {
    session.say(visitor.say(Refused { refusal, now: Timestamp::now() }), true);
}

/// `POST /password`
pub(super) async fn renew(form: Posted) -> Result<Response, Response> {
    let session = form.session()?;
    let visitor = form.visitor;
    let renewed =
        visitor.site.door.workspaces.renew_password_from(session.who.user(), visitor.spared(&session));
    match renewed.await {
        Ok(Some((reservation, password))) => {
            session.say(visitor.say(Page::PasswordRenewed), false);
            session.show(reservation.id, password);
        }
        // The session has ended, or the reservation: the next page says so.
        Ok(None) => {}
        Err(refusal) => refused(&visitor, &session, &refusal),
    }
    Ok(visitor.go("/reservation"))
}

/// `POST /release`
pub(super) async fn post_release(form: Posted) -> Result<Response, Response> {
    let session = form.session()?;
    let visitor = form.visitor;
    match visitor.site.door.workspaces.release(session.who.user()) {
        Ok(was) => session.say(visitor.say(Page::Released { slot: &was.slot }), false),
        Err(refusal) => refused(&visitor, &session, &refusal),
    }
    Ok(visitor.go("/"))
}
