//! The screens as text, kept in `snapshots/`. `UPDATE_SNAPSHOTS=1 cargo test --lib menu` rewrites them.

use std::path::Path;

use super::*;

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
        for (columns, rows) in [(80, 24), (40, 10)] {
            let mut model =
                Model::new(view.clone(), &user("linus"), lang).with_notice(notice.map(Into::into));
            for event in events {
                update(&mut model, event.clone());
            }
            same(&format!("{name}-{code}-{columns}x{rows}"), &picture(&model, columns, rows));
        }
    }
}

#[test]
fn machines() {
    in_all_sizes_and_languages("machines", &usual(), None, &[]);
}

#[test]
fn machines_full_with_a_notice() {
    let notice = "Your reservation on gpu1/2 ended: its 8 h were over.\nWhat was not in /storage is gone.";
    in_all_sizes_and_languages("full", &full(), Some(notice), &[]);
}

#[test]
fn slots_with_a_hint() {
    let keys = [Key::Enter, Key::Home, Key::Enter].map(Event::Key);
    in_all_sizes_and_languages("slots", &usual(), None, &keys);
}

#[test]
fn progress() {
    let mut events = [Key::Enter, Key::Enter].map(Event::Key).to_vec();
    events.push(Event::Progress("Starting the container on gpu2".to_owned()));
    events.push(Event::Progress("Waiting for its agent".to_owned()));
    in_all_sizes_and_languages("progress", &usual(), None, &events);
}

#[test]
fn the_queue_and_a_turn() {
    in_all_sizes_and_languages("queue", &waiting(), None, &[]);
    in_all_sizes_and_languages("turn", &turn(), None, &[]);
    let back = [Key::Escape, Key::Enter].map(Event::Key);
    in_all_sizes_and_languages("turn-slots", &turn(), None, &back);
}

#[test]
fn long_lists_scroll() {
    let mut model = model(cluster(vec![machine("gpu1", None, vec![SlotState::Free; 30])]));
    press(&mut model, Key::End);
    let shown = picture(&model, 40, 10);
    assert!(shown.contains("> 30"), "{shown}");
    assert!(shown.contains('↑') && !shown.contains("  1  "), "{shown}");
}
