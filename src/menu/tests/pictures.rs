//! The screens as text, kept in `snapshots/`. `UPDATE_SNAPSHOTS=1 cargo test --lib menu` rewrites them.

use std::path::Path;

use super::*;
use crate::agent::usage::report::Budget;

fn same(name: &str, picture: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/menu/snapshots").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&file, picture).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(picture, kept, "{name} differs:\n{picture}\nkept:\n{kept}");
}

fn in_all_sizes_and_languages(name: &str, view: &ClusterView, notice: Option<&str>, events: &[Event]) {
    for (lang, code) in [(Lang::En, "en"), (Lang::Fr, "fr")] {
        for (columns, rows) in [(80, 24), (40, 10), (120, 40)] {
            let mut model = Model::new(view.clone(), &user("linus"), lang)
                .with_notice(notice.map(Into::into))
                .with_way(way());
            for event in events {
                update(&mut model, event.clone());
            }
            same(&format!("{name}-{code}-{columns}x{rows}"), &picture(&model, columns, rows));
        }
    }
}

#[test]
fn machines() {
    in_all_sizes_and_languages("machines", &usual(), None, &[Event::Uses(Uses::from(&used()))]);
    in_all_sizes_and_languages("unmeasured", &usual(), None, &[]);
}

#[test]
fn machines_full_with_a_notice() {
    let notice = "Your reservation on gpu1/2 ended: its 8 h were over.\nWhat was not in /storage is gone.";
    in_all_sizes_and_languages("full", &full(), Some(notice), &[]);
}

#[test]
fn slots_with_a_hint() {
    let mut events = vec![Event::Uses(Uses::from(&used()))];
    events.extend([Key::Enter, Key::Home, Key::Enter].map(Event::Key));
    in_all_sizes_and_languages("slots", &usual(), None, &events);
}

#[test]
fn progress() {
    let mut events = [Key::Enter, Key::Enter].map(Event::Key).to_vec();
    events.push(Event::Progress(Stage::Pulling { layers_done: 3, layers: 7, bytes: 812_000_000 }));
    events.push(Event::Progress(Stage::Creating));
    events.push(Event::Progress(Stage::Starting));
    events.push(Event::Progress(Stage::Agent));
    events.push(Event::Clock(time("10:54")));
    in_all_sizes_and_languages("progress", &usual(), None, &events);
}

#[test]
fn found_by_typing() {
    let keys = "/edsg".chars().map(|char| Event::Key(Key::Char(char))).collect::<Vec<_>>();
    in_all_sizes_and_languages("find", &usual(), None, &keys);
}

#[test]
fn ones_own_reservation() {
    let facts = Facts { jupyter: Some(JupyterState::Starting), has_password: Some(true) };
    let events = [Event::Uses(Uses::from(&used_with_mine())), Event::Facts(facts)];
    in_all_sizes_and_languages("mine", &with_mine(), None, &events);
}

#[test]
fn a_start_that_was_asked_for_elsewhere() {
    let mut view = with_mine();
    view.machines[1].slots[1].state = SlotState::Starting { user: user("linus"), deadline: time("17:30") };
    in_all_sizes_and_languages("mine-starting", &view, None, &[]);
    let events = [Event::Key(Key::Enter), Event::Progress(Stage::Agent), Event::Clock(time("10:54"))];
    in_all_sizes_and_languages("awaiting", &view, None, &events);
}

#[test]
fn a_failure_and_its_reason() {
    let reason = "gpu2/3 could not be started: no space left on device. Try another slot; your administrator can see it too.";
    let mut events = [Key::Enter, Key::Enter].map(Event::Key).to_vec();
    events.push(Event::Failed(reason.to_owned()));
    in_all_sizes_and_languages("failure", &usual(), None, &events);
}

#[test]
fn storage_full_and_over_the_share() {
    let mut machines = used_with_mine();
    let gpu2 = use_of(&mut machines, "gpu2");
    let full = gpu2.slots.get_mut(&slot("gpu2/2")).unwrap().usage.as_mut().unwrap();
    full.stores[0].state = StoreState::Space { used: 10 * GIB, total: 10 * GIB };
    full.budget = Some(Budget { bytes: 8 * GIB, used: Some(9 * GIB) });
    in_all_sizes_and_languages("trouble", &with_mine(), None, &[Event::Uses(Uses::from(&machines))]);
}

