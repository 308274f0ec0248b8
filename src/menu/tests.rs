//! The room as a whole: transitions, pictures, and what reaches the terminal.

mod flow;
mod keys;
mod mine;
mod pictures;
mod plain;
mod random;
mod used;

use jiff::Timestamp;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::agent::protocol::JupyterState;
use crate::agent::usage::report::{Amount, Gpu, Gpus, Store, StoreState, Usage};
use crate::engine::Stage;
use crate::reservation::view::{ClusterView, HoldView, MachineView, SlotState, SlotView, WaitingView};
use crate::reservation::{SlotId, Target, UserName};
use crate::store::KeyRecord;
use crate::text::Lang;
use crate::text::connect::Way;
use crate::workspace::usage::{MachineUse, Machines, Model as Kind, SlotUse};

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

const GIB: u64 = 1 << 30;

fn gpu(name: &str, used: u64, total: u64, busy: u32, celsius: u32) -> Gpu {
    Gpu {
        index: 0,
        uuid: format!("GPU-{name}"),
        name: name.to_owned(),
        memory_used: Some(used * GIB),
        memory_total: Some(total * GIB),
        busy_percent: Some(busy),
        celsius: Some(celsius),
    }
}

fn kinds(name: &str, count: usize) -> Vec<Kind> {
    vec![Kind { name: name.to_owned(), count }]
}

/// What runs with one GPU and a store.
fn usage(gpu: Gpu) -> Usage {
    let space = StoreState::Space { used: 19 * GIB / 2, total: 10 * GIB };
    Usage {
        gpus: Gpus::Listed { gpus: vec![gpu], processes: Vec::new() },
        memory: Some(Amount { used: 3 * GIB, limit: Some(16 * GIB) }),
        stores: vec![Store { target: "/storage".to_owned(), state: space }],
        ..Usage::default()
    }
}

/// What is used in the usual cluster: on one machine all is measured, on one a part.
fn used() -> Machines {
    let slot = |usage: Usage, name: &str| SlotUse { usage: Some(usage), models: kinds(name, 1) };
    let gpu1 = MachineUse {
        gpus: 2,
        measured: 2,
        models: kinds("NVIDIA GeForce RTX 4090", 2),
        gpu_memory: Some(Amount { used: 31 * GIB, limit: Some(48 * GIB) }),
        busy_percent: Some(95),
        celsius: Some(74),
        load_hundredths: Some(1230),
        processors: Some(32),
        slots: [
            (self::slot("gpu1/1"), slot(usage(gpu("RTX 4090", 23, 24, 100, 74)), "RTX 4090")),
            (self::slot("gpu1/2"), slot(usage(gpu("RTX 4090", 8, 24, 90, 66)), "RTX 4090")),
        ]
        .into(),
        ..MachineUse::default()
    };
    let gpu2 = MachineUse {
        gpus: 4,
        measured: 1,
        models: kinds("NVIDIA H100 80GB HBM3", 3),
        gpu_memory: Some(Amount { used: 9 * GIB, limit: Some(80 * GIB) }),
        busy_percent: Some(40),
        celsius: Some(61),
        load_hundredths: Some(70),
        processors: Some(64),
        slots: [
            (
                self::slot("gpu2/1"),
                slot(usage(gpu("NVIDIA H100 80GB HBM3", 9, 80, 40, 61)), "NVIDIA H100 80GB HBM3"),
            ),
            (self::slot("gpu2/3"), SlotUse { usage: None, models: kinds("NVIDIA H100 80GB HBM3", 1) }),
        ]
        .into(),
        ..MachineUse::default()
    };
    let names = ["gpu1", "gpu2"].map(|name| name.parse().unwrap());
    std::sync::Arc::new(names.into_iter().zip([gpu1, gpu2]).collect())
}

fn use_of<'a>(machines: &'a mut Machines, name: &str) -> &'a mut MachineUse {
    std::sync::Arc::make_mut(machines).get_mut(&name.parse().unwrap()).unwrap()
}

/// And where linus holds gpu2/2.
fn used_with_mine() -> Machines {
    let mut machines = used();
    let gpu2 = use_of(&mut machines, "gpu2");
    let found = SlotUse { usage: Some(usage(gpu("NVIDIA H100", 9, 24, 35, 60))), models: kinds("H100", 1) };
    gpu2.slots.insert(slot("gpu2/2"), found);
    machines
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
    drawn(columns, rows, |frame| drop(view(model, frame)))
}

fn drawn(columns: u16, rows: u16, paint: impl FnOnce(&mut ratatui::Frame<'_>)) -> String {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(paint).unwrap();
    let buffer = terminal.backend().buffer();
    let lines = buffer.content.chunks(usize::from(columns.max(1)));
    let text = lines.map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>());
    text.map(|line| format!("{}\n", line.trim_end())).collect()
}
