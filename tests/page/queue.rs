//! The full cluster on the page: join, one's place and when, the turn, the slot; in both languages, live.

use serde_json::json;

use crate::common::browser::Browser;
use crate::common::{Plan, SOON, eventually};
use crate::site::Site;

#[test]
fn who_finds_everything_taken_waits_in_line_and_gets_the_slot() {
    let users = &["ada", "bob", "eve"];
    let site = Site::start(Plan { slots: vec![1], users, reservation: "hold = \"5m\"", ..Plan::default() });
    site.cluster.ssh("ada").run("clusteria reserve").success();
    let (mut bob, mut eve) = (Browser::start(), Browser::start());
    eve.ask(&json!({ "command": "become", "who": "eve", "locale": "fr-FR" }));
    site.sign_in(&mut bob, "bob", "pw-bob");
    bob.ask(&json!({ "command": "see", "words": "Nothing is free right now." }));
    site.inspect(&mut bob);
    bob.ask(&json!({ "command": "select", "label": "Wait for", "value": "gpu1" }));
    bob.ask(&json!({ "command": "press", "words": "Join the queue" }));
    bob.ask(&json!({ "command": "see", "words": "You are number 1 in the queue for gpu1. It should be your turn by" }));
    site.inspect(&mut bob);

    let french = ["Identifiant universitaire", "Mot de passe", "Se connecter"];
    site.sign_in_in(&mut eve, "eve", "pw-eve", french);
    eve.ask(&json!({ "command": "press", "words": "Rejoindre la file" }));
    eve.ask(&json!({ "command": "see", "words": "Vous êtes numéro 2" }));
    site.inspect(&mut eve);
    assert_eq!(site.cluster.status("eve")["queue"]["place"], 2, "the menu's queue is the same");

    // Nobody reloads anything.
    site.cluster.ssh("ada").run("clusteria release").success();
    bob.ask(&json!({ "command": "see", "words": "It is your turn: gpu1/1 is held for you until" }));
    eve.ask(&json!({ "command": "see", "words": "gardée pour bob" }));
    eve.ask(&json!({ "command": "see", "words": "Vous êtes numéro 1" }));
    site.inspect_in_both(&mut bob, ["held for you until", "gardée pour vous jusqu'à"]);
    let can_choose = json!({ "command": "count", "selector": "input[name=slot]:enabled" });
    assert_eq!((&bob.ask(&can_choose)["count"], &eve.ask(&can_choose)["count"]), (&json!(1), &json!(0)));
    bob.ask(&json!({ "command": "choose", "slot": "gpu1/1" }));
    bob.ask(&json!({ "command": "press", "words": "Reserve" }));
    bob.ask(&json!({ "command": "see", "words": "gpu1/1 is yours" }));
    eve.ask(&json!({ "command": "see", "words": "par bob jusqu'à" }));
    eve.ask(&json!({ "command": "press", "words": "Quitter la file" }));
    eventually("eve is out", SOON, || site.cluster.status("eve")["queue"].is_null().then_some(()));
}
