//! One's own reservation: what its keys do, and what else can be done with a list.

use super::*;

#[test]
fn who_holds_a_reservation_begins_with_it() {
    let mut model = model(with_mine());
    assert!(picture(&model, 80, 24).contains("Your reservation: gpu2/2"));
    assert_eq!(press(&mut model, Key::Enter), Some(Action::Enter));
    press(&mut model, Key::Char('m'));
    assert!(picture(&model, 80, 24).contains("Choose a machine"));
    press(&mut model, Key::Char('m'));
    assert!(picture(&model, 80, 24).contains("Your reservation: gpu2/2"));
}

#[test]
fn it_is_released_only_with_a_yes() {
    for (lang, yes) in [(Lang::En, 'y'), (Lang::Fr, 'o')] {
        for no in [Key::Enter, Key::Escape, Key::Char('n'), Key::Char('q'), Key::CtrlC] {
            let mut model = Model::new(with_mine(), &user("linus"), lang);
            assert_eq!(press(&mut model, Key::Char('6')), None);
            assert!(picture(&model, 80, 24).contains("/storage"));
            assert_eq!(press(&mut model, no), None);
        }
        let mut model = Model::new(with_mine(), &user("linus"), lang);
        press(&mut model, Key::Char('6'));
        assert_eq!(press(&mut model, Key::Char(yes)), Some(Action::Release));
    }
}

#[test]
fn what_has_ended_takes_its_screens_and_questions_with_it() {
    for digit in ['2', '6'] {
        let mut model = model(with_mine());
        press(&mut model, Key::Char(digit));
        update(&mut model, Event::Cluster(usual().into()));
        assert!(picture(&model, 80, 24).contains("Choose a machine"));
        assert_eq!(press(&mut model, Key::Char('y')), None);
    }
}

#[test]
fn keys_are_pasted_and_removed() {
    let mut model = model(with_mine());
    assert_eq!(press(&mut model, Key::Char('4')), Some(Action::ShowKeys));
    press(&mut model, Key::Char('a'));
    for char in "ssh-ed25519 AAAA q".chars() {
        assert_eq!(press(&mut model, Key::Pasted(char)), None);
    }
    press(&mut model, Key::Backspace);
    let added = press(&mut model, Key::Enter);
    assert_eq!(added, Some(Action::AddKey("ssh-ed25519 AAAA ".into())));
    let key = |name: &str| KeyRecord {
        fingerprint: format!("SHA256:{name}"),
        line: String::new(),
        comment: name.into(),
        last_used: None,
    };
    update(&mut model, Event::Keys(vec![key("one"), key("two")]));
    press(&mut model, Key::Down);
    // Another connection's newer key does not come under the cursor.
    update(&mut model, Event::Keys(vec![key("zero"), key("one"), key("two")]));
    press(&mut model, Key::Char('d'));
    assert_eq!(press(&mut model, Key::Char('y')), Some(Action::RemoveKey("SHA256:two".into())));
}

#[test]
fn the_language_is_changed_with_a_key() {
    let mut model = model(usual());
    assert_eq!(press(&mut model, Key::Char('L')), Some(Action::Speak(Lang::Fr)));
    assert!(picture(&model, 80, 24).contains("Choisissez une machine"));
    assert_eq!(press(&mut model, Key::Char('L')), Some(Action::Speak(Lang::En)));
}

#[test]
fn a_click_chooses_and_a_second_one_does() {
    let mut model = model(usual());
    assert_eq!(update(&mut model, Event::Click(0)), None);
    assert!(picture(&model, 80, 24).contains(">  1  gpu1"));
    update(&mut model, Event::Click(1));
    update(&mut model, Event::Click(1));
    assert!(picture(&model, 80, 24).contains("Choose a slot on gpu2"));
    assert_eq!(
        update(&mut model, Event::Click(2)),
        Some(Action::Reserve(slot("gpu2/3"))),
        "it was chosen already"
    );
    let mut screen = Screen::new(80, 24, Palette::for_terminal("xterm", "", false));
    screen.enter();
    let lists = super::model(usual());
    screen.draw(&lists);
    let shown = picture(&lists, 80, 24);
    let row = shown.lines().position(|line| line.contains("gpu2")).unwrap();
    assert_eq!(screen.row_at(u16::try_from(row).unwrap()), Some(1));
    assert_eq!((screen.row_at(0), screen.row_at(23)), (None, None));
}

#[test]
fn what_is_typed_after_a_slash_finds() {
    let mut model = model(usual());
    for char in "/EDS".chars() {
        press(&mut model, Key::Char(char));
    }
    let shown = picture(&model, 80, 24);
    assert!(shown.contains(">  1  gpu1") && !shown.contains("gpu3"), "by who works there: {shown}");
    press(&mut model, Key::Enter);
    press(&mut model, Key::Enter);
    assert!(picture(&model, 80, 24).contains("Choose a slot on gpu1"));
    for char in "/zzz".chars() {
        press(&mut model, Key::Char(char));
    }
    assert!(picture(&model, 80, 24).contains("Nothing is called so."));
    press(&mut model, Key::Enter);
    assert_eq!(press(&mut model, Key::Enter), None, "what is hidden is not reserved");
    press(&mut model, Key::Escape);
    assert!(picture(&model, 80, 24).contains("gpu1"));
}

#[test]
fn help_lies_over_everything_and_any_key_closes_it() {
    for view in [usual(), with_mine()] {
        let mut model = model(view);
        let before = picture(&model, 80, 24);
        press(&mut model, Key::Char('?'));
        press(&mut model, Key::Down);
        assert!(picture(&model, 80, 24).contains("--plain"));
        assert_eq!(press(&mut model, Key::Char('q')), None);
        assert_eq!(picture(&model, 80, 24), before);
    }
}
