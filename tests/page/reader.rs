//! Readers of all kinds: by keyboard alone, on a narrow telephone, in the dark, without motion.

use serde_json::json;

use crate::common::browser::Browser;
use crate::common::lab::Lab;
use crate::common::{Plan, SOON, eventually};
use crate::site::Site;

/// From the first page to the end, in both languages: nothing but Tab, arrows, Space, Enter and letters.
#[test]
fn the_keyboard_alone_reserves_finds_its_card_and_releases() {
    let site = Site::start(Plan { slots: vec![2, 2], ..Plan::default() });
    let english = [
        "University username",
        "Password",
        "Reserve",
        "gpu1/1",
        "Release this reservation…",
        "Release it now",
        "is yours",
        "Skip to the content",
    ];
    let french = [
        "Identifiant universitaire",
        "Mot de passe",
        "Réserver",
        "gpu1/1",
        "Rendre cette réservation…",
        "La rendre maintenant",
        "est à vous",
        "Aller au contenu",
    ];
    for (user, locale, words) in [("ada", "en-GB", english), ("bob", "fr-FR", french)] {
        let [name, password, reserve, slot, release, sure, yours, skip] = words;
        let mut browser = Browser::start();
        browser.ask(&json!({ "command": "become", "who": user, "locale": locale }));
        site.open(&mut browser, "/");
        // What comes first skips the menu above.
        let first = browser.ask(&json!({ "command": "byKeyboard", "words": skip, "key": "Enter" }));
        assert_eq!(first["tabs"], 0);
        browser.ask(&json!({ "command": "byKeyboard", "words": slot, "key": "Space" }));
        browser.ask(&json!({ "command": "byKeyboard", "words": name, "text": user }));
        browser.ask(&json!({ "command": "byKeyboard", "words": password, "text": format!("pw-{user}") }));
        browser.ask(&json!({ "command": "byKeyboard", "words": reserve, "key": "Enter" }));
        browser.ask(&json!({ "command": "see", "words": format!("gpu1/1 {yours}") }));
        browser.ask(&json!({ "command": "byKeyboard", "words": release, "key": "Enter" }));
        // The page is live meanwhile, and what was opened stays open.
        let other = if user == "ada" { "bob" } else { "ada" };
        site.cluster.ssh(other).run("clusteria reserve gpu2/1").success();
        browser.ask(&json!({ "command": "byKeyboard", "words": sure, "key": "Enter" }));
        eventually("it is released", SOON, || {
            site.cluster.status(user)["reservation"].is_null().then_some(())
        });
        site.cluster.ssh(other).run("clusteria release").success();
        eventually("all is free", SOON, || site.cluster.containers().is_empty().then_some(()));
    }
}

/// Every page at 320 CSS pixels, where WCAG 2.2 wants nothing to be scrolled sideways (1.4.10), light and dark, in both
/// languages; with nothing that moves for who wants no motion (2.3.3).
#[test]
fn it_fits_320_pixels_and_moves_for_nobody_who_minds() {
    let site = Site::start(Plan { users: &["ada", "boss"], ..Plan::default() });
    site.cluster.cli(&["user", "admin", "boss", "on"]).success();
    site.cluster.ssh("ada").run("clusteria reserve gpu1/1").success();
    let mut browser = Browser::start();
    let english = ["University username", "Password", "Sign in"];
    let french = ["Identifiant universitaire", "Mot de passe", "Se connecter"];
    for (locale, dark, words) in [("en-GB", false, english), ("fr-FR", true, french)] {
        for user in ["ada", "boss"] {
            browser.ask(&json!({ "command": "become", "who": format!("{user} {locale}"), "locale": locale,
                "width": 320, "dark": dark, "calm": true }));
            site.open(&mut browser, "/sign-in");
            site.inspect(&mut browser);
            site.sign_in_in(&mut browser, user, &format!("pw-{user}"), words);
            let more: &[&str] = if user == "boss" { &["/admin"] } else { &[] };
            for path in ["/", "/reservation", "/keys", "/tokens", "/nothing"].iter().chain(more) {
                site.open(&mut browser, path);
                let overflow = browser.ask(&json!({ "command": "overflow" }));
                assert_eq!(overflow["pixels"], 0, "{user} {locale} {path}");
                site.inspect(&mut browser);
                let moving = browser.ask(&json!({ "command": "evaluate", "code": "[...document.querySelectorAll('*')].filter((one) => \
                    { const style = getComputedStyle(one); return style.animationName !== 'none' || \
                    style.transitionDuration.split(',').some((time) => parseFloat(time) > 0); }).length" }));
                assert_eq!(moving["value"], 0, "{path}");
            }
            let ground = browser.ask(
                &json!({ "command": "evaluate", "code": "getComputedStyle(document.body).backgroundColor" }),
            );
            let wanted = if dark { "rgb(20, 24, 30)" } else { "rgb(246, 247, 249)" };
            assert_eq!(ground["value"], wanted);
        }
    }
}

