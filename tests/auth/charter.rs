//! The charter: asked once, asked again when it changes, and nobody works without.

use super::client::Try;
use crate::common::terminal::Terminal;
use crate::common::{Cluster, Plan};

fn with_charter(text: &str) -> Cluster {
    let cluster = Cluster::prepare(&Plan::default());
    let config = std::fs::read_to_string(cluster.config()).unwrap();
    std::fs::write(cluster.config(), config.replace("[cluster]\n", "[cluster]\ncharter = \"charter.md\"\n"))
        .unwrap();
    std::fs::write(cluster.path("charter.md"), text).unwrap();
    std::fs::write(cluster.path("charter.fr.md"), "Soyez aimables.\n").unwrap();
    cluster
}

#[test]
fn it_is_accepted_on_a_terminal_before_the_menu() {
    let mut cluster = with_charter("Be kind.\n\nShare the GPUs.\n");
    cluster.start_gateway();
    let terminal = Terminal::ssh(&cluster, "ada", 80, 24, "");
    let screen = terminal.shows("Be kind.");
    assert!(screen.contains("a accept") && screen.contains("read and accept"), "{screen}");
    // Enter is no answer: people press it without reading.
    terminal.keys(&["Enter", "q"]);
    let after = terminal.shows("[ssh ended: 255]");
    assert!(after.contains("not accepted the charter"), "{after}");
    let refused = cluster.ssh("ada").run("clusteria reserve");
    assert!(refused.status == 1 && refused.stderr.contains("clusteria accept"), "{refused:?}");

    let terminal = Terminal::ssh(&cluster, "ada", 80, 24, "LC_ALL=fr_FR.UTF-8");
    terminal.shows("Soyez aimables.");
    terminal.keys(&["a"]);
    terminal.shows("● libre");
    terminal.keys(&["q"]);
    terminal.shows("[ssh ended: 0]");
    drop(terminal);
    // Once is enough, also after a restart; a changed word asks again.
    cluster.stop_gateway();
    cluster.start_gateway();
    let again = Terminal::ssh(&cluster, "ada", 80, 24, "");
    again.shows("● free");
    drop(again);
    cluster.stop_gateway();
    std::fs::write(cluster.path("charter.md"), "Be very kind.\n").unwrap();
    cluster.start_gateway();
    let changed = Terminal::ssh(&cluster, "ada", 80, 24, "");
    changed.shows("Be very kind.");
}

#[test]
fn who_asks_for_lines_has_it_in_lines_and_who_reads_when_the_gateway_stops_is_told() {
    let text: String = (1..=60).map(|n| format!("Article {n}.\n")).collect();
    let mut cluster = with_charter(&text);
    cluster.start_gateway();
    let lines = Terminal::ssh_words(&cluster, "ada", 80, 100, "", "-t", "clusteria menu --plain");
    let screen = lines.shows("a accept");
    assert!(screen.contains("Article 1.") && screen.contains("Article 60."), "all of it at once: {screen}");
    lines.keys(&["a"]);
    let screen = lines.shows("1. free");
    assert!(screen.contains("Article 60."), "nothing is wiped: {screen}");
    lines.line("q");
    lines.shows("[ssh ended: 0]");
    let reader = Terminal::ssh(&cluster, "bob", 80, 24, "");
    reader.shows("Article 1.");
    assert!(cluster.stop_gateway().success());
    let after = reader.shows("[ssh ended: 255]");
    assert!(after.contains("log in again") && !after.contains("Article"), "{after}");
}

#[test]
fn without_a_terminal_it_is_read_and_accepted_by_commands() {
    let mut cluster = with_charter("Be kind.\n");
    cluster.start_gateway();
    for words in ["true", "bash -s"] {
        let refused = cluster.ssh("ada").run(words);
        assert!(refused.status == 255 && refused.stdout.is_empty(), "{refused:?}");
        assert!(refused.stderr.contains("ssh HOST clusteria accept"), "{refused:?}");
    }
    let sftp = cluster.ssh("ada").option("-s").run("sftp");
    assert!(sftp.status == 255 && sftp.stdout.is_empty(), "{sftp:?}");
    let forward = cluster.ssh("ada").option("-v").option("-W").option("localhost:1").run("");
    assert!(forward.stderr.contains("charter"), "{forward:?}");
    assert!(cluster.containers().is_empty());
    let text = cluster.ssh("ada").run("clusteria charter").success().stdout;
    assert!(text.starts_with("Be kind.\n") && text.contains("clusteria accept"), "{text}");
    cluster.ssh("ada").run("clusteria accept").success();
    assert_eq!(cluster.ssh("ada").run("echo in").success().stdout, "in\n");
    Try::new(&cluster, "bob", "publickey").key("bob.key").is_in();
    assert_eq!(cluster.ssh("bob").run("true").status, 255, "each for themselves");
}

#[test]
fn a_charter_that_is_not_there_is_found_by_check() {
    let cluster = with_charter("Be kind.\n");
    std::fs::remove_file(cluster.path("charter.md")).unwrap();
    std::fs::remove_file(cluster.path("charter.fr.md")).unwrap();
    let checked = cluster.cli(&["check"]);
    assert!(checked.status == 1 && checked.stderr.contains("charter.md"), "{checked:?}");
}
