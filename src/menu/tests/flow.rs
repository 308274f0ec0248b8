//! Transitions.

use super::*;

#[test]
fn two_keys_from_a_machine_to_a_reservation() {
    let mut model = model(usual());
    assert_eq!(press(&mut model, Key::Enter), None);
    assert_eq!(press(&mut model, Key::Enter), Some(Action::Reserve(slot("gpu2/3"))));
    assert_eq!(press(&mut model, Key::Enter), None, "typed ahead");
}

#[test]
fn digits_choose_directly() {
    let mut model = model(usual());
    press(&mut model, Key::Char('2'));
    assert_eq!(press(&mut model, Key::Char('1')), None);
    assert!(picture(&model, 80, 24).contains("gpu2/1 is taken by ada"));
    assert_eq!(press(&mut model, Key::Char('9')), None);
    assert_eq!(press(&mut model, Key::Char('3')), Some(Action::Reserve(slot("gpu2/3"))));
}

#[test]
fn back_and_quit() {
    for back in [Key::Left, Key::Escape, Key::Backspace, Key::Char('h')] {
        let mut model = model(usual());
        press(&mut model, Key::Right);
        assert!(picture(&model, 80, 24).contains("Choose a slot on gpu2"));
        assert_eq!(press(&mut model, back), None);
        assert!(picture(&model, 80, 24).contains("Choose a machine"));
        for quit in [Key::Char('q'), Key::CtrlC, Key::CtrlD] {
            assert_eq!(press(&mut model, quit), Some(Action::Quit));
        }
    }
}

#[test]
fn one_machine_is_open_at_once() {
    let mut model = model(cluster(vec![machine("gpu1", None, vec![taken("ada", "14:05"), SlotState::Free])]));
    press(&mut model, Key::Escape);
    assert_eq!(press(&mut model, Key::Enter), Some(Action::Reserve(slot("gpu1/2"))));
}

#[test]
fn a_taken_slot_is_explained_until_the_next_key() {
    let mut model = model(usual());
    press(&mut model, Key::Char('2'));
    press(&mut model, Key::Home);
    assert_eq!(press(&mut model, Key::Enter), None);
    let hint = "gpu2/1 is taken by ada until 14:05 UTC at the latest (3 h 12 min left).";
    assert!(picture(&model, 80, 24).contains(hint));
    press(&mut model, Key::Down);
    assert!(!picture(&model, 80, 24).contains("at the latest"));
}

#[test]
fn a_slot_taken_under_the_cursor_is_not_reserved() {
    let mut model = model(usual());
    press(&mut model, Key::Enter);
    let mut view = usual();
    view.machines[1].slots[2].state = taken("grace", "18:53");
    view.machines[1].slots[0].state = SlotState::Free;
    update(&mut model, Event::Cluster(view.into()));
    assert_eq!(press(&mut model, Key::Enter), None);
    assert!(picture(&model, 80, 24).contains("gpu2/3 is taken by grace"));
}

#[test]
fn the_cursor_stays_on_what_it_is_on() {
    let mut model = model(usual());
    let mut view = usual();
    view.machines.reverse();
    update(&mut model, Event::Cluster(view.clone().into()));
    press(&mut model, Key::Enter);
    assert!(picture(&model, 80, 24).contains("Choose a slot on gpu2"));
    view.machines[1].slots.remove(0);
    update(&mut model, Event::Cluster(view.clone().into()));
    view.machines[1].slots.remove(1);
    update(&mut model, Event::Cluster(view.clone().into()));
    assert_eq!(press(&mut model, Key::Enter), None, "what was chosen is gone, nothing is");
    view.machines.remove(1);
    update(&mut model, Event::Cluster(view.into()));
    assert!(picture(&model, 80, 24).contains("Choose a machine"));
    assert_eq!(press(&mut model, Key::Enter), None);
    assert!(picture(&model, 80, 24).contains("Choose a machine"));
    press(&mut model, Key::Down);
    press(&mut model, Key::Enter);
    assert!(picture(&model, 80, 24).contains("Choose a slot on gpu3"));
}

#[test]
fn a_reservation_in_progress_is_told_and_cancelled() {
    for cancel in [Key::Escape, Key::CtrlC, Key::Char('q')] {
        let mut model = model(usual());
        press(&mut model, Key::Enter);
        press(&mut model, Key::Enter);
        for layers_done in 0..200 {
            let stage = Stage::Pulling { layers_done, layers: 200, bytes: 7_000_000 };
            update(&mut model, Event::Progress(stage));
        }
        update(&mut model, Event::Progress(Stage::Creating));
        update(&mut model, Event::Clock(time("10:54")));
        let shown = picture(&model, 80, 24);
        assert!(shown.contains("Reserving gpu2/3 · 1 min"), "{shown}");
        assert!(shown.contains("✓ fetching the image: layer 199 of 200, 7 MB"), "{shown}");
        assert!(shown.contains("▸ creating the container") && !shown.contains("198"), "{shown}");
        assert_eq!(press(&mut model, Key::CtrlD), None);
        assert_eq!(press(&mut model, cancel), Some(Action::Cancel));
        assert!(picture(&model, 80, 24).contains("Choose a slot on gpu2"));
    }
}