#[test]
fn the_charter() {
    for (lang, code, text) in [
        (Lang::En, "en", "Be kind.\n\nShare the GPUs."),
        (Lang::Fr, "fr", "Soyez aimables.\n\nPartagez les GPU."),
    ] {
        for (columns, rows) in [(80, 24), (40, 10), (120, 40)] {
            let mut page = CharterPage::new("clusteria", &user("linus"), text, lang);
            let shown = drawn(columns, rows, |frame| page.view(frame));
            same(&format!("charter-{code}-{columns}x{rows}"), &shown);
        }
    }
}

#[test]
fn a_question_before_the_end() {
    in_all_sizes_and_languages("release", &with_mine(), None, &[Event::Key(Key::Char('6'))]);
}

#[test]
fn ways_to_connect() {
    let facts = Facts { jupyter: Some(JupyterState::Running), ..Facts::default() };
    let events = [Event::Facts(facts), Event::Key(Key::Char('2'))];
    in_all_sizes_and_languages("ways", &with_mine(), None, &events);
    let without = Facts { jupyter: Some(JupyterState::Missing), has_password: Some(false) };
    let events = [Event::Facts(without), Event::Key(Key::Char('2'))];
    in_all_sizes_and_languages("ways-without-jupyter", &with_mine(), None, &events);
}

#[test]
fn keys() {
    let key = |comment: &str, used: Option<&str>| KeyRecord {
        fingerprint: format!("SHA256:{}", "x".repeat(43)).replace("xx", comment.get(..2).unwrap()),
        line: String::new(),
        comment: comment.into(),
        last_used: used.map(time),
    };
    let keys = vec![key("linus@laptop", Some("09:10")), key("old desktop", None)];
    let events = [Event::Key(Key::Char('4')), Event::Keys(keys), Event::Key(Key::Down)];
    in_all_sizes_and_languages("keys", &with_mine(), None, &events);
    in_all_sizes_and_languages("paste", &with_mine(), None, &[events[0].clone(), Event::Key(Key::Char('a'))]);
}

#[test]
fn the_queue_and_a_turn() {
    in_all_sizes_and_languages("queue", &waiting(), None, &[]);
    in_all_sizes_and_languages("turn", &turn(), None, &[]);
    let back = [Key::Escape, Key::Enter].map(Event::Key);
    in_all_sizes_and_languages("turn-slots", &turn(), None, &back);
}

#[test]
fn help() {
    in_all_sizes_and_languages("help", &usual(), None, &[Event::Key(Key::Char('?'))]);
}

#[test]
fn the_card_has_the_password_and_no_mouse_over_it() {
    let password = crate::auth::ReservationPassword::generate().unwrap();
    let mut model = model(with_mine()).with_way(way());
    assert_eq!(update(&mut model, Event::Ready(password.clone())), None);
    for (columns, rows) in [(80, 24), (120, 40), (60, 16)] {
        let shown = picture(&model, columns, rows);
        for text in ["gpu2/2 is yours", password.reveal(), "ssh -p 2222 linus@100.64.0.7"] {
            assert!(shown.contains(text), "{text}: {shown}");
        }
    }
    assert!(!format!("{model:?}").contains(password.reveal()));
    assert_eq!(press(&mut model, Key::Enter), Some(Action::Enter));
    let palette = Palette::for_terminal("xterm", "", false);
    let mut screen = Screen::new(80, 24, palette);
    screen.enter();
    let bytes = screen.draw(&model);
    assert!(!bytes.windows(6).any(|part| part == b"[?1000"), "what is to be copied can be selected");
    press(&mut model, Key::Escape);
    assert!(screen.draw(&model).ends_with(b"\x1b[?1000h\x1b[?1006h"));
    assert!(!picture(&model, 80, 24).contains(password.reveal()), "shown once");
    assert!(screen.leave().starts_with(b"\x1b[?1006l\x1b[?1000l"));
}

#[test]
fn long_lists_scroll() {
    let mut model = model(cluster(vec![machine("gpu1", None, vec![SlotState::Free; 30])]));
    press(&mut model, Key::End);
    let shown = picture(&model, 40, 10);
    assert!(shown.contains("> 30"), "{shown}");
    assert!(shown.contains('↑') && !shown.contains("  1  "), "{shown}");
}
