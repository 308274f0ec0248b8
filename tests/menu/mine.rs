//! One's own reservation in the menu: the card, the shell, the password, keys, the end; a mouse, lines, languages.

use crate::common::terminal::Terminal;
use crate::common::{Cluster, Plan, SOON, eventually};

fn at_mine(cluster: &Cluster, words: &str) -> Terminal {
    Terminal::ssh_words(cluster, "ada", 100, 30, "", "-t", words)
}

fn reserved() -> Cluster {
    let cluster = Cluster::start(Plan::default());
    cluster.ssh("ada").run("clusteria reserve gpu1/2").success();
    cluster
}

/// The words after a text on the screen.
fn after<'a>(screen: &'a str, text: &str) -> &'a str {
    screen.split_once(text).map(|(_, rest)| rest.split_whitespace().next().unwrap()).unwrap()
}

#[test]
fn the_card_tells_how_to_connect_and_leads_to_the_shell() {
    let cluster = Cluster::start(Plan::default());
    let terminal = Terminal::ssh(&cluster, "ada", 100, 30, "");
    terminal.shows("● free");
    terminal.keys(&["Enter"]);
    terminal.shows("gpu1/1 is yours");
    let card = terminal.shows("JupyterLab: not in this image");
    assert!(!card.contains("8888"), "no way to what is not there: {card}");
    let port = cluster.port;
    for text in [
        format!("ssh -p {port} ada@127.0.0.1"),
        format!("scp -P {port} FILE ada@127.0.0.1:"),
        format!("Host {}", cluster.name),
    ] {
        assert!(card.contains(&text), "{text}: {card}");
    }
    let password = after(&card, "shown only now: ").to_owned();
    assert_eq!(password.len(), 14, "{card}");
    terminal.keys(&["Enter"]);
    terminal.shows("gpu1/1 ·");
    terminal.line("exit 4");
    terminal.shows("[ssh ended: 4]");
}

#[test]
fn a_shell_whose_line_broke_is_offered_behind_the_menu() {
    let cluster = reserved();
    for (environment, mine, offered) in [
        ("", "Your reservation: gpu1/2", "A shell of yours goes on here:"),
        ("LC_ALL=fr_FR.UTF-8", "Votre réservation : gpu1/2", "Un de vos shells continue ici :"),
    ] {
        let menu = || Terminal::ssh_words(&cluster, "ada", 100, 30, environment, "-t", "clusteria menu");
        let first = menu();
        first.shows(mine);
        first.keys(&["1"]);
        first.shows("gpu1/2 ·");
        first.line("mark=ke''pt; echo $mark-here; sleep 1000");
        first.shows("kept-here");
        first.kill_client();
        eventually("it is left", SOON, || {
            (cluster.status("ada")["reservation"]["shells"][0]["attached"] == false).then_some(())
        });
        let back = menu();
        back.shows(mine);
        back.keys(&["1"]);
        back.shows(offered);
        back.keys(&["Enter"]);
        back.shows("kept-here");
        back.keys(&["C-c"]);
        back.shows("^C");
        back.line("echo again-$mark; exit");
        back.shows("again-kept");
        back.shows("[ssh ended:");
    }
}

#[test]
fn the_menu_of_a_holder_enters_renews_and_releases() {
    let cluster = reserved();
    let terminal = at_mine(&cluster, "clusteria menu");
    let first = terminal.shows("Your reservation: gpu1/2");
    assert!(first.contains("59 min") || first.contains("1 h left"), "{first}");
    terminal.keys(&["3"]);
    let card = terminal.shows("shown only now: ");
    let password = after(&card, "shown only now: ").to_owned();
    terminal.keys(&["Escape"]);
    terminal.hides(&password);
    terminal.keys(&["1"]);
    terminal.shows("gpu1/2 ·");
    terminal.line("hostname; exit");
    terminal.shows("gpu1-2");
    terminal.shows("[ssh ended: 0]");
    let terminal = at_mine(&cluster, "clusteria menu");
    terminal.shows("Your reservation: gpu1/2");
    terminal.keys(&["6"]);
    terminal.shows("Release gpu1/2?");
    terminal.keys(&["n"]);
    terminal.hides("Release gpu1/2?");
    assert_eq!(cluster.running().len(), 1);
    terminal.keys(&["6", "y"]);
    terminal.shows("gpu1/2 is released.");
    eventually("the container is gone", SOON, || cluster.containers().is_empty().then_some(()));
    terminal.keys(&["q"]);
    terminal.shows("[ssh ended: 0]");
}

