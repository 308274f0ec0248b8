//! For administrators: who is where, what they can do about it, what was before. What changes something is the front
//! door's command of that name, which checks and notes it; here are only its buttons.

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use super::Site;
use super::charts::{add_up, bars, first_monday};
use super::layout::{self, token};
use super::visitor::{Member, Posted, Visitor};
use crate::error_chain::in_full;
use crate::frontdoor::{self, Caller};
use crate::reservation::{Reservation, State};
use crate::store::Past;
use crate::text::admin_page::AdminPage;
use crate::text::menu::{Menu, Until};
use crate::text::printable;
use crate::text::session::moment;
use crate::text::web::Page;

/// Rows of history on the page; the file has all.
const ROWS: usize = 100;
/// What is read at once: a busy year.
const MOST: u32 = 100_000;
const YEAR: SignedDuration = SignedDuration::from_hours(366 * 24);

/// An administrator, as of now.
pub(super) struct Admin(Member);

impl FromRequestParts<std::sync::Arc<Site>> for Admin {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, site: &std::sync::Arc<Site>) -> Result<Self, Response> {
        let member = Member::from_request_parts(parts, site).await?;
        if member.visitor.admin {
            return Ok(Self(member));
        }
        Err(layout::refusal(&member.visitor, StatusCode::FORBIDDEN, Page::Refused))
    }
}

/// `GET /admin`
pub(super) async fn page(Admin(Member { visitor, .. }): Admin) -> Response {
    let now = Timestamp::now();
    let desk = visitor.site.door.workspaces.desk();
    let (view, held) = desk.read(|book| (book.view(now), book.held().cloned().collect::<Vec<_>>()));
    let history = history(&visitor.site, first_monday(now)).await;
    let title = visitor.say(Page::Administration);
    let main = html! {
        h1 { (title) }
        div.wide id="held" data-live {
            table {
                caption { (visitor.say(AdminPage::WhoIsWhere)) }
                thead { tr {
                    @for words in [AdminPage::Slot, AdminPage::User, AdminPage::State] {
                        th scope="col" { (visitor.say(words)) }
                    }
                    th scope="col" { (visitor.say(AdminPage::Acts)) }
                } }
                tbody { @for one in &held { (row(&visitor, one, now)) } }
            }
            @if held.is_empty() { p { (visitor.say(AdminPage::Nobody)) } }
        }
        div.cards id="machines" data-live {
            @for machine in &view.machines {
                section.card {
                    h2 { (machine.name) }
                    p { @match &machine.offline {
                        Some(reason) => (visitor.say(Menu::MachineOffline { reason: &printable(reason) })),
                        None if machine.draining => (visitor.say(Menu::MachineDraining)),
                        None => (visitor.say(Menu::FreeOf { free: machine.free(), total: machine.slots.len() })),
                    } }
                    @let (word, label) = if machine.draining {
                        ("undrain", AdminPage::Undrain)
                    } else {
                        ("drain", AdminPage::Drain)
                    };
                    (act(&visitor, word, machine.name.as_str(), label, machine.name.as_str()))
                }
            }
        }
        form.card method="post" action="/admin" {
            (token(&visitor))
            input type="hidden" name="act" value="message";
            label for="to" { (visitor.say(AdminPage::MessageTo)) }
            input id="to" name="target" required value="all" maxlength="64";
            label for="words" { (visitor.say(AdminPage::MessageWords)) }
            input id="words" name="words" required maxlength="500" autocomplete="off";
            p { button.main { (visitor.say(AdminPage::Message)) } }
        }
        (usage(&visitor, &history, now))
        (table(&visitor, &history))
    };
    layout::show(&visitor, &title, &main)
}

fn row(visitor: &Visitor, one: &Reservation, now: Timestamp) -> Markup {
    let until = Until { deadline: one.deadline, now };
    let live = one.is_live();
    html! {
        tr {
            th scope="row" { (one.slot) }
            td { (one.user) }
            td { @match one.state {
                State::Starting => (visitor.say(Page::StartingFor { until })),
                State::Active => (visitor.say(Page::Left { until })),
                State::Ending(_) => (visitor.say(Page::EndingSoon)),
            } }
            td { @if live {
                (act(visitor, "end", &one.slot.to_string(), AdminPage::End, one.user.as_str()))
            } }
        }
    }
}

fn act(visitor: &Visitor, word: &str, target: &str, label: AdminPage, of: &str) -> Markup {
    html! {
        form method="post" action="/admin" {
            (token(visitor))
            input type="hidden" name="act" value=(word);
            input type="hidden" name="target" value=(target);
            button aria-label={ (visitor.say(label)) ": " (of) " " (target) } { (visitor.say(label)) }
        }
    }
}

