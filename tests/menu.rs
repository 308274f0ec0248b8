//! The menu in a real terminal: keys typed, screens read.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

#[path = "menu/crowd.rs"]
mod crowd;
#[path = "menu/mine.rs"]
mod mine;
#[path = "menu/quiet.rs"]
mod quiet;
#[path = "menu/terminals.rs"]
mod terminals;
#[path = "menu/used.rs"]
mod used;
#[path = "menu/waiting.rs"]
mod waiting;

use common::terminal::Terminal;
use common::{Cluster, Plan, SOON, eventually};

#[test]
fn machines_then_slots_then_a_shell_and_another_user_sees_it_live() {
    let cluster = Cluster::start(Plan { slots: vec![1, 2], ..Plan::default() });
    let ada = Terminal::ssh(&cluster, "ada", 100, 30, "");
    ada.shows("gpu1");
    ada.shows("1/1");
    ada.shows("2/2");
    let bob = Terminal::ssh(&cluster, "bob", 100, 30, "LANG=fr_FR.UTF-8");
    bob.shows("2/2");
    bob.keys(&["Down", "Enter"]);
    bob.shows("● libre");
    ada.keys(&["Down", "Enter"]);
    ada.shows("● free");
    ada.keys(&["Down", "Enter"]);
    ada.shows("gpu2/2 is yours");
    ada.keys(&["Enter"]);
    ada.shows("gpu2/2 ·");
    ada.line("hostname");
    ada.shows("gpu2-2");
    // Within a second, without a key pressed.
    bob.shows("ada");
    bob.keys(&["Down", "Enter"]);
    let hint = bob.shows("ada");
    assert!(!hint.contains("gpu2/2 ·"), "a taken slot is not given: {hint}");
    bob.keys(&["Up", "Enter"]);
    bob.shows("gpu2/1 est à vous");
    bob.keys(&["Enter"]);
    bob.shows("gpu2/1 ·");
}

#[test]
fn leaving_restores_the_terminal() {
    let cluster = Cluster::start(Plan::default());
    for keys in [&["q"][..], &["C-c"], &["C-d"]] {
        let terminal = Terminal::ssh(&cluster, "ada", 80, 24, "");
        terminal.shows("● free");
        terminal.resize(50, 12);
        terminal.shows("● free");
        terminal.keys(keys);
        let after = terminal.shows("[ssh ended: 0]");
        assert!(!after.contains('●'), "the alternate screen is left: {after}");
    }
    assert!(cluster.containers().is_empty());
}

#[test]
fn a_start_that_fails_comes_back_to_the_list_with_the_reason() {
    let cluster = Cluster::start(Plan { image: "clusteria/not-there:1", ..Plan::default() });
    let terminal = Terminal::ssh(&cluster, "ada", 100, 30, "");
    terminal.shows("● free");
    terminal.keys(&["1"]);
    terminal.shows("clusteria/not-there:1");
    terminal.keys(&["q"]);
    terminal.shows("[ssh ended: 0]");
}

#[test]
fn a_forward_behind_an_open_menu_is_refused_with_words() {
    let cluster = Cluster::start(Plan::default());
    let control = cluster.path("control");
    let option = format!("-oControlMaster=auto -oControlPath={}", control.display());
    let terminal = Terminal::ssh(&cluster, "ada", 100, 30, "");
    terminal.shows("● free");
    drop(terminal);
    // A second session on the same connection as a menu.
    let user = cluster.ssh("ada").option(&option);
    drop(user);
    let mut master = cluster
        .ssh("ada")
        .option("-tt")
        .option("-M")
        .option(&format!("-oControlPath={}", control.display()))
        .command("clusteria menu")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    eventually("the master listens", SOON, || control.exists().then_some(()));
    let refused = eventually("the menu is open", SOON, || {
        let ran = cluster.ssh("ada").option(&format!("-oControlPath={}", control.display())).run("true");
        ran.stderr.contains("menu that is open").then_some(ran)
    });
    assert_eq!(refused.status, 255);
    assert!(cluster.containers().is_empty());
    master.kill().unwrap();
    master.wait().unwrap();
}

#[test]
fn a_lost_line_at_the_menu_leaves_nothing() {
    let mut cluster = Cluster::start(Plan::default());
    let terminal = Terminal::ssh(&cluster, "ada", 100, 30, "");
    terminal.shows("● free");
    drop(terminal);
    let status = cluster.stop_gateway();
    assert!(status.success());
    assert!(cluster.containers().is_empty());
}
