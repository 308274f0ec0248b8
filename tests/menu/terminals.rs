//! Every kind of terminal, and every size of it on every screen.

use crate::common::terminal::Terminal;
use crate::common::{Cluster, Plan};

/// What a client sends of itself, whether the screen keeps to ASCII, and whether it has colours.
const KINDS: [(&str, bool, bool); 9] = [
    ("TERM=vt100", true, false),
    ("TERM=linux LANG=fr_FR.UTF-8", false, true),
    ("TERM=linux LANG=C", true, true),
    ("TERM=screen LANG=en_US.UTF-8", false, true),
    ("TERM=tmux-256color LANG=fr_FR.UTF-8", false, true),
    // Windows Terminal: its ssh sends no locale.
    ("TERM=xterm-256color", false, true),
    ("TERM=xterm-256color LC_ALL=fr_FR.ISO-8859-1", true, true),
    ("TERM=xterm-256color LANG=en_US.UTF-8 NO_COLOR=1", false, false),
    ("TERM=vt220 LANG=fr_FR", true, false),
];

fn has_colours(terminal: &Terminal) -> bool {
    let shown = terminal.screen_with_colours();
    ["\x1b[31m", "\x1b[32m", "\x1b[1;32m", "\x1b[7;32m"].iter().any(|colour| shown.contains(colour))
}

#[test]
fn every_kind_of_terminal_is_drawn_on_and_given_back() {
    let cluster = Cluster::start(Plan { slots: vec![1, 2], ..Plan::default() });
    for (index, (environment, is_ascii, is_coloured)) in KINDS.into_iter().enumerate() {
        let french = environment.contains("=fr");
        let (columns, rows) = if index % 2 == 0 { (80, 24) } else { (40, 10) };
        let terminal =
            Terminal::ssh_words(&cluster, "ada", columns, rows, environment, "-o SendEnv=NO_COLOR", "");
        let free = if french { "1/1 libre" } else { "1/1 free" };
        let check = |text: &str| {
            let shown = terminal.shows(text);
            assert!(!is_ascii || shown.is_ascii(), "{environment}: {shown}");
            assert!(
                !shown.contains('?') || shown.contains("? aide") || shown.contains("? help"),
                "{environment}: {shown}"
            );
            shown
        };
        check(free);
        assert_eq!(
            has_colours(&terminal),
            is_coloured,
            "{environment}: {:?}",
            terminal.screen_with_colours()
        );
        terminal.keys(&["?"]);
        check(if french { "Aide" } else { "Help" });
        terminal.keys(&["Escape"]);
        check(free);
        terminal.keys(&["Down", "Enter"]);
        check(if french { "Choisissez une place sur gpu2" } else { "Choose a slot on gpu2" });
        terminal.keys(&["Left", "/"]);
        terminal.keys(&["-l", "u1"]);
        check(if french { "chercher : u1" } else { "find: u1" });
        terminal.keys(&["Enter", "Escape", "q"]);
        let after = terminal.shows("[ssh ended: 0]");
        assert!(!after.contains("gpu1"), "the screen from before is back: {after}");
        // Wrapping, the cursor and the mouse are as they were: tmux knows.
        assert_eq!(terminal.modes(), "wrap 1 cursor 1 mouse 0 alternate 0", "{environment}");
    }
}

#[test]
fn a_dumb_terminal_gets_lines_in_both_languages() {
    let cluster = Cluster::start(Plan::default());
    for (environment, first, taken, restarts) in [
        ("TERM=dumb", "1. free", "gpu1/1 is yours", "A number"),
        ("TERM=dumb LANG=fr_FR.UTF-8", "1. libre", "gpu1/1 est à vous", "Un numéro"),
    ] {
        let terminal = Terminal::ssh(&cluster, "ada", 80, 50, environment);
        let shown = terminal.shows(restarts);
        assert!(shown.contains(first), "{shown}");
        terminal.line("1");
        terminal.shows(taken);
        terminal.shows(restarts);
        terminal.line("q");
        terminal.shows("[ssh ended: 0]");
        cluster.ssh("ada").run("clusteria release").success();
        crate::common::eventually("it is free", crate::common::SOON, || {
            cluster.containers().is_empty().then_some(())
        });
    }
}

/// Keys to a screen, and what it says on a terminal however small.
type Step = (&'static [&'static str], &'static str);

const ENGLISH: [Step; 14] = [
    (&[], "Your reservation: gpu1/1"),
    (&["2"], "From your own machine to gpu1/1"),
    (&["Escape"], "Your reservation: gpu1/1"),
    (&["3"], "gpu1/1 is yours"),
    (&["Escape", "4"], "SHA256:"),
    (&["a"], "Paste your public key"),
    (&["Escape"], "Your SSH keys"),
    (&["d"], "Remove the key"),
    (&["n", "Escape", "5"], "Choose a machine"),
    (&["2"], "Choose a slot on gpu2"),
    (&["?"], "Help"),
    (&["x", "Left", "/"], "Choose a machine · find: _"),
    (&["Escape", "m"], "Your reservation: gpu1/1"),
    (&["6"], "Release gpu1/1?"),
];
const FRENCH: [Step; 14] = [
    (&[], "Votre réservation : gpu1/1"),
    (&["2"], "Depuis votre machine vers gpu1/1"),
    (&["Escape"], "Votre réservation : gpu1/1"),
    (&["3"], "gpu1/1 est à vous"),
    (&["Escape", "4"], "SHA256:"),
    (&["a"], "Collez votre clé publique"),
    (&["Escape"], "Vos clés SSH"),
    (&["d"], "Supprimer la clé"),
    (&["n", "Escape", "5"], "Choisissez une machine"),
    (&["2"], "Choisissez une place sur gpu2"),
    (&["?"], "Aide"),
    (&["x", "Left", "/"], "Choisissez une machine · chercher : _"),
    (&["Escape", "m"], "Votre réservation : gpu1/1"),
    (&["6"], "Rendre gpu1/1 ?"),
];

#[test]
fn every_screen_follows_the_size_of_its_terminal() {
    let mut cluster = Cluster::prepare(&Plan { slots: vec![1, 2], ..Plan::default() });
    let config = std::fs::read_to_string(cluster.config()).unwrap();
    let config = config.replace("[cluster]\n", "[cluster]\nmotd = \"The water is warm.\"\n");
    std::fs::write(cluster.config(), config).unwrap();
    cluster.start_gateway();
    cluster.ssh("ada").run("clusteria reserve gpu1/1").success();
    for (environment, steps) in [("", ENGLISH), ("LC_ALL=fr_FR.UTF-8", FRENCH)] {
        let terminal = Terminal::ssh_words(&cluster, "ada", 80, 24, environment, "-t", "clusteria menu");
        assert!(terminal.shows(steps[0].1).contains("The water is warm."));
        for (keys, text) in steps {
            if !keys.is_empty() {
                terminal.keys(keys);
            }
            for (columns, rows) in [(80, 24), (40, 10), (132, 43), (60, 16)] {
                terminal.resize(columns, rows);
                let shown = terminal.shows(text);
                assert_eq!(shown.matches(text).count(), 1, "drawn once, at {columns}x{rows}: {shown}");
            }
        }
        terminal.keys(&["n", "q"]);
        terminal.shows("[ssh ended: 0]");
        assert_eq!(terminal.modes(), "wrap 1 cursor 1 mouse 0 alternate 0");
    }
    assert_eq!(cluster.running().len(), 1, "nothing was released");
}
