//! The menu as lines.

use super::*;

fn face() -> Face {
    Face::new(80, 24, Palette::for_terminal("dumb", "en_US.UTF-8", false), false)
}

fn said(face: &mut Face, model: &Model) -> String {
    String::from_utf8(face.show(model)).unwrap().replace("\r\n", "\n")
}

/// Types a line; what it comes to, and what is said then.
fn typed(face: &mut Face, model: &mut Model, line: &str) -> (Vec<Action>, String) {
    let events = face.hear(format!("{line}\r").as_bytes());
    let actions = events.into_iter().filter_map(|event| update(model, event)).collect();
    (actions, said(face, model))
}

#[test]
fn a_place_is_reserved_with_two_numbers() {
    let (mut face, mut model) = (face(), model(usual()));
    let first = said(&mut face, &model);
    assert!(
        first.contains("Choose a machine\n1. gpu1, RTX 4090, 0/2 free, gpu1/2 frees in 1 h 07 min\n"),
        "{first}"
    );
    assert!(first.contains("3. gpu3, offline: no answer for 5 min\n") && !first.contains('\x1b'), "{first}");
    assert!(first.ends_with("reads again: "));
    let (actions, slots) = typed(&mut face, &mut model, "2");
    assert!(actions.is_empty() && slots.contains("\n3. free, GPU 2\n"), "{slots}");
    let (actions, taken) = typed(&mut face, &mut model, "1");
    assert!(actions.is_empty() && taken.contains("gpu2/1 is taken by ada"), "{taken}");
    let (actions, busy) = typed(&mut face, &mut model, "3");
    assert_eq!(actions, [Action::Reserve(slot("gpu2/3"))]);
    assert!(busy.contains("Reserving gpu2/3") && busy.contains("q cancels"), "{busy}");
    update(&mut model, Event::Progress(Stage::Pulling { layers_done: 1, layers: 3, bytes: 1_000_000 }));
    assert_eq!(said(&mut face, &model), "fetching the image: layer 1 of 3, 1 MB\n");
    update(&mut model, Event::Progress(Stage::Pulling { layers_done: 2, layers: 3, bytes: 9_000_000 }));
    assert_eq!(said(&mut face, &model), "", "figures that change are for the eye");
    update(&mut model, Event::Clock(time("10:59")));
    assert_eq!(said(&mut face, &model), "");
    assert_eq!(typed(&mut face, &mut model, "q").0, [Action::Cancel]);
}

#[test]
fn nothing_is_said_unasked() {
    let (mut face, mut model) = (face(), model(usual()));
    said(&mut face, &model);
    update(&mut model, Event::Cluster(full().into()));
    update(&mut model, Event::Clock(time("11:30")));
    assert_eq!(said(&mut face, &model), "");
    let (_, again) = typed(&mut face, &mut model, "");
    assert!(again.contains("Everything is taken."), "{again}");
}

#[test]
fn keys_and_questions_are_typed_too() {
    let (mut face, mut model) = (face(), model(with_mine()));
    assert!(said(&mut face, &model).contains("1. Open a shell\n"));
    assert_eq!(typed(&mut face, &mut model, "4").0, [Action::ShowKeys]);
    assert!(typed(&mut face, &mut model, "a").1.contains("Paste the line"));
    let line = "ssh-ed25519 AAAA me";
    assert_eq!(typed(&mut face, &mut model, line).0, [Action::AddKey(line.into())]);
    typed(&mut face, &mut model, "b");
    let (_, asked) = typed(&mut face, &mut model, "6");
    assert!(asked.contains("Release gpu2/2?"), "{asked}");
    assert_eq!(typed(&mut face, &mut model, "y").0, [Action::Release]);
    assert_eq!(typed(&mut face, &mut model, "1").0, [Action::Enter]);
}

#[test]
fn typing_is_echoed_and_corrected() {
    let (mut face, model) = (face(), model(usual()));
    said(&mut face, &model);
    assert!(face.hear(b"7\x7f2").is_empty());
    assert_eq!(face.show(&model), b"7\x08 \x082");
    assert_eq!(face.hear(b"\r\n"), [Event::Choose(1)]);
    assert_eq!(face.hear(b"\x03"), [Event::Key(Key::CtrlC)]);
    face.show(&model);
    // Nothing to take back: the key is no text. What was not shown is not wiped, and goes whole.
    assert!(face.hear(b"\x7f\x08\x15").is_empty());
    assert_eq!(face.show(&model), b"");
    assert!(face.hear("é\x7f€7\x15 2".as_bytes()).is_empty());
    assert_eq!(face.show(&model), b"7\x08 \x08 2");
    assert_eq!(face.hear(b"\r"), [Event::Choose(1)]);
}
