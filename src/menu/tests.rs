//! The room as a whole: transitions, pictures, and what reaches the terminal.

mod flow;
mod keys;
mod mine;
mod pictures;
mod plain;
mod random;

use jiff::Timestamp;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::agent::protocol::JupyterState;
use crate::engine::Stage;
use crate::reservation::view::{ClusterView, HoldView, MachineView, SlotState, SlotView, WaitingView};
use crate::reservation::{SlotId, Target, UserName};
use crate::store::KeyRecord;
use crate::text::Lang;
use crate::text::connect::Way;

fn time(text: &str) -> Timestamp {
    format!("2026-08-01T{text}:00Z").parse().unwrap()
}

fn user(name: &str) -> UserName {
    name.parse().unwrap()
}

fn taken(name: &str, until: &str) -> SlotState {
    SlotState::Reserved { user: user(name), deadline: time(until) }
}

fn machine(name: &str, label: Option<&str>, states: Vec<SlotState>) -> MachineView {
    let slot = |(index, state): (usize, SlotState)| SlotView {
        id: format!("{name}/{}", index + 1).parse().unwrap(),
        gpus: vec![index.to_string()],
        state,
    };
    MachineView {
        name: name.parse().unwrap(),
        label: label.map(str::to_owned),
        offline: None,
        draining: false,
        slots: states.into_iter().enumerate().map(slot).collect(),
    }
}

fn cluster(machines: Vec<MachineView>) -> ClusterView {
    ClusterView { cluster: "clusteria".to_owned(), now: time("10:53"), machines, queue: Vec::new() }
}

/// Three machines, one of them full, one offline.
fn usual() -> ClusterView {
    let starting = SlotState::Starting { user: user("grace"), deadline: time("18:52") };
    let ending = SlotState::Ending { user: user("alan") };
    let mut gone = machine("gpu3", None, vec![SlotState::Offline]);
    gone.offline = Some("no answer for 5 min".to_owned());
    cluster(vec![
        machine("gpu1", Some("RTX 4090"), vec![taken("ada", "14:05"), taken("edsger", "12:00")]),
        machine("gpu2", Some("Salle Turing"), vec![taken("ada", "14:05"), starting, SlotState::Free, ending]),
        gone,
    ])
}

/// One that has no free slot.
fn full() -> ClusterView {
    let mut view = usual();
    view.machines.remove(1);
    view
}

/// The usual one, where the reader holds gpu2/2.
fn with_mine() -> ClusterView {
    let mut view = usual();
    view.machines[1].slots[1].state = taken("linus", "17:30");
    view
}

fn way() -> Way {
    Way { host: "100.64.0.7".into(), port: 2222, user: "linus".into(), alias: "clusteria".into() }
}

/// One in which linus waits behind grace.
fn waiting() -> ClusterView {
    let place = |name: &str, place, estimate| WaitingView {
        user: user(name),
        target: (name == "grace").then(|| "gpu1".to_owned()),
        since: time("10:40"),
        place,
        estimate: Some(time(estimate)),
        held: None,
    };
    let mut view = full();
    view.queue = vec![place("grace", 1, "12:00"), place("linus", 2, "14:05")];
    view
}

/// And one in which it is their turn.
fn turn() -> ClusterView {
    let mut view = waiting();
    view.queue.remove(0);
    view.queue[0].held = Some(HoldView { slot: slot("gpu1/2"), until: time("10:58") });
    view.queue[0].place = 0;
    view.machines[0].slots[1].state = SlotState::Held { user: user("linus"), until: time("10:58") };
    view
}

fn model(view: ClusterView) -> Model {
    Model::new(view, &user("linus"), Lang::En)
}

fn press(model: &mut Model, key: Key) -> Option<Action> {
    update(model, Event::Key(key))
}

fn slot(text: &str) -> SlotId {
    text.parse().unwrap()
}

/// The picture as text, blanks at the ends of lines left out.
fn picture(model: &Model, columns: u16, rows: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal
        .draw(|frame| {
            view(model, frame);
        })
        .unwrap();
    let buffer = terminal.backend().buffer();
    let lines = buffer.content.chunks(usize::from(columns.max(1)));
    let text = lines.map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>());
    text.map(|line| format!("{}\n", line.trim_end())).collect()
}