#[test]
fn keys_are_pasted_listed_and_removed() {
    let cluster = reserved();
    let line = std::fs::read_to_string(cluster.path("bob.key.pub")).unwrap();
    let terminal = at_mine(&cluster, "clusteria menu");
    terminal.shows("Your reservation");
    terminal.keys(&["4"]);
    terminal.shows("SHA256:");
    terminal.keys(&["a"]);
    terminal.shows("Paste your public key");
    terminal.paste(line.trim());
    terminal.shows(line.split_whitespace().next().unwrap());
    terminal.keys(&["Enter"]);
    terminal.shows("added SHA256:");
    terminal.shows(" bob");
    let listed = || cluster.ssh("ada").run("clusteria key list").stdout;
    assert!(listed().contains("bob"));
    terminal.keys(&["End", "d"]);
    terminal.shows("Remove the key");
    terminal.keys(&["y"]);
    terminal.shows("removed SHA256:");
    assert!(!listed().contains("bob"));
}

#[test]
fn a_language_is_chosen_once_and_remembered() {
    let mut cluster = Cluster::start(Plan::default());
    let terminal = Terminal::ssh(&cluster, "ada", 100, 30, "LANG=en_US.UTF-8");
    terminal.shows("● free");
    terminal.keys(&["L"]);
    terminal.shows("● libre");
    terminal.keys(&["q"]);
    terminal.shows("[ssh ended: 0]");
    cluster.stop_gateway();
    cluster.start_gateway();
    let again = Terminal::ssh(&cluster, "ada", 100, 30, "LANG=en_US.UTF-8");
    again.shows("● libre");
    let other = Terminal::ssh(&cluster, "bob", 100, 30, "LANG=en_US.UTF-8");
    other.shows("● free");
}

#[test]
fn help_find_and_a_mouse() {
    let cluster = Cluster::start(Plan { slots: vec![1, 2], ..Plan::default() });
    let terminal = Terminal::ssh(&cluster, "ada", 100, 30, "");
    terminal.shows("gpu2");
    terminal.keys(&["?"]);
    terminal.shows("--plain");
    terminal.keys(&["Escape"]);
    terminal.hides("--plain");
    terminal.keys(&["/"]);
    terminal.keys(&["-l", "u2"]);
    terminal.shows("find: u2");
    terminal.hides("gpu1");
    terminal.keys(&["Enter", "Escape"]);
    let screen = terminal.shows("gpu1");
    let row = screen.lines().position(|line| line.contains("gpu1")).unwrap();
    terminal.click(10, row);
    terminal.shows(">  1  gpu1");
    terminal.click(10, row);
    terminal.shows("Choose a slot on gpu1");
    terminal.keys(&["q"]);
    terminal.shows("[ssh ended: 0]");
}

#[test]
fn a_screen_reader_gets_numbered_lines() {
    let cluster = Cluster::start(Plan { slots: vec![1, 2], ..Plan::default() });
    let terminal = Terminal::ssh_words(&cluster, "ada", 100, 70, "", "-t", "clusteria menu --plain");
    terminal.shows("2. gpu2, 2/2 free");
    terminal.line("2");
    terminal.shows("1. free");
    terminal.line("1");
    terminal.shows("gpu2/1 is yours");
    let screen = terminal.shows("q quit");
    assert!(screen.contains("1. gpu1"), "nothing is wiped: {screen}");
    terminal.line("q");
    terminal.shows("[ssh ended: 0]");
    cluster.ssh("ada").run("clusteria release").success();
    let dumb = Terminal::ssh(&cluster, "bob", 100, 30, "TERM=dumb");
    dumb.shows("1. gpu1, 1/1 free");
    dumb.line("q");
    dumb.shows("[ssh ended: 0]");
}

#[test]
fn a_gateway_that_stops_gives_the_terminal_back() {
    let mut cluster = Cluster::start(Plan::default());
    let terminal = Terminal::ssh(&cluster, "ada", 100, 30, "");
    terminal.shows("● free");
    assert!(cluster.stop_gateway().success());
    let after = terminal.shows("[ssh ended:");
    assert!(after.contains("log in again") && !after.contains('●'), "{after}");
}
