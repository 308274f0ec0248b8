//! The administrators' page: who is where, what they can do about it, what was before.

use serde_json::json;

use crate::common::browser::Browser;
use crate::common::terminal::Terminal;
use crate::common::{Plan, SOON, eventually};
use crate::site::Site;

#[test]
fn an_administrator_sees_ends_drains_says_and_takes_the_history_home() {
    let users = &["ada", "bob", "boss"];
    let site = Site::start(Plan { slots: vec![1, 1], users, ..Plan::default() });
    site.cluster.cli(&["user", "admin", "boss", "on"]).success();
    site.cluster.ssh("bob").run("clusteria reserve gpu2/1").success();
    site.cluster.ssh("bob").run("clusteria release").success();
    site.cluster.ssh("ada").run("clusteria reserve gpu1/1").success();
    let shell = Terminal::ssh(&site.cluster, "ada", 100, 30, "");
    shell.shows("gpu1/1 ·");

    let mut browser = Browser::start();
    site.sign_in(&mut browser, "ada", "pw-ada");
    site.open(&mut browser, "/admin");
    browser.ask(&json!({ "command": "see", "words": "That is not for you." }));
    browser.ask(&json!({ "command": "become", "who": "boss" }));
    site.sign_in(&mut browser, "boss", "pw-boss");
    browser.ask(&json!({ "command": "press", "words": "Administration" }));
    browser.ask(&json!({ "command": "see", "words": "Who is where" }));
    let held = browser.ask(&json!({ "command": "read", "selector": "#held" }))["text"].clone();
    assert!(held.as_str().unwrap().contains("gpu1/1") && held.as_str().unwrap().contains("ada"), "{held}");
    site.inspect(&mut browser);
    let charts = browser.ask(&json!({ "command": "count", "selector": "svg.chart[role=img] title" }));
    assert_eq!(charts["count"], 3, "by week, by machine, by user");
    let by_user = browser.ask(&json!({ "command": "evaluate",
        "code": "[...document.querySelectorAll('svg.chart')].at(-1).textContent" }));
    assert!(by_user["value"].as_str().unwrap().contains("0.0 h"), "{by_user}");

    browser.ask(&json!({ "command": "fill", "fields": {
        "To: a user, a slot, or all": "ada", "Message": "The <b>power</b> goes at six" } }));
    browser.ask(&json!({ "command": "press", "words": "Say it on their terminals" }));
    browser.ask(&json!({ "command": "see", "words": "Administration" }));
    shell.shows("The <b>power</b> goes at six");

    browser.ask(&json!({ "command": "press", "words": "Drain: no new reservations: gpu2 gpu2" }));
    browser.ask(&json!({ "command": "see", "words": "Take reservations again" }));
    let refused = site.cluster.ssh("bob").run("clusteria reserve gpu2/1");
    assert_eq!(refused.status, 1, "{refused:?}");
    browser.ask(&json!({ "command": "press", "words": "Take reservations again: gpu2 gpu2" }));
    // It is live: what the menu does is seen.
    site.cluster.ssh("bob").run("clusteria reserve gpu2/1").success();
    browser.ask(&json!({ "command": "see", "words": "bob" }));
    browser.ask(&json!({ "command": "press", "words": "End: ada gpu1/1" }));
    eventually("ada's is over", SOON, || site.cluster.status("ada")["reservation"].is_null().then_some(()));
    eventually("and says why", SOON, || {
        (site.cluster.status("ada")["last"]["reason"] == "admin").then_some(())
    });

    let csv = browser.ask(&json!({ "command": "evaluate",
        "code": "fetch('/admin/history.csv').then((answer) => answer.text())" }));
    let csv = csv["value"].as_str().unwrap();
    assert!(csv.starts_with("reservation,user,machine,slot,started,ended,reason,detail\r\n"), "{csv}");
    for row in [",bob,gpu2,gpu2/1,", ",ada,gpu1,gpu1/1,"] {
        assert!(csv.lines().any(|line| line.contains(row)), "{row}: {csv}");
    }
    assert!(csv.contains(",released,") && csv.contains(",admin,"), "{csv}");

    // The same in French, from now on also in their terminal: the choice is the user's.
    browser.ask(&json!({ "command": "press", "words": "Français" }));
    browser.ask(&json!({ "command": "see", "words": "Qui est où" }));
    site.inspect(&mut browser);
    browser.ask(&json!({ "command": "press", "words": "Terminer: bob gpu2/1" }));
    eventually("bob's is over", SOON, || site.cluster.status("bob")["reservation"].is_null().then_some(()));
    let overflow = browser.ask(&json!({ "command": "overflow" }));
    assert_eq!(overflow["pixels"], 0);
}