/// The menu's choice is the page's, and the other way round; also in a browser that says otherwise.
#[test]
fn a_language_is_chosen_once_for_menu_and_page() {
    let site = Site::start(Plan::default());
    let mut browser = Browser::start();
    site.sign_in(&mut browser, "ada", "pw-ada");
    browser.ask(&json!({ "command": "press", "words": "Français" }));
    browser.ask(&json!({ "command": "see", "words": "Choisissez une place libre" }));
    let status = || site.cluster.ssh("ada").run("clusteria status").success().stdout;
    assert!(status().contains("réservation"), "{}", status());
    // Elsewhere they need not choose again; who is not known there still reads what the browser asks for.
    browser.ask(&json!({ "command": "become", "who": "elsewhere" }));
    site.open(&mut browser, "/");
    browser.ask(&json!({ "command": "see", "words": "Choose a free slot" }));
    site.sign_in(&mut browser, "ada", "pw-ada");
    browser.ask(&json!({ "command": "see", "words": "Choisissez une place libre" }));
    browser.ask(&json!({ "command": "press", "words": "Se déconnecter" }));
    browser.ask(&json!({ "command": "see", "words": "Choisissez une place libre" }));
    // Who has chosen in the browser before they say who they are has chosen.
    browser.ask(&json!({ "command": "become", "who": "bob" }));
    site.open(&mut browser, "/sign-in");
    browser.ask(&json!({ "command": "press", "words": "Français" }));
    site.sign_in_in(
        &mut browser,
        "bob",
        "pw-bob",
        ["Identifiant universitaire", "Mot de passe", "Se connecter"],
    );
    let bobs = site.cluster.ssh("bob").run("clusteria status").success().stdout;
    assert!(bobs.contains("réservation"), "{bobs}");
}

/// A start that fails leaves nothing to release on the page that watched it.
#[test]
fn a_failed_start_takes_its_buttons_along() {
    let site = Site::start(Plan { image: "clusteria/is-not-there:1", ..Plan::default() });
    let mut browser = Browser::start();
    site.sign_in(&mut browser, "ada", "pw-ada");
    browser.ask(&json!({ "command": "choose", "slot": "gpu1/1" }));
    browser.ask(&json!({ "command": "press", "words": "Reserve" }));
    browser.ask(&json!({ "command": "see", "words": "You have no reservation." }));
    eventually("nothing to release", SOON, || {
        let buttons = browser.ask(&json!({ "command": "count", "selector": "form[action='/release']" }));
        (buttons["count"] == 0).then_some(())
    });
    site.inspect_in_both(&mut browser, ["You have no reservation.", "Vous n'avez pas de réservation."]);
}

/// What the container uses, as its owner sees it change, and the storage that all share.
#[test]
fn what_a_container_uses_is_on_its_page_live() {
    let lab = Lab::new();
    lab.gpu(3072, "");
    let storage = tempfile::tempdir().unwrap();
    let mount = format!("[[mount]]\ntarget = \"/storage\"\nsource = \"{}\"\n", storage.path().display());
    let site = Site::start(Plan { more: lab.mounts() + &mount, ..Plan::default() });
    let mut browser = Browser::start();
    site.sign_in(&mut browser, "ada", "pw-ada");
    browser.ask(&json!({ "command": "choose", "slot": "gpu1/1" }));
    browser.ask(&json!({ "command": "press", "words": "Reserve" }));
    browser.ask(
        &json!({ "command": "see", "words": "GPU 0 Fake H100 · memory 3 GiB of 80 GiB · busy 45 % · 61 °C" }),
    );
    browser.ask(&json!({ "command": "see", "words": "/storage: " }));
    let gauges = browser.ask(&json!({ "command": "evaluate",
        "code": "[...document.querySelectorAll('meter')].map((one) => one.labels[0].innerText.split(' ')[0] + ' ' + one.value)" }));
    assert_eq!(gauges["value"][0], "GPU 3", "{gauges}");
    assert!(
        gauges["value"].as_array().unwrap().iter().any(|one| one.as_str().unwrap().starts_with("/storage")),
        "{gauges}"
    );
    site.inspect_in_both(&mut browser, ["What it uses", "Ce qu'elle utilise"]);
    browser.ask(&json!({ "command": "press", "words": "Release this reservation…" }));
    // What is being selected and what has the focus are apart from the figures, which change.
    let run = |browser: &mut Browser, code: &str| {
        browser.ask(&json!({ "command": "evaluate", "code": code }))["value"].clone()
    };
    run(&mut browser, "getSelection().selectAllChildren(document.getElementById('line-shell'))");
    run(&mut browser, "document.getElementById('renew').focus()");
    lab.gpu(40960, "");
    browser.ask(&json!({ "command": "see", "words": "memory 40 GiB of 80 GiB" }));
    let kept = run(&mut browser, "[getSelection().toString(), document.activeElement.id]");
    assert!(kept[0].as_str().unwrap().starts_with("ssh ") && kept[1] == "renew", "{kept}");
    // Behind other tabs it asks for nothing; in front again it has the newest.
    let hidden = |is: bool| {
        format!(
            "Object.defineProperty(document, 'hidden', {{ value: {is}, configurable: true }}); \
             document.dispatchEvent(new Event('visibilitychange'))"
        )
    };
    assert!(run(&mut browser, "events.url").as_str().unwrap().ends_with("/live?use"));
    run(&mut browser, &hidden(true));
    assert_eq!(run(&mut browser, "events === undefined"), true);
    lab.gpu(20480, "");
    run(&mut browser, &hidden(false));
    browser.ask(&json!({ "command": "see", "words": "memory 20 GiB of 80 GiB" }));
    // What was opened meanwhile is still open.
    browser.ask(&json!({ "command": "press", "words": "Release it now" }));
    eventually("it is released", SOON, || site.cluster.status("ada")["reservation"].is_null().then_some(()));
    // Where no figures are shown none are waited for.
    site.open(&mut browser, "/");
    assert!(run(&mut browser, "events.url").as_str().unwrap().ends_with("/live"));
}
