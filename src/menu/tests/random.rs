//! Whatever comes: no panic, nothing out of bounds, the terminal given back.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::agent::usage::report::Budget;

const PALETTE: Palette = Palette { color: true, unicode: true, escapes: true, mouse: true };
const RESTORED: &[u8] = b"\x1b[?2004l\x1b[?7h\x1b[?25h\x1b[?1049l";

fn a_state() -> impl Strategy<Value = SlotState> {
    prop_oneof![
        3 => Just(SlotState::Free),
        1 => Just(taken("ada", "14:05")),
        1 => Just(taken("linus", "14:05")),
        1 => Just(SlotState::Starting { user: user("grace"), deadline: time("01:00") }),
        1 => Just(SlotState::Ending { user: user("a23456789-123456789-123456789-12") }),
        1 => Just(SlotState::Held { user: user("linus"), until: time("11:00") }),
        1 => Just(SlotState::Held { user: user("ada"), until: time("11:00") }),
        1 => Just(SlotState::Offline),
        1 => Just(SlotState::Draining),
    ]
}

prop_compose! {
    fn a_machine()(
        number in 1..6u8, label in proptest::option::of(any::<String>()),
        offline in proptest::option::of(any::<String>()), draining: bool, states in vec(a_state(), 0..15),
    ) -> MachineView {
        let name = if number == 5 { "m2345678901234567890123456789012".to_owned() } else { format!("gpu{number}") };
        MachineView { offline, draining, ..machine(&name, label.as_deref(), states) }
    }
}

prop_compose! {
    fn a_place()(me: bool, target: bool, place in 0..9usize, late: bool, held: bool) -> WaitingView {
        WaitingView {
            user: user(if me { "linus" } else { "ada" }),
            target: target.then(|| "gpu1".to_owned()),
            since: time("09:00"),
            place,
            estimate: late.then(|| time("18:00")),
            held: held.then(|| HoldView { slot: slot("gpu1/1"), until: time("11:00") }),
        }
    }
}

fn a_cluster() -> impl Strategy<Value = ClusterView> {
    (vec(a_machine(), 0..15), vec(a_place(), 0..4))
        .prop_map(|(machines, queue)| ClusterView { queue, ..cluster(machines) })
}

fn an_event() -> impl Strategy<Value = Event> {
    let keys = [
        Key::Up,
        Key::Down,
        Key::Left,
        Key::Right,
        Key::Home,
        Key::End,
        Key::PageUp,
        Key::PageDown,
        Key::Enter,
        Key::Escape,
        Key::Tab,
        Key::BackTab,
        Key::Backspace,
        Key::CtrlC,
        Key::CtrlD,
        Key::Char('1'),
        Key::Char('3'),
        Key::Char('q'),
        Key::Char('w'),
        Key::Char('x'),
        Key::Char('é'),
        Key::Char('/'),
        Key::Char('?'),
        Key::Char('m'),
        Key::Char('L'),
        Key::Char('y'),
        Key::Char('a'),
        Key::Char('d'),
        Key::Char('6'),
        Key::Pasted('1'),
        Key::WheelDown,
        Key::WheelUp,
    ];
    prop_oneof![
        8 => proptest::sample::select(keys.to_vec()).prop_map(Event::Key),
        4 => Just(Event::Key(Key::Enter)),
        2 => a_cluster().prop_map(|view| Event::Cluster(view.into())),
        1 => any::<usize>().prop_map(|bytes| {
            Event::Progress(Stage::Pulling { layers_done: bytes, layers: bytes, bytes: bytes as u64 })
        }),
        1 => Just(Event::Progress(Stage::Agent)),
        1 => any::<String>().prop_map(Event::Failed),
        1 => any::<String>().prop_map(Event::Told),
        1 => any::<String>().prop_map(Event::Text),
        2 => (any::<String>(), any::<u64>()).prop_map(|(words, figure)| Event::Uses(lies(&words, figure))),
        1 => Just(Event::Joined),
        2 => (0..20usize).prop_map(Event::Click),
        2 => (0..20usize).prop_map(Event::Choose),
        1 => (0..2_000_000_000i64).prop_map(|s| Event::Clock(Timestamp::from_second(s).unwrap())),
        1 => Just(Event::Ready(crate::auth::ReservationPassword::generate().unwrap())),
        1 => vec(any::<String>(), 0..4).prop_map(|comments| Event::Keys(comments.into_iter().map(a_key).collect())),
        1 => any::<String>().prop_map(|why| {
            Event::Facts(Facts { jupyter: Some(JupyterState::Failed { why }), has_password: None })
        }),
    ]
}

