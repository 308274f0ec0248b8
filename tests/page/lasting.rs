//! Who is signed in stays so when the gateway restarts or is replaced, and is out when they or what opened it says so.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use serde_json::json;

use crate::START;
use crate::common::browser::Browser;
use crate::common::{Plan, SOON, eventually, is_gateway};
use crate::raw::{Visitor, ask};
use crate::site::{Site, token};

/// Ends what goes on beside a test, also when that fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn is_in(site: &Site, who: &Visitor) -> bool {
    match who.get(&site.url, "/keys").status {
        200 => true,
        303 => false,
        other => panic!("{other}"),
    }
}

#[test]
fn a_restart_signs_out_nobody_and_what_ends_a_session_ends_it_for_good() {
    let mut site = Site::start(Plan { users: &["ada", "bob", "eve"], ..Plan::default() });
    let [ada, elsewhere] = [(); 2].map(|()| Visitor::sign_in(&site.url, "ada"));
    let (bob, eve) = (Visitor::sign_in(&site.url, "bob"), Visitor::sign_in(&site.url, "eve"));
    let reserved = site.cluster.ssh("bob").run("clusteria reserve --json").success().stdout;
    let reserved: serde_json::Value = serde_json::from_str(&reserved).unwrap();
    let lent = Visitor::sign_in_with(&site.url, "bob", reserved["password"].as_str().unwrap());
    let gone = Visitor::sign_in(&site.url, "ada");
    assert_eq!(gone.post(&site.url, "/sign-out", "").status, 303);
    for cookie in [&ada.cookie, &lent.cookie] {
        let secret = cookie.split_once('=').unwrap().1.as_bytes();
        for file in ["ledger/clusteria.db", "ledger/clusteria.db-wal"] {
            let bytes = std::fs::read(site.cluster.path(file)).unwrap_or_default();
            assert!(
                !bytes.windows(secret.len()).any(|found| found == secret),
                "{file} has a cookie's secret"
            );
        }
    }

    for act in ["killed", "stopped", "replaced"] {
        match act {
            "killed" => site.cluster.kill_gateway(),
            "stopped" => assert!(site.cluster.stop_gateway().success()),
            _ => {
                site.cluster.reload();
            }
        }
        if act != "replaced" {
            site.cluster.start_gateway();
        }
        for (name, who) in
            [("ada", &ada), ("elsewhere", &elsewhere), ("bob", &bob), ("lent", &lent), ("eve", &eve)]
        {
            assert!(is_in(&site, who), "{name}, {act}");
        }
        assert!(!is_in(&site, &gone), "{act}");
        // A form that was made before.
        let answer = eve.post(&site.url, "/queue", "act=leave");
        assert_eq!(answer.status, 303, "{act}: {answer:?}");
    }

    // One's own browser, and no other.
    elsewhere.post(&site.url, "/sign-out", "");
    assert!(is_in(&site, &ada) && !is_in(&site, &elsewhere));
    // The reservation's password, renewed elsewhere; the account's own goes on.
    site.cluster.ssh("bob").run("clusteria password").success();
    assert!(!is_in(&site, &lent) && is_in(&site, &bob));
    // The account's password; a lock, also after it is opened again.
    site.cluster.cli_with_input(&["user", "password", "ada", "--password-stdin"], "another-one\n").success();
    assert!(!is_in(&site, &ada));
    for act in ["disable", "enable"] {
        site.cluster.cli(&["user", act, "eve"]).success();
        assert!(!is_in(&site, &eve), "{act}");
    }
    site.cluster.cli(&["user", "remove", "bob"]).success();
    assert!(!is_in(&site, &bob));
}

/// The reservation's own password opens, and a new one made in that very browser does not throw it out.
#[test]
fn who_makes_a_new_password_stays_in_and_others_by_the_old_one_do_not() {
    let site = Site::start(Plan::default());
    let reserved = site.cluster.ssh("ada").run("clusteria reserve --json").success().stdout;
    let reserved: serde_json::Value = serde_json::from_str(&reserved).unwrap();
    let password = reserved["password"].as_str().unwrap();
    let [maker, other] = [(); 2].map(|()| Visitor::sign_in_with(&site.url, "ada", password));
    assert_eq!(maker.post(&site.url, "/password", "").status, 303);
    assert!(is_in(&site, &maker) && !is_in(&site, &other));
    assert!(maker.get(&site.url, "/reservation").body.contains("reservation-password"), "and sees it");
    // Neither lets anybody into the next reservation.
    site.cluster.ssh("ada").run("clusteria release").success();
    eventually("the slot is free", SOON, || site.cluster.containers().is_empty().then_some(()));
    site.cluster.ssh("ada").run("clusteria reserve").success();
    assert!(!is_in(&site, &maker));
}