fn usage(visitor: &Visitor, history: &[Past], now: Timestamp) -> Markup {
    let used = add_up(history, now);
    let week = |(monday, held): &(Timestamp, Duration)| (monday.strftime("%Y-%m-%d").to_string(), *held);
    let weeks: Vec<_> = used.weeks.iter().map(week).collect();
    let chart = |words: AdminPage, rows: &[(String, Duration)]| {
        let title = visitor.say(words);
        html! { section.card { h2 { (title) } (bars(&title, rows, visitor.lang)) } }
    };
    html! {
        (chart(AdminPage::ByWeek, &weeks))
        @if !used.users.is_empty() {
            (chart(AdminPage::ByMachine, &used.machines))
            (chart(AdminPage::ByUser, &used.users))
        }
    }
}

fn table(visitor: &Visitor, history: &[Past]) -> Markup {
    html! {
        div.wide tabindex="0" role="region" aria-label=(visitor.say(AdminPage::History)) {
            table {
                caption {
                    (visitor.say(AdminPage::History)) " · "
                    a href="/admin/history.csv" { (visitor.say(AdminPage::AsCsv)) }
                }
                thead { tr {
                    @for words in [AdminPage::Slot, AdminPage::User, AdminPage::Began, AdminPage::Ended, AdminPage::Why] {
                        th scope="col" { (visitor.say(words)) }
                    }
                } }
                tbody { @for past in history.iter().take(ROWS) {
                    tr {
                        td { (past.slot) }
                        td { (past.user) }
                        td { (moment(past.started)) }
                        td { @if let Some((ended, _)) = past.ended { (moment(ended)) } }
                        td {
                            @if let Some((_, reason)) = past.ended { (reason) }
                            @if let Some(detail) = &past.detail { ": " (printable(detail)) }
                        }
                    }
                } }
            }
        }
    }
}

async fn history(site: &Site, since: Timestamp) -> Vec<Past> {
    let read = site.door.ledger.run(move |l| l.history(since, MOST)).await;
    read.inspect_err(|e| tracing::error!("history: {}", in_full(e))).unwrap_or_default()
}

/// `GET /admin/history.csv`
pub(super) async fn csv(Admin(Member { visitor, .. }): Admin) -> Response {
    let history = history(&visitor.site, Timestamp::now() - YEAR).await;
    let mut text = String::from("reservation,user,machine,slot,started,ended,reason,detail\r\n");
    for past in &history {
        let (ended, reason) =
            past.ended.map(|(at, why)| (at.to_string(), why.to_string())).unwrap_or_default();
        let detail = quoted(past.detail.as_deref().unwrap_or_default());
        let (id, user, slot) = (past.id.as_str(), &past.user, &past.slot);
        text +=
            &format!("{id},{user},{},{slot},{},{ended},{reason},{detail}\r\n", slot.machine, past.started);
    }
    visitor.answer((
        [
            (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
            (header::CONTENT_DISPOSITION, "attachment; filename=\"history.csv\""),
        ],
        text,
    ))
}

/// As RFC 4180 has it. Spreadsheets must not take what an engine said for a formula.
fn quoted(text: &str) -> String {
    let text = printable(text);
    let safe = if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text };
    format!("\"{}\"", safe.replace('"', "\"\""))
}

/// `POST /admin`
pub(super) async fn post(form: Posted) -> Result<Response, Response> {
    let session = form.session()?;
    let visitor = &form.visitor;
    if !visitor.admin {
        return Err(layout::refusal(visitor, StatusCode::FORBIDDEN, Page::Refused));
    }
    let act = form.field("act");
    if !["end", "drain", "undrain", "message"].contains(&act) {
        return Err(layout::refusal(visitor, StatusCode::UNPROCESSABLE_ENTITY, Page::NotFound));
    }
    let mut words = vec!["admin".to_owned(), act.to_owned(), form.field("target").trim().to_owned()];
    // One word for each: what is typed here is no option.
    words.extend(form.field("words").split_whitespace().filter(|word| *word != "--json").map(str::to_owned));
    let caller = Caller::Client { who: session.who.clone(), from: visitor.peer.ip() };
    let answer = frontdoor::run(&visitor.site.door, &caller, &words, &[], visitor.lang).await;
    let bad = answer.status != 0;
    let said = if bad { answer.stderr } else { answer.stdout };
    session.say(said.trim().to_owned(), bad);
    Ok(visitor.go("/admin"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spreadsheet_runs_nothing() {
        assert_eq!(quoted("=cmd()"), "\"'=cmd()\"");
        assert_eq!(quoted("a \"b\", c"), "\"a \"\"b\"\", c\"");
    }
}