/// What containers may say of themselves.
fn lies(words: &str, figure: u64) -> Uses {
    let small = figure as u32;
    let lie = Gpu {
        index: small,
        uuid: words.to_owned(),
        name: words.to_owned(),
        memory_used: Some(figure),
        memory_total: figure.is_multiple_of(2).then_some(figure / 3),
        busy_percent: Some(small),
        celsius: figure.is_multiple_of(3).then_some(small),
    };
    let store = |state| Store { target: words.to_owned(), state };
    let failed = Gpus::Failed { why: words.to_owned() };
    let usage = Usage {
        gpus: if figure.is_multiple_of(5) {
            failed.clone()
        } else {
            Gpus::Listed { gpus: vec![lie; 2], processes: vec![] }
        },
        budget: Some(Budget { bytes: figure / 2, used: Some(figure) }),
        memory: Some(Amount { used: figure, limit: Some(0) }),
        stores: vec![
            store(StoreState::Space { used: figure, total: 1 }),
            store(StoreState::Failed { why: words.to_owned() }),
            store(StoreState::Silent { seconds: small }),
        ],
        ..Usage::default()
    };
    let machine = MachineUse {
        gpus: usize::from(!figure.is_multiple_of(7)) * 3,
        measured: usize::from(!figure.is_multiple_of(4)) * 2,
        models: kinds(words, 2),
        gpu_memory: Some(Amount { used: figure, limit: Some(0) }),
        busy_percent: Some(small),
        celsius: Some(small),
        trouble: figure.is_multiple_of(11).then_some(failed),
        memory: Some(Amount { used: figure, limit: Some(1) }),
        load_hundredths: Some(small),
        processors: Some(small),
        slots: [(slot("gpu1/1"), SlotUse { usage: Some(usage), models: kinds(words, 1) })].into(),
    };
    Uses::from(&std::sync::Arc::new([("gpu1".parse().unwrap(), machine)].into()))
}

fn a_key(comment: String) -> KeyRecord {
    KeyRecord {
        fingerprint: format!("SHA256:{}", comment.len()),
        line: String::new(),
        comment,
        last_used: None,
    }
}

fn a_size() -> impl Strategy<Value = (u16, u16)> {
    prop_oneof![(0..12u16, 0..12u16), (0..120u16, 0..50u16), Just((500, 200)), Just((u16::MAX, u16::MAX))]
}

