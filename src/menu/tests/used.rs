//! What machines and slots use, below their rows.

use super::*;

fn with_use(view: ClusterView, machines: &Machines) -> Model {
    let mut model = model(view);
    update(&mut model, Event::Uses(Uses::from(machines)));
    model
}

#[test]
fn a_machine_tells_its_gpus_its_load_and_who_works_there() {
    let model = with_use(usual(), &used());
    let shown = picture(&model, 120, 30);
    let below = |name: &str| {
        let mut lines = shown.lines().skip_while(|line| !line.contains(name));
        (
            lines.next().unwrap().to_owned(),
            lines.next().unwrap().trim().to_owned(),
            lines.next().unwrap().trim().to_owned(),
        )
    };
    let (row, gpus, people) = below("gpu1  ");
    assert!(row.contains("gpu1/2 frees in 1 h 07 min"), "{shown}");
    assert_eq!(
        gpus,
        "2 × RTX 4090 · memory ███████░░░ 31 of 48 GiB · busy █████████░ 95 % · 74 °C · load 12.3/32"
    );
    assert_eq!(people, "1: ada until 14:05 · 2: edsger until 12:00");
    let (_, gpus, people) = below("gpu2  ");
    assert!(gpus.starts_with("3 × H100 80GB HBM3 · ") && gpus.contains("1/4 measured"), "{gpus}");
    assert_eq!(people, "1: ada until 14:05 · 2: grace, starting · 4: alan, ending");
}

#[test]
fn what_the_label_says_is_not_said_again() {
    let mut machines = used();
    use_of(&mut machines, "gpu1").models = kinds("RTX 4090", 1);
    let shown = picture(&with_use(usual(), &machines), 120, 30);
    assert!(shown.contains("\n      memory ███████░░░ 31 of"), "{shown}");
}

#[test]
fn what_nobody_measures_has_no_bar() {
    let mut machines = used();
    *use_of(&mut machines, "gpu1") = MachineUse { gpus: 2, ..MachineUse::default() };
    *use_of(&mut machines, "gpu2") = MachineUse::default();
    let model = with_use(usual(), &machines);
    let shown = picture(&model, 80, 24);
    assert!(
        shown.contains("2 GPUs · not measured yet") && shown.contains("no GPU") && !shown.contains('█'),
        "{shown}"
    );
    let nobody = cluster(vec![
        machine("gpu1", None, vec![SlotState::Free]),
        machine("gpu2", None, vec![SlotState::Free]),
    ]);
    let shown = picture(&with_use(nobody.clone(), &machines), 80, 24);
    assert!(shown.contains("2 GPUs · not measured: nobody works there"), "{shown}");
    use_of(&mut machines, "gpu1").trouble = Some(Gpus::Silent { seconds: 40 });
    let shown = picture(&with_use(nobody, &machines), 80, 24);
    assert!(shown.contains("GPU: nvidia-smi has not answered for 40 s"), "{shown}");
}

#[test]
fn lines_below_rows_give_way_and_clicks_still_find_the_rows() {
    let model = with_use(usual(), &used());
    let mut screen = Screen::new(80, 24, Palette::for_terminal("xterm", "", false));
    screen.enter();
    screen.draw(&model);
    let shown = picture(&model, 80, 24);
    for (text, row) in
        [("gpu1  ", 0), ("1: ada until 14:05 · 2: edsger", 0), ("gpu2  ", 1), ("measured", 1), ("gpu3", 2)]
    {
        let y = shown.lines().position(|line| line.contains(text)).unwrap();
        assert_eq!(screen.row_at(u16::try_from(y).unwrap()), Some(row), "{text}: {shown}");
    }
    // The figures first; on the smallest screens the rows alone.
    let (middle, small) = (picture(&model, 80, 9), picture(&model, 40, 6));
    assert!(middle.contains("95 %") && !middle.contains("edsger until"), "{middle}");
    assert!(small.contains("gpu3") && !small.contains("95 %"), "{small}");
}

#[test]
fn a_slot_tells_its_gpu_or_what_is_wrong_with_it() {
    let mut machines = used();
    let gpu1 = use_of(&mut machines, "gpu1");
    gpu1.slots.get_mut(&slot("gpu1/2")).unwrap().usage.as_mut().unwrap().gpus = Gpus::Missing;
    let mut model = with_use(usual(), &machines);
    press(&mut model, Key::Char('1'));
    let shown = picture(&model, 100, 24);
    assert!(
        shown.contains("RTX 4090 · memory █████████░ 23 of 24 GiB · busy ██████████ 100 % · 74 °C"),
        "{shown}"
    );
    assert!(shown.contains("there is no nvidia-smi in the container"), "{shown}");
}

#[test]
fn lines_for_ears_have_no_bars() {
    let model = with_use(usual(), &used());
    let mut face = Face::new(80, 24, Palette::for_terminal("dumb", "en_US.UTF-8", false), false);
    let said = String::from_utf8(face.show(&model)).unwrap();
    assert!(
        said.contains("\r\n   2 × RTX 4090 · memory 31 of 48 GiB · busy 95 % · 74 °C · load 12.3/32\r\n"),
        "{said}"
    );
    assert!(said.contains("\r\n   1: ada until 14:05 · 2: edsger until 12:00\r\n"), "{said}");
}
