//! The screens about the reader's own reservation, its keys, and a start in progress.

use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};

use super::figures;
use super::gauges::Gauge;
use super::lists::mark;
use super::mine::Doing;
use super::model::{Ask, Begun, Model};
use super::sheet::Sheet;
use super::steps::Steps;
use super::view::common;
use super::wrap::{cut, wrap, wrap_lead};
use crate::agent::protocol::JupyterState;
use crate::auth::ReservationPassword;
use crate::reservation::SlotId;
use crate::text::Say;
use crate::text::account::key_line;
use crate::text::door::Door;
use crate::text::menu::{Menu, Until};
use crate::text::mine::Mine;
use crate::text::session::Line as Told;

/// Cells of a bar.
const BAR: usize = 20;
/// Columns of the names before lines to paste.
const LEAD: usize = 12;

fn says(model: &Model, texts: &[Mine<'_>]) -> Vec<String> {
    texts.iter().map(|text| text.say(model.lang)).collect()
}

pub(super) fn mine(model: &Model, columns: usize) -> Sheet {
    let heading = model.mine().map(|mine| {
        let slot = mine.slot;
        if mine.starting { Mine::StartingHeading { slot } } else { Mine::Heading { slot } }.say(model.lang)
    });
    let row = |(index, doing): (usize, &Doing)| {
        let mark = mark(*doing == model.doing, index.saturating_add(1));
        let room = columns.saturating_sub(mark.width());
        let text = match doing {
            Doing::Shell => Mine::DoShell,
            Doing::Ways => Mine::DoWays,
            Doing::Password => Mine::DoPassword,
            Doing::Keys => Mine::DoKeys,
            Doing::Machines => Mine::DoMachines,
            Doing::Release => Mine::DoRelease,
        };
        Line::from(vec![mark, Span::raw(cut(&text.say(model.lang), room))])
    };
    Sheet {
        heading: heading.unwrap_or_default(),
        facts: facts(model, columns),
        rows: Doing::ALL.iter().enumerate().map(row).collect(),
        numbered: true,
        selected: model.selected(),
        hint: model.ask.as_ref().map(|ask| question(model, ask)),
        keys: match model.ask {
            Some(_) => says(model, &[Mine::KeyYes, Mine::KeyNo]),
            None => {
                let mut keys = says(model, &[Mine::KeyChoose, Mine::KeyMine]);
                keys.push(Menu::KeyQuit.say(model.lang));
                keys.extend(says(model, &[Mine::KeyHelp]));
                keys
            }
        },
        ..common(model)
    }
}

fn question(model: &Model, ask: &Ask) -> String {
    match (ask, model.mine()) {
        (Ask::Release, Some(mine)) => Mine::AskRelease { slot: mine.slot }.say(model.lang),
        (Ask::Release, None) => String::new(),
        (Ask::RemoveKey(fingerprint), _) => Mine::AskRemoveKey { fingerprint }.say(model.lang),
    }
}

/// What is known of the reservation: the time left first.
fn facts(model: &Model, columns: usize) -> Vec<Line<'static>> {
    let until = model.mine().map(|mine| Until { deadline: mine.deadline, now: model.now });
    let mut lines: Vec<Line<'static>> =
        until.iter().map(|until| Line::raw(Mine::TimeLeft { until: *until }.say(model.lang))).collect();
    let no_password = (model.facts.has_password == Some(false))
        .then(|| Mine::NoPassword { jupyter: may_have_jupyter(model) }.say(model.lang));
    lines.extend(no_password.into_iter().flat_map(|text| wrap(&text, columns)).map(Line::raw));
    lines.extend(jupyter(model).into_iter().flat_map(|text| wrap(&text, columns)).map(Line::raw));
    let usage = model.mine().and_then(|mine| model.uses.slot(mine.slot)?.usage.as_ref());
    let gauges = usage.map(|usage| Gauge::all(usage, model.lang)).unwrap_or_default();
    let names = figures::column(gauges.iter().map(|gauge| gauge.name.as_str()));
    lines.extend(gauges.iter().map(|gauge| bar(gauge, names, columns)));
    lines
}

/// Until the container has answered, too.
fn may_have_jupyter(model: &Model) -> bool {
    model.facts.jupyter.as_ref().is_none_or(JupyterState::is_offered)
}

/// Said where there is one; the way to a running one has a line of its own.
fn jupyter(model: &Model) -> Option<String> {
    match &model.facts.jupyter {
        None | Some(JupyterState::Off) => None,
        Some(JupyterState::Running) => Some("JupyterLab: ✓".to_owned()),
        Some(state) => Some(Door::Jupyter(state).say(model.lang)),
    }
}

fn bar(gauge: &Gauge, name: usize, columns: usize) -> Line<'static> {
    let head = format!("{}  ", super::wrap::fit(&gauge.name, name));
    let mut spans = vec![Span::raw(head)];
    // Where the bar would leave no room for the words, the words are worth more.
    if let Some(percent) = gauge.percent.filter(|_| columns > name + BAR + 24) {
        spans.extend(figures::bar(percent, BAR));
        spans.push(Span::raw("  "));
    }
    let used: usize = spans.iter().map(Span::width).sum();
    spans.push(Span::raw(cut(&gauge.words, columns.saturating_sub(used))));
    Line::from(spans)
}