#[test]
fn what_was_asked_for_elsewhere_is_not_given_back() {
    let mut view = with_mine();
    view.machines[1].slots[1].state = SlotState::Starting { user: user("linus"), deadline: time("17:30") };
    for stop in [Key::Escape, Key::CtrlC, Key::Char('q')] {
        let mut model = model(view.clone());
        assert_eq!(press(&mut model, Key::Enter), Some(Action::Enter));
        let shown = picture(&model, 80, 24);
        assert!(shown.contains("gpu2/2 is starting") && shown.contains("the start goes on"), "{shown}");
        assert_eq!(press(&mut model, stop), Some(Action::StopWaiting));
        assert!(picture(&model, 80, 24).contains("Your reservation: gpu2/2 (starting)"));
    }
    // Two menus of one user ask at once: the second finds what the first has begun.
    let mut second = model(usual());
    press(&mut second, Key::Enter);
    assert_eq!(press(&mut second, Key::Enter), Some(Action::Reserve(slot("gpu2/3"))));
    update(&mut second, Event::Joined);
    assert_eq!(press(&mut second, Key::Escape), Some(Action::StopWaiting));
}

#[test]
fn a_failure_returns_to_the_list_with_its_reason() {
    let mut model = model(usual()).with_notice(Some("Welcome.".to_owned()));
    assert!(picture(&model, 80, 24).contains("Welcome."));
    press(&mut model, Key::Enter);
    press(&mut model, Key::Enter);
    update(&mut model, Event::Failed("The image\x1b[31m is missing.\nAsk an administrator.".to_owned()));
    let shown = picture(&model, 80, 24);
    assert!(shown.contains("The image\u{fffd}[31m is missing.\nAsk an administrator.\n"), "{shown}");
    assert!(shown.contains("Choose a slot on gpu2"));
    assert!(!shown.contains("Welcome."));
    assert_eq!(press(&mut model, Key::Enter), Some(Action::Reserve(slot("gpu2/3"))));
}

#[test]
fn what_frees_first_is_said_when_all_is_taken() {
    let mut view = full();
    let said = |view: &ClusterView| picture(&model(view.clone()), 80, 24);
    let shown = said(&view);
    assert!(shown.contains("Everything is taken. gpu1/2 frees first, at 12:00 UTC at the latest"), "{shown}");
    view.machines[0].slots[0].state = SlotState::Ending { user: user("ada") };
    assert!(said(&view).contains("gpu1/1 frees first, in a moment."));
    view.machines[0].draining = true;
    assert!(said(&view).contains("Nothing can be reserved at present."));
    view.machines.clear();
    assert!(said(&view).contains("There are no machines."));
}

#[test]
fn a_full_cluster_offers_the_queue_and_a_turn_is_taken_with_enter() {
    let mut model = model(full());
    assert!(picture(&model, 80, 24).contains("w wait in line"));
    assert_eq!(press(&mut model, Key::Char('w')), Some(Action::Join(Target::Any)));
    assert_eq!(press(&mut model, Key::Enter), None, "it is nobody's turn");
    update(&mut model, Event::Cluster(waiting().into()));
    let shown = picture(&model, 80, 24);
    assert!(shown.contains("You are number 2 in the queue") && shown.contains("14:05 UTC"), "{shown}");
    assert_eq!(press(&mut model, Key::Enter), None, "nor now");
    update(&mut model, Event::Cluster(turn().into()));
    assert!(picture(&model, 80, 24).contains("It is your turn: gpu1/2 is held for you until 10:58 UTC"));
    assert_eq!(press(&mut model, Key::Enter), Some(Action::Reserve(slot("gpu1/2"))));
    update(&mut model, Event::Failed("It is gone.".into()));
    assert!(picture(&model, 80, 24).contains("It is gone."));
}

#[test]
fn the_queue_is_joined_for_the_machine_that_is_shown_and_left_with_one_key() {
    let mut model = model(usual());
    assert_eq!(press(&mut model, Key::Char('w')), None, "something is free");
    press(&mut model, Key::Char('1'));
    let gpu1 = Target::Machine("gpu1".parse().unwrap());
    assert_eq!(press(&mut model, Key::Char('w')), Some(Action::Join(gpu1)));
    update(&mut model, Event::Cluster(waiting().into()));
    assert_eq!(press(&mut model, Key::Escape), None, "the place is kept");
    assert!(picture(&model, 80, 24).contains("w your place"));
    assert_eq!(press(&mut model, Key::Char('w')), None);
    assert_eq!(press(&mut model, Key::Char('x')), Some(Action::Leave));
    update(&mut model, Event::Cluster(full().into()));
    assert!(picture(&model, 80, 24).contains("Choose a machine"));
    press(&mut model, Key::Char('w'));
    update(&mut model, Event::Failed("The queue takes nobody more.".into()));
    assert!(picture(&model, 80, 24).contains("Choose a machine"));
}

#[test]
fn a_slot_that_is_held_is_only_for_its_holder() {
    let mut mine = model(turn());
    press(&mut mine, Key::Escape);
    press(&mut mine, Key::Enter);
    assert_eq!(press(&mut mine, Key::Enter), Some(Action::Reserve(slot("gpu1/2"))));
    let mut other = Model::new(turn(), &user("alan"), Lang::En);
    press(&mut other, Key::Enter);
    assert_eq!(press(&mut other, Key::Char('2')), None);
    let shown = picture(&other, 80, 24);
    assert!(shown.contains("It is linus's turn") && shown.contains("held for linus until 10:58"), "{shown}");
}
