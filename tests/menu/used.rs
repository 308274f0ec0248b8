//! What machines, slots and one's own container use, on the screen: GPUs, load, who works where, what is full.

use crate::common::lab::{Lab, Small};
use crate::common::terminal::Terminal;
use crate::common::{Cluster, Plan};

#[test]
fn machines_and_slots_show_what_is_measured() {
    let lab = Lab::new();
    let cluster = Cluster::start(Plan { slots: vec![2, 1], more: lab.mounts(), ..Plan::default() });
    cluster.ssh("bob").run("clusteria reserve gpu1/1").success();
    let terminal = Terminal::ssh(&cluster, "ada", 120, 30, "");
    let shown = terminal.shows("Fake H100 · ");
    for text in ["1 of 80 GiB", "45 %", "61 °C", "█░", "load ", "1: bob until ", "1/2 free", "no GPU"] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    // What is used changes, and the screen with it.
    lab.gpu(40 * 1024, "");
    terminal.shows("40 of 80 GiB");
    terminal.resize(40, 10);
    terminal.shows("      Fake H100 · 40 of 80 GiB · 45 %\n");
    terminal.resize(120, 30);
    terminal.keys(&["1"]);
    let slots = terminal.shows("by bob until");
    let below = slots.lines().skip_while(|line| !line.contains("by bob until")).nth(1).unwrap();
    assert!(below.contains("Fake H100 · memory █████░░░░░ 40 of 80 GiB · busy █████░░░░░ 45 %"), "{slots}");
    // What runs may call itself what it likes.
    let name = "Fake\u{1b}[2J\u{1b}]0;owned\u{7}\u{1b}[31mH100";
    lab.write("gpus", &format!("0, GPU-fake-0, {name}, 1024, 81920, 45, 61\n"));
    let slots = terminal.shows("owned");
    assert!(slots.contains("Fake\u{fffd}[2J") && slots.contains("Choose a slot on gpu1"), "{slots}");
    terminal.keys(&["q"]);
    terminal.shows("[ssh ended: 0]");
    lab.gpu(1024, "");
    let french = Terminal::ssh(&cluster, "ada", 120, 30, "LC_ALL=fr_FR.UTF-8");
    let shown = french.shows("1 sur 80 Gio");
    for text in ["mémoire █", "occupé █", "charge ", "1 : bob jusqu'à ", "pas de GPU"] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
}

#[test]
fn ones_own_use_and_what_is_full_or_too_much() {
    let lab = Lab::new();
    let folder = tempfile::tempdir().unwrap();
    let storage = Small::mount(folder.path().join("storage"));
    let mount = format!("[[mount]]\ntarget = \"/storage\"\nsource = \"{}\"\n", storage.path().display());
    let cluster = Cluster::start(Plan {
        slots: vec![1],
        slot: "gpu_memory = \"8GiB\"",
        container: "memory = \"256MiB\"",
        more: lab.mounts() + &mount,
        ..Plan::default()
    });
    cluster.ssh("ada").run("clusteria reserve").success();
    let menu =
        |environment| Terminal::ssh_words(&cluster, "ada", 100, 30, environment, "-t", "clusteria menu");
    let terminal = menu("");
    let shown = terminal.shows("GPU 0 Fake H100");
    for text in ["1 of 80 GiB · 45 % · 61 °C", "of 256 MiB", "/storage", "of 10 MiB", "GPU share"] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    assert!(!shown.contains("full") && !shown.contains("over its"), "{shown}");
    lab.gpu(9 * 1024, "");
    terminal.shows("9 of 8 GiB · over its GPU share");
    cluster.ssh("ada").run("head -c 20M /dev/zero > /storage/big; true").success();
    terminal.shows("10 of 10 MiB · full");
    let french = menu("LANG=fr_FR.UTF-8");
    french.shows("10 sur 10 Mio · plein");
    french.shows("au-delà de sa part de GPU");
    // Who looks at the slots sees it too.
    let bob = Terminal::ssh(&cluster, "bob", 120, 30, "");
    bob.shows("/storage: 10 MiB of 10 MiB (100 %): full");
    // A container without nvidia-smi says so: nothing is drawn that nobody measures.
    let plain = Cluster::start(Plan { slots: vec![1], ..Plan::default() });
    plain.ssh("ada").run("clusteria reserve").success();
    let none = Terminal::ssh_words(&plain, "ada", 100, 30, "", "-t", "clusteria menu");
    none.shows("no GPU");
}