/// How to connect; with a password as the card of what was reserved just now.
pub(super) fn ways(model: &Model, password: Option<&ReservationPassword>, columns: usize) -> Sheet {
    let Some(mine) = model.mine() else { return common(model) };
    let slot = mine.slot;
    let heading = if password.is_some() { Mine::CardHeading { slot } } else { Mine::WaysHeading { slot } };
    let mut rows = Vec::new();
    if let Some(password) = password {
        let until = Until { deadline: mine.deadline, now: model.now };
        rows.extend(wrap(&Mine::TimeLeft { until }.say(model.lang), columns));
        rows.extend(wrap(&Mine::Password { password: password.reveal() }.say(model.lang), columns));
        rows.push(String::new());
    }
    let lead = |name: &str, line: &str| wrap_lead(&format!("{name:<LEAD$}{line}"), columns, LEAD);
    rows.extend(lead(&Mine::Shell.say(model.lang), &model.way.ssh()));
    rows.extend(lead("VS Code", &model.way.vscode()));
    if may_have_jupyter(model) {
        rows.extend(lead("JupyterLab", &model.way.jupyter()));
        rows.extend(lead("", &Mine::ThenOpen.say(model.lang)));
    }
    rows.extend(lead(&Mine::Files.say(model.lang), &model.way.scp(model.lang)));
    rows.push(String::new());
    rows.extend(wrap(&Mine::ConfigHeading.say(model.lang), columns));
    rows.extend(model.way.config().iter().map(|line| cut(line, columns)));
    if let Some(said) = jupyter(model) {
        rows.push(String::new());
        rows.extend(wrap(&said, columns));
    }
    let mut keys = says(model, &[Mine::KeyShell, Mine::KeyMine]);
    keys.push(Menu::KeyQuit.say(model.lang));
    keys.extend(says(model, &[Mine::KeyHelp]));
    Sheet {
        heading: heading.say(model.lang),
        rows: rows.into_iter().map(Line::raw).collect(),
        top: model.scroll,
        keys,
        ..common(model)
    }
}

pub(super) fn keys(model: &Model, columns: usize) -> Sheet {
    let known = model.keys.as_deref();
    let row = |(index, key): (usize, &crate::store::KeyRecord)| {
        let mark = mark(Some(&key.fingerprint) == model.key.as_ref(), index.saturating_add(1));
        let room = columns.saturating_sub(mark.width());
        // What tells keys apart on a narrow screen is what their owner called them.
        let line = key_line(key, model.lang);
        let comment = crate::text::printable(&key.comment);
        let line =
            if room < 60 && !comment.is_empty() { format!("{comment}  {}", key.fingerprint) } else { line };
        Line::from(vec![mark, Span::raw(cut(&line, room))])
    };
    let mut rows: Vec<_> = known.unwrap_or_default().iter().enumerate().map(row).collect();
    if rows.is_empty() {
        let text = if known.is_none() { Mine::KeysLoading } else { Mine::NoKeys };
        rows.extend(wrap(&text.say(model.lang), columns).into_iter().map(Line::raw));
    }
    let shown = match (&model.ask, model.selected()) {
        (Some(_), _) => says(model, &[Mine::KeyYes, Mine::KeyNo]),
        (None, None) => says(model, &[Mine::KeyAdd, Mine::KeyMine, Mine::KeyHelp]),
        (None, Some(_)) => says(model, &[Mine::KeyAdd, Mine::KeyRemove, Mine::KeyMine, Mine::KeyHelp]),
    };
    Sheet {
        heading: Mine::KeysHeading.say(model.lang),
        rows,
        numbered: model.selected().is_some(),
        selected: model.selected(),
        hint: model.ask.as_ref().map(|ask| question(model, ask)),
        keys: shown,
        summary: None,
        ..common(model)
    }
}

pub(super) fn paste(model: &Model, text: &str, columns: usize) -> Sheet {
    let shown = crate::text::printable(text);
    let mut rows: Vec<String> = wrap(&Mine::PasteHint.say(model.lang), columns);
    rows.push(String::new());
    rows.extend(wrap(&format!("{shown}_"), columns));
    Sheet {
        heading: Mine::PasteHeading.say(model.lang),
        rows: rows.into_iter().map(Line::raw).collect(),
        follow: true,
        keys: says(model, &[Mine::KeyDone, Mine::KeyCancel]),
        summary: None,
        ..common(model)
    }
}

pub(super) fn progress(model: &Model, slot: &SlotId, steps: &Steps, begun: Begun, columns: usize) -> Sheet {
    let elapsed = Mine::Elapsed { elapsed: steps.elapsed(model.now) }.say(model.lang);
    let mut rows: Vec<Line<'static>> = Vec::new();
    for (stage, over) in steps.all() {
        let sign = match over {
            true => Span::styled("  ✓ ", Style::new().fg(Color::Green)),
            false => Span::raw("  ▸ "),
        };
        let text = cut(&Told::Starting(stage).say(model.lang), columns.saturating_sub(4));
        rows.push(Line::from(vec![sign, Span::raw(text)]));
    }
    if rows.is_empty() {
        rows.push(Line::raw(format!("  ▸ {}", Mine::JustStarting.say(model.lang))));
    }
    let (heading, key) = match begun {
        Begun::Here => (Menu::Reserving { slot }, Menu::KeyCancel),
        Begun::Elsewhere => (Menu::Awaiting { slot }, Menu::KeyStopWaiting),
    };
    Sheet {
        heading: format!("{} · {elapsed}", heading.say(model.lang)),
        rows,
        follow: true,
        keys: vec![key.say(model.lang)],
        summary: None,
        ..common(model)
    }
}
