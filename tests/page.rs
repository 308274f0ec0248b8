//! The page, used by real browsers: the same live state as the menu, in both languages, for its reader only.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "page/access.rs"]
mod access;
#[path = "page/admin.rs"]
mod admin;
#[path = "page/api.rs"]
mod api;
mod common;
#[path = "page/lab.rs"]
mod lab;
#[path = "page/lasting.rs"]
mod lasting;
#[path = "page/queue.rs"]
mod queue;
#[path = "page/raw.rs"]
mod raw;
#[path = "page/reader.rs"]
mod reader;
#[path = "page/secure.rs"]
mod secure;
#[path = "page/site.rs"]
mod site;
#[allow(dead_code, reason = "the other tests of it need more")]
#[path = "auth/tailscaled.rs"]
mod tailscaled;
#[path = "page/transfers.rs"]
mod transfers;

use std::thread;
use std::time::{Duration, Instant};

use common::browser::Browser;
use common::terminal::Terminal;
use common::{Plan, SOON, eventually};
use serde_json::json;
use site::Site;

/// JupyterLab's start on a busy machine.
const START: Duration = Duration::from_secs(90);

/// Today's habit: pick a slot, give username and password, press Reserve; the password, the ways in, the end.
#[test]
fn a_student_reserves_works_and_releases() {
    let site = Site::start(Plan { image: "clusteria/jupyter:1", ..Plan::default() });
    let mut browser = Browser::start();
    site.open(&mut browser, "/");
    site.inspect(&mut browser);
    browser.ask(&json!({ "command": "choose", "slot": "gpu1/2" }));
    browser.ask(&json!({ "command": "fill",
        "fields": { "University username": "ada", "Password": "pw-ada" } }));
    browser.ask(&json!({ "command": "press", "words": "Reserve" }));
    browser.ask(&json!({ "command": "see", "words": "gpu1/2 is yours" }));
    let shown = browser.ask(&json!({ "command": "read", "selector": "#reservation-password" }));
    let password = shown["text"].as_str().unwrap().to_owned();
    assert_eq!(password.len(), 14, "{password}");
    assert_eq!(site.cluster.status("ada")["reservation"]["slot"], "gpu1/2");
    site.inspect(&mut browser);

    let editor = browser.ask(&json!({ "command": "attribute", "selector": "a.button", "name": "href" }));
    let wanted = format!("vscode://vscode-remote/ssh-remote+ada@127.0.0.1:{}/home/ada", site.cluster.port);
    assert_eq!(editor["value"], wanted.as_str());
    let shell = browser.ask(&json!({ "command": "read", "selector": "#line-shell" }));
    assert_eq!(shell["text"], format!("ssh -p {} ada@127.0.0.1", site.cluster.port).as_str());

    // The button is there as soon as JupyterLab is, and no second password is asked for.
    eventually("JupyterLab runs", START, || {
        (site.cluster.status("ada")["reservation"]["jupyter"]["state"] == "running").then_some(())
    });
    site.open(&mut browser, "/reservation");
    let opened = browser
        .ask(&json!({ "command": "pressForTab", "words": "Open on JupyterLab", "until": site.jupyter }));
    assert!(opened["url"].as_str().unwrap().starts_with(&site.jupyter), "{opened}");
    let ran = browser.ask(&json!({ "command": "cell", "code": "import os; print(6 * 7, os.getcwd())" }));
    assert_eq!(ran["output"], "42 /home/ada");

    browser.ask(&json!({ "command": "become", "who": "elsewhere" }));
    let sent_away = browser.ask(&json!({ "command": "open", "url": format!("{}/lab", site.jupyter) }));
    assert_eq!(sent_away["url"], format!("{}/sign-in", site.url).as_str(), "nobody else gets in");
    site.sign_in(&mut browser, "ada", &password);
    site.open(&mut browser, "/reservation");
    let once = browser.ask(&json!({ "command": "count", "selector": "#reservation-password" }));
    assert_eq!(once["count"], 0, "shown where it was made only");
    browser.ask(&json!({ "command": "press", "words": "Release this reservation…" }));
    browser.ask(&json!({ "command": "press", "words": "Release it now" }));
    // What the reservation's password has opened ends with the reservation.
    browser.ask(&json!({ "command": "see", "words": "Sign in" }));
    assert!(site.cluster.status("ada")["reservation"].is_null());
}