/// What is not one of our own sequences must not be a control character.
fn without_our_sequences(bytes: &[u8]) -> String {
    let text = std::str::from_utf8(bytes).unwrap();
    let mut plain = String::new();
    for (index, part) in text.split("\x1b[").enumerate() {
        let params = |c: char| c.is_ascii_digit() || matches!(c, ';' | '?');
        let rest = if index == 0 { part } else { part.trim_start_matches(params) };
        plain.push_str(if index == 0 { rest } else { rest.strip_prefix(['H', 'm', 'J', 'h', 'l']).unwrap() });
    }
    plain
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn nothing_panics_and_the_terminal_is_given_back(
        first in a_cluster(), notice in proptest::option::of(any::<String>()), french: bool, size in a_size(),
        steps in vec((an_event(), proptest::option::weighted(0.2, a_size())), 0..30),
    ) {
        let lang = if french { Lang::Fr } else { Lang::En };
        let mut model = Model::new(first, &user("linus"), lang).with_notice(notice);
        let mut screen = Screen::new(size.0, size.1, PALETTE);
        let mut bytes = screen.enter();
        bytes.extend(screen.draw(&model));
        for (event, size) in steps {
            if let Some((columns, rows)) = size {
                screen.resize(columns, rows);
            }
            let before = model.clone();
            let action = update(&mut model, event);
            if let Some(Action::Reserve(id)) = action {
                let slots = before.cluster.machines.iter().flat_map(|machine| &machine.slots);
                let mine = user("linus");
                let held = before.cluster.waiting(&mine).and_then(|waiting| waiting.held.as_ref());
                prop_assert!(
                    slots.clone().any(|slot| slot.id == id && slot.state.is_for(&mine))
                        || held.is_some_and(|hold| hold.slot == id)
                );
            }
            bytes.extend(screen.draw(&model));
            prop_assert!(screen.draw(&model).is_empty());
            for row in 0..size.unwrap_or((0, 30)).1.min(60) {
                prop_assert!(screen.row_at(row).is_none_or(|at| at < 100));
            }
        }
        bytes.extend(screen.leave());
        prop_assert!(bytes.ends_with(RESTORED));
        prop_assert!(!without_our_sequences(&bytes).contains(char::is_control));
        prop_assert!(screen.leave().is_empty() && screen.draw(&model).is_empty());
    }

    #[test]
    fn lines_are_as_safe_as_screens(first in a_cluster(), steps in vec(
        prop_oneof![an_event().prop_map(Ok), vec(any::<u8>(), 0..8).prop_map(Err)], 0..20)) {
        let mut model = Model::new(first, &user("linus"), Lang::Fr).with_notice(Some("\x1b[2Jhello".into()));
        let mut face = Face::new(80, 24, Palette::for_terminal("dumb", "", false), false);
        let mut bytes = [face.enter(), face.show(&model)].concat();
        for step in steps {
            let events = match step {
                Ok(event) => vec![event],
                Err(typed) => face.hear(&typed),
            };
            for event in events {
                update(&mut model, event);
            }
            bytes.extend(face.show(&model));
            prop_assert!(face.show(&model).is_empty());
        }
        bytes.extend(face.leave());
        prop_assert!(bytes.is_ascii());
        prop_assert!(!bytes.iter().any(|b| b.is_ascii_control() && !matches!(b, b'\r' | b'\n' | 8)));
    }

    #[test]
    fn keys_do_not_depend_on_packets(parts in vec(vec(
        prop_oneof![any::<u8>(), proptest::sample::select(b"\x1b[OM]\\~;0123456789ABCDHFZ?\r\n\xc3\xa9\xe2\x97\x8f".to_vec())],
        0..12), 0..12)) {
        let whole = KeyDecoder::new().feed(&parts.concat());
        let mut decoder = KeyDecoder::new();
        let split: Vec<Key> = parts.iter().flat_map(|part| decoder.feed(part)).collect();
        prop_assert_eq!(whole, split);
    }

    /// A difference drawn over the old picture gives the new picture.
    #[test]
    fn differences_add_up(first in a_cluster(), events in vec(an_event(), 1..12)) {
        let mut model = Model::new(first, &user("linus"), Lang::En);
        let ascii = Palette { color: false, unicode: false, escapes: true, mouse: false };
        let (mut screen, mut seen) = (Screen::new(60, 20, ascii), Glass::new(60, 20));
        for event in events {
            update(&mut model, event);
            seen.show(&screen.draw(&model));
            let whole = Screen::new(60, 20, ascii).draw(&model);
            let mut fresh = Glass::new(60, 20);
            fresh.show(&whole);
            prop_assert_eq!(&seen.cells, &fresh.cells);
        }
    }
}

/// A terminal of ASCII cells that knows cursor addressing and SGR.
struct Glass {
    columns: usize,
    cells: Vec<(char, String)>,
}

impl Glass {
    fn new(columns: usize, rows: usize) -> Self {
        Self { columns, cells: vec![(' ', "0".to_owned()); columns * rows] }
    }

    fn show(&mut self, bytes: &[u8]) {
        let text = std::str::from_utf8(bytes).unwrap();
        let (mut at, mut style) = (0, "0".to_owned());
        for part in text.split("\x1b[").skip(1) {
            let end = part.find(['H', 'm']).unwrap();
            let (parameters, rest) = part.split_at(end);
            if rest.starts_with('H') {
                let (row, column) = parameters.split_once(';').unwrap();
                let number = |text: &str| text.parse::<usize>().unwrap() - 1;
                at = number(row) * self.columns + number(column);
            } else {
                style = parameters.to_owned();
            }
            for char in rest.chars().skip(1) {
                self.cells[at] = (char, style.clone());
                at += 1;
            }
        }
    }
}