/// A browser that is open while the gateway is replaced: the page goes on living, JupyterLab's kernel too.
#[test]
fn an_upgrade_under_an_open_browser_is_not_noticed() {
    let site = Site::start(Plan { image: "clusteria/jupyter:1", ..Plan::default() });
    let mut browser = Browser::start();
    site.sign_in(&mut browser, "ada", "pw-ada");
    browser.ask(&json!({ "command": "choose", "slot": "gpu1/1" }));
    browser.ask(&json!({ "command": "press", "words": "Reserve" }));
    browser.ask(&json!({ "command": "see", "words": "gpu1/1 is yours" }));
    eventually("JupyterLab runs", START, || {
        (site.cluster.status("ada")["reservation"]["jupyter"]["state"] == "running").then_some(())
    });
    site.open(&mut browser, "/reservation");
    let lab = json!({ "command": "pressForTab", "words": "Open on JupyterLab", "until": format!("{}/lab", site.jupyter) });
    browser.ask(&lab);
    assert_eq!(browser.ask(&json!({ "command": "cell", "code": "kept = 6; print(kept)" }))["output"], "6");
    let mut watcher = Browser::start();
    site.open(&mut watcher, "/");
    watcher.ask(&json!({ "command": "see", "words": "live" }));
    watcher.ask(&json!({ "command": "evaluate", "code": "globalThis.neverReloaded = true" }));

    let first = site.cluster.gateway_pid();
    let (over, answered) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                assert_eq!(ask(&site.url, "GET", "/", &[], "").status, 200);
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
        let _over = Over(&over);
        for _ in 0..3 {
            site.cluster.reload();
        }
    });
    println!("{} pages were asked for during three upgrades, none refused", answered.load(Ordering::Relaxed));
    // The stream connects again by itself, and what the new gateway gives is seen.
    site.cluster.ssh("bob").run("clusteria reserve gpu1/2").success();
    watcher.ask(&json!({ "command": "see", "words": "0/2 free" }));
    let never = watcher.ask(&json!({ "command": "evaluate", "code": "globalThis.neverReloaded === true" }));
    assert_eq!(never["value"], true);
    // The kernel's websocket is the old gateway's and goes on there; what is asked for anew is the new one's.
    let next = browser.ask(&json!({ "command": "nextCell", "index": 1, "code": "print(kept * 7)" }));
    assert_eq!(next["output"], "42");
    let saved = browser.ask(&json!({ "command": "evaluate",
        "code": "fetch('/api/contents').then((answer) => answer.status)" }));
    assert_eq!(saved["value"], 200, "still signed in to JupyterLab");
    assert!(is_gateway(first, &site.cluster.config()), "it serves the websocket out");
    drop(browser);
    eventually("and then ends", SOON, || {
        let state = std::fs::read_to_string(format!("/proc/{first}/stat")).unwrap_or_default();
        (!is_gateway(first, &site.cluster.config()) || state.contains(") Z ")).then_some(())
    });
}

/// Who is told of a place has it, whichever of the gateways was asked.
#[test]
fn places_asked_for_during_upgrades_are_what_is_answered() {
    let site = Site::start(Plan { slots: vec![1], image: "clusteria/empty:1", ..Plan::default() });
    site.cluster.ssh("ada").run("clusteria reserve").success();
    let bearer = token(&site, &Visitor::sign_in(&site.url, "bob"));
    let call = |method: &str| {
        let answer = ask(&site.url, method, "/api/v1/queue", &[("Authorization", &bearer)], "");
        let facts: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        (answer.status, facts)
    };
    let (over, places) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let (status, joined) = call("POST");
                assert_eq!((status, &joined["waiting"]["place"]), (200, &json!(1)), "{joined}");
                let (status, left) = call("DELETE");
                assert!(status == 200 && left["waiting"].is_null(), "{status} {left}");
                places.fetch_add(1, Ordering::Relaxed);
            }
        });
        let _over = Over(&over);
        for _ in 0..5 {
            site.cluster.reload();
        }
    });
    println!("{} places taken and given up during five upgrades", places.load(Ordering::Relaxed));
    assert_eq!(call("POST").1["waiting"]["place"], 1);
    site.cluster.reload();
    assert_eq!(call("GET").1["waiting"]["place"], 1);
}