/// In French, without scripts, on a telephone, in the dark: the same, and nothing that axe-core minds.
#[test]
fn it_works_in_french_without_scripts_and_on_a_telephone() {
    let site = Site::start(Plan::default());
    let mut browser = Browser::start();
    browser
        .ask(&json!({ "command": "become", "who": "ada", "locale": "fr-FR", "script": false, "width": 360 }));
    site.open(&mut browser, "/");
    browser.ask(&json!({ "command": "choose", "slot": "gpu1/1" }));
    browser.ask(&json!({ "command": "fill",
        "fields": { "Identifiant universitaire": "ada", "Mot de passe": "faux" } }));
    browser.ask(&json!({ "command": "press", "words": "Réserver" }));
    browser.ask(&json!({ "command": "see", "words": "Cela n'a pas marché" }));
    browser.ask(&json!({ "command": "fill", "fields": { "Mot de passe": "pw-ada" } }));
    browser.ask(&json!({ "command": "press", "words": "Réserver" }));
    eventually("its password is there after a reload", SOON, || {
        site.open(&mut browser, "/reservation");
        let shown = browser.ask(&json!({ "command": "count", "selector": "#reservation-password" }));
        (shown["count"] == 1).then_some(())
    });
    browser.ask(&json!({ "command": "see", "words": "gpu1/1 est à vous" }));
    assert_eq!(browser.ask(&json!({ "command": "overflow" }))["pixels"], 0);

    browser.ask(&json!({ "command": "become", "who": "bob", "locale": "fr-FR", "width": 360, "dark": true }));
    site.sign_in_in(
        &mut browser,
        "bob",
        "pw-bob",
        ["Identifiant universitaire", "Mot de passe", "Se connecter"],
    );
    browser.ask(&json!({ "command": "see", "words": "par ada jusqu'à" }));
    for path in ["/", "/reservation", "/keys", "/tokens", "/nothing"] {
        site.open(&mut browser, path);
        site.inspect(&mut browser);
        assert_eq!(browser.ask(&json!({ "command": "overflow" }))["pixels"], 0, "{path}");
    }
    // The choice of the language is remembered.
    browser.ask(&json!({ "command": "press", "words": "English" }));
    site.open(&mut browser, "/");
    browser.ask(&json!({ "command": "see", "words": "Choose a free slot" }));
}

/// Two browsers and a menu want one slot: one gets it, the others read why not; all see it within a second.
#[test]
fn browsers_and_a_menu_race_for_one_slot() {
    let site = Site::start(Plan { slots: vec![1], users: &["ada", "bob", "eve"], ..Plan::default() });
    let mut watcher = Browser::start();
    site.open(&mut watcher, "/");
    watcher.ask(&json!({ "command": "see", "words": "1/1 free" }));
    let mut browsers: Vec<(&str, Browser)> = ["ada", "bob"]
        .into_iter()
        .map(|user| {
            let mut browser = Browser::start();
            site.sign_in(&mut browser, user, &format!("pw-{user}"));
            browser.ask(&json!({ "command": "choose", "slot": "gpu1/1" }));
            (user, browser)
        })
        .collect();
    let menu = Terminal::ssh(&site.cluster, "eve", 100, 30, "");
    menu.shows("● free");
    thread::scope(|scope| {
        scope.spawn(|| menu.keys(&["Enter"]));
        for (_, browser) in &mut browsers {
            scope.spawn(|| browser.ask(&json!({ "command": "press", "words": "Reserve" })));
        }
    });
    let winners = eventually("somebody gets it", SOON, || {
        let holds = |user: &&str| !site.cluster.status(user)["reservation"].is_null();
        let winners: Vec<&str> = ["ada", "bob", "eve"].into_iter().filter(holds).collect();
        (!winners.is_empty()).then_some(winners)
    });
    assert_eq!(winners.len(), 1, "{winners:?}");
    menu.shows(&match winners[0] {
        "eve" => "gpu1/1 is yours".to_owned(),
        other => format!("by {other} until"),
    });
    for (user, browser) in &mut browsers {
        if winners[0] == *user {
            browser.ask(&json!({ "command": "see", "words": "gpu1/1 is yours" }));
        } else {
            // Said when it was pressed, or seen on the card when that was gone before.
            browser.ask(&json!({ "command": "see", "words": format!("by {} until", winners[0]) }));
            let not = browser.ask(&json!({ "command": "count", "selector": "#reservation-password" }));
            assert_eq!(not["count"], 0, "{user}");
        }
    }
    watcher.ask(&json!({ "command": "see", "words": "0/1 free" }));
    site.cluster.ssh(winners[0]).run("clusteria release").success();
    let released = Instant::now();
    watcher.ask(&json!({ "command": "see", "words": "1/1 free" }));
    println!("a release was seen {:?} after the command", released.elapsed());
}