#[test]
fn a_label_cannot_speak_to_the_terminal() {
    let mut view = usual();
    view.cluster = "c\x1b]0;title\x07".to_owned();
    for machine in &mut view.machines {
        machine.label = Some("\x1b[2J\u{9b}31m\r\n\u{202e}label".to_owned());
        machine.offline = machine.offline.as_ref().map(|_| "\x1bPq\x1b\\".to_owned());
        machine.slots.iter_mut().for_each(|slot| slot.gpus = vec!["\x1b[6n".to_owned()]);
    }
    view.machines[0].slots[0].state = taken("linus", "14:05");
    let mut model = model(view).with_notice(Some("motd\x1b[2J\x07".into()));
    let mut screen = Screen::new(80, 24, PALETTE);
    let mut bytes = screen.draw(&model);
    let hostile = "\x1b]0;x\x07\u{9b}31m\u{202e}".to_owned();
    let jupyter = Some(JupyterState::Failed { why: hostile.clone() });
    let events = [
        Event::Facts(Facts { jupyter, has_password: None }),
        Event::Uses(lies(&hostile, 55)),
        Event::Uses(lies(&hostile, 31)),
        Event::Uses(lies(&hostile, 28)),
        Event::Failed(hostile.clone()),
        Event::Key(Key::Char('4')),
        Event::Keys(vec![a_key(hostile.clone())]),
        Event::Told(hostile),
        Event::Key(Key::Char('a')),
        Event::Key(Key::Pasted('\u{9b}')),
        Event::Key(Key::Escape),
        Event::Key(Key::Escape),
        Event::Key(Key::Escape),
        Event::Key(Key::Enter),
        Event::Key(Key::Char('/')),
        Event::Key(Key::Char('\u{202e}')),
    ];
    for event in events {
        update(&mut model, event);
        bytes.extend(screen.draw(&model));
    }
    let plain = without_our_sequences(&bytes);
    assert!(!plain.contains(char::is_control) && !plain.contains('\u{202e}'));
    for sequence in ["\x1b[2J", "\x1b]", "\x1bP", "\x1b[6n", "\u{9b}"] {
        assert!(!String::from_utf8_lossy(&bytes).contains(sequence), "{sequence:?}");
    }
}

#[test]
fn a_moved_cursor_costs_little() {
    let mut model = model(usual());
    let mut screen = Screen::new(80, 24, PALETTE);
    let whole = screen.draw(&model).len();
    press(&mut model, Key::Down);
    let change = screen.draw(&model).len();
    assert!(change > 0 && change < whole, "{change} of {whole}");
}

#[test]
fn terminals_that_can_less_get_less() {
    let mut old = Screen::new(80, 24, Palette::for_terminal("vt100", "C", false));
    let bytes = old.draw(&model(usual()));
    assert!(bytes.is_ascii());
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains("* 1/4 free") && text.contains("[0mo") && text.contains("0/2"), "{text}");
    assert!(!text.contains(";32m"));
    let mut dumb = Screen::new(80, 24, Palette::for_terminal("dumb", "", false));
    assert!(dumb.enter().is_empty());
    let text = String::from_utf8(dumb.draw(&model(usual()))).unwrap();
    assert!(!text.contains('\x1b') && text.contains("gpu2"), "{text}");
    assert!(dumb.draw(&model(usual())).is_empty() && dumb.leave().is_empty());
}

#[test]
fn a_resized_screen_is_drawn_whole() {
    let model = model(usual());
    let mut screen = Screen::new(80, 24, PALETTE);
    screen.enter();
    screen.draw(&model);
    screen.resize(80, 24);
    assert!(screen.draw(&model).is_empty());
    screen.resize(60, 24);
    assert!(screen.draw(&model).starts_with(b"\x1b[0m\x1b[2J\x1b["));
    assert!(screen.draw(&model).is_empty());
}

#[test]
fn the_smallest_screen_shows_what_is_chosen() {
    let mut model = model(usual());
    press(&mut model, Key::Enter);
    assert!(picture(&model, 20, 1).starts_with(">  3  ● free"));
    press(&mut model, Key::Home);
    press(&mut model, Key::Enter);
    assert!(picture(&model, 40, 2).contains("gpu2/1 is taken"), "{}", picture(&model, 40, 2));
}