/// The keyboard alone is enough, and the page is light: our own requests only.
#[test]
fn it_is_light_and_the_keyboard_is_enough() {
    let site = Site::start(Plan::default());
    let mut browser = Browser::start();
    let weight = browser.ask(&json!({ "command": "weigh", "url": format!("{}/", site.url) }));
    println!("the page: {} bytes, first contentful paint after {} ms", weight["bytes"], weight["paint"]);
    assert!(weight["bytes"].as_u64().unwrap() < 50_000, "{weight}");
    for request in weight["requests"].as_array().unwrap() {
        assert!(request.as_str().unwrap().starts_with(&site.url), "{weight}");
    }
    site.sign_in(&mut browser, "ada", "pw-ada");
    browser.ask(&json!({ "command": "choose", "slot": "gpu1/1" }));
    browser.ask(&json!({ "command": "byKeyboard", "words": "Reserve", "key": "Enter" }));
    browser.ask(&json!({ "command": "see", "words": "gpu1/1 is yours" }));
    let cookies = browser.ask(&json!({ "command": "cookies" }));
    for cookie in cookies["cookies"].as_array().unwrap() {
        assert_eq!(cookie["httpOnly"], true, "{cookie}");
        assert_ne!(cookie["sameSite"], "None", "{cookie}");
    }
}

/// A charter first, and a second factor: the wish for a slot is kept until both are done.
#[test]
fn charter_and_second_factor_come_before_the_slot() {
    let site =
        Site::start_with_charter(Plan { auth: "totp = { required = \"everybody\" }", ..Plan::default() });
    let mut browser = Browser::start();
    site.open(&mut browser, "/");
    browser.ask(&json!({ "command": "choose", "slot": "gpu1/1" }));
    browser.ask(&json!({ "command": "fill",
        "fields": { "University username": "ada", "Password": "pw-ada" } }));
    browser.ask(&json!({ "command": "press", "words": "Reserve" }));
    let secret = browser.ask(&json!({ "command": "read", "selector": "#secret" }));
    site.inspect(&mut browser);
    browser.ask(&json!({ "command": "fill", "fields": { "Code": "000000" } }));
    browser.ask(&json!({ "command": "press", "words": "Continue" }));
    browser.ask(&json!({ "command": "see", "words": "That did not work" }));
    let code = site::code(secret["text"].as_str().unwrap());
    browser.ask(&json!({ "command": "fill", "fields": { "Code": code } }));
    browser.ask(&json!({ "command": "press", "words": "Continue" }));
    browser.ask(&json!({ "command": "see", "words": "Be good to each other" }));
    site.inspect(&mut browser);
    browser.ask(&json!({ "command": "press", "words": "I have read it and accept it" }));
    browser.ask(&json!({ "command": "see", "words": "gpu1/1 is yours" }));
}
