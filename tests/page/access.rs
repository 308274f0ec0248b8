//! Who may ask for what: every route of the page, of the API and of JupyterLab's door.

use std::collections::BTreeSet;

use crate::common::{Plan, SOON, eventually};
use crate::raw::{Visitor, ask};
use crate::site::{Site, token};

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// Path, then what anonymous visitors, other users and administrators get.
const PAGES: [(&str, [u16; 3]); 15] = [
    ("/", [200, 200, 200]),
    ("/sign-in", [200, 303, 303]),
    ("/code", [303, 303, 303]),
    ("/charter", [303, 404, 404]),
    ("/reservation", [303, 200, 200]),
    ("/ssh-config", [303, 200, 200]),
    ("/keys", [303, 200, 200]),
    ("/tokens", [303, 200, 200]),
    ("/admin", [303, 403, 200]),
    ("/admin/history.csv", [303, 403, 200]),
    ("/jupyter/ticket/0000000000000000000000000000000000000000000000000000000000000000", [303, 409, 409]),
    (LIVE, [200, 200, 200]),
    ("/nothing", [404, 404, 404]),
    ("/assets/nothing", [404, 404, 404]),
    ("/release", [405, 405, 405]),
];

/// A stream: only whether it would begin is asked for.
const LIVE: &str = "/live";

/// The same for forms, sent with the right token. The last ends their sessions.
const FORMS: [(&str, &str, [u16; 3]); 16] = [
    ("/sign-in", "user=ada&password=wrong", [403, 403, 403]),
    ("/code", "code=1", [303, 303, 303]),
    ("/language", "lang=fr&back=//evil.example", [303, 303, 303]),
    ("/charter", "", [403, 303, 303]),
    ("/reserve", "slot=gpu9/1&user=ada&password=wrong", [403, 303, 303]),
    ("/password", "", [403, 303, 303]),
    ("/release", "", [403, 303, 303]),
    ("/queue", "act=leave", [403, 303, 303]),
    ("/jupyter", "", [403, 409, 409]),
    ("/keys", "key=nonsense", [403, 303, 303]),
    ("/keys/remove", "key=nonsense", [403, 303, 303]),
    ("/tokens", "label=of+theirs", [403, 201, 201]),
    ("/tokens/remove", "id=nonsense", [403, 303, 303]),
    ("/admin", "act=end&target=ada", [403, 403, 303]),
    ("/admin", "act=user&target=ada", [403, 403, 422]),
    ("/sign-out", "", [303, 303, 303]),
];

/// Of the API, with what is sent.
const API: [(&str, &str, &str, [u16; 3]); 16] = [
    ("GET", "/openapi.json", "", [200, 200, 200]),
    ("GET", "/machines", "", [401, 200, 200]),
    ("GET", "/reservation", "", [401, 200, 200]),
    ("POST", "/reservation", r#"{"target":"gpu9/1"}"#, [401, 404, 404]),
    ("DELETE", "/reservation", "", [401, 404, 404]),
    ("POST", "/reservation/password", "", [401, 404, 404]),
    ("GET", "/queue", "", [401, 200, 200]),
    ("POST", "/queue", r#"{"target":"gpu9/1"}"#, [401, 404, 404]),
    ("DELETE", "/queue", "", [401, 404, 404]),
    ("GET", "/keys", "", [401, 200, 200]),
    ("GET", "/admin/reservations", "", [401, 403, 200]),
    ("GET", "/admin/history", "", [401, 403, 200]),
    ("POST", "/admin/end", "", [401, 403, 422]),
    ("POST", "/admin/message", "", [401, 403, 422]),
    ("PUT", "/admin/machines/gpu1/draining", "", [401, 403, 422]),
    ("GET", "/nothing", "", [404, 404, 404]),
];

/// The routers themselves, as they are written: method and path of every route.
fn routed(source: &str) -> BTreeSet<(String, String)> {
    let source = source.split("#[cfg(test)]").next().unwrap();
    let routes = source.match_indices(".route(").count();
    let lines = source.lines().filter_map(|line| line.trim().strip_prefix(".route(\"")?.split_once("\", "));
    let mut found = 0;
    let all = lines.flat_map(|(path, handlers)| {
        found += 1;
        let methods = ["get", "post", "put", "delete", "patch", "any"];
        let used = methods.into_iter().filter(move |method| handlers.contains(&format!("{method}(")));
        used.map(move |method| (method.to_uppercase(), path.to_owned())).collect::<Vec<_>>()
    });
    let all: BTreeSet<_> = all.collect();
    assert!(found == routes && found > 5, "{found} of {routes} routes are one line each");
    all
}

/// Is this path one of that route, `{…}` being anything?
fn fits(route: &str, path: &str) -> bool {
    let (mut route, mut path) = (route.split('/'), path.split('/'));
    loop {
        match (route.next(), path.next()) {
            (None, None) => return true,
            (Some(one), Some(other)) if one == other || one.starts_with('{') => {}
            _ => return false,
        }
    }
}

/// A route that is new says here who may use it, or this fails.
#[test]
fn every_route_is_in_the_tables() {
    let page = routed(include_str!("../../src/web/routes.rs"));
    for (method, route) in &page {
        let known = match method.as_str() {
            "GET" => PAGES.iter().any(|(path, _)| fits(route, path)),
            "POST" => FORMS.iter().any(|(path, ..)| fits(route, path)),
            _ => false,
        };
        assert!(known, "{method} {route}");
    }
    for (method, route) in &routed(include_str!("../../src/web/api/mod.rs")) {
        assert!(
            API.iter().any(|(by, path, ..)| by == method && fits(route, path)),
            "{method} /api/v1{route}"
        );
    }
    assert!(page.contains(&("GET".into(), "/admin".into())) && !fits("/a/{b}", "/a") && !fits("/a", "/a/b"));
}

#[test]
fn everybody_gets_what_is_theirs_and_nothing_else() {
    let site = Site::start(Plan { users: &["ada", "eve", "boss"], ..Plan::default() });
    site.cluster.cli(&["user", "admin", "boss", "on"]).success();
    // What there is to be taken: ada's reservation.
    site.cluster.ssh("ada").run("clusteria reserve gpu1/1").success();
    let people =
        [Visitor::new(&site.url), Visitor::sign_in(&site.url, "eve"), Visitor::sign_in(&site.url, "boss")];
    for (path, wanted) in PAGES {
        let method = if path == LIVE { "HEAD" } else { "GET" };
        let got =
            people.each_ref().map(|who| ask(&site.url, method, path, &[("Cookie", &who.cookie)], "").status);
        assert_eq!(got, wanted, "{method} {path}");
    }
    let ada_is_there = || !site.cluster.status("ada")["reservation"].is_null();
    for (path, fields, wanted) in FORMS {
        let without = people.each_ref().map(|who| {
            let headers = [("Cookie", who.cookie.as_str()), FORM, ("Origin", &site.url)];
            ask(&site.url, "POST", path, &headers, fields).status
        });
        assert_eq!(without, [403; 3], "POST {path} without a token");
        let elsewhere = people.each_ref().map(|who| {
            let headers = [("Cookie", who.cookie.as_str()), FORM, ("Origin", "http://evil.example")];
            ask(&site.url, "POST", path, &headers, &format!("token={}&{fields}", who.token)).status
        });
        assert_eq!(elsewhere, [403; 3], "POST {path} from elsewhere");
        let got = people.each_ref().map(|who| {
            let answer = who.post(&site.url, path, fields);
            let there = answer.headers.get("location").cloned().unwrap_or_default();
            assert!(!there.starts_with("//") && !there.contains("evil"), "{path}: {there}");
            answer.status
        });
        assert_eq!(got, wanted, "POST {path}");
        if !["/admin", "/sign-out"].contains(&path) {
            assert!(ada_is_there(), "POST {path}");
        }
    }
    assert!(!ada_is_there(), "an administrator may");

    let people =
        [Visitor::new(&site.url), Visitor::sign_in(&site.url, "eve"), Visitor::sign_in(&site.url, "boss")];
    let tokens = ["".to_owned(), token(&site, &people[1]), token(&site, &people[2])];
    for (method, path, body, wanted) in API {
        let got = tokens.each_ref().map(|token| {
            let headers = [("Authorization", token.as_str()), ("Content-Type", "application/json")];
            ask(&site.url, method, &format!("/api/v1{path}"), &headers, body).status
        });
        assert_eq!(got, wanted, "{method} {path}");
        let by_cookie = ask(&site.url, "GET", "/api/v1/keys", &[("Cookie", &people[2].cookie)], "");
        assert_eq!(by_cookie.status, 401, "a cookie is no token");
    }
    // An account that is closed has no session and no token any more.
    site.cluster.cli(&["user", "disable", "eve"]).success();
    assert_eq!(people[1].get(&site.url, "/keys").status, 303);
    let headers = [("Authorization", tokens[1].as_str())];
    assert_eq!(ask(&site.url, "GET", "/api/v1/keys", &headers, "").status, 401);
}

/// Another name that points here, a foreign page at JupyterLab's door, and what is too much.
#[test]
fn strangers_are_turned_away_at_the_door() {
    let site = Site::start(Plan::default());
    for host in ["evil.example", "clusteria.evil.example", ""] {
        assert_eq!(ask(&site.url, "GET", "/", &[("Host", host)], "").status, 421, "{host}");
        assert_eq!(ask(&site.jupyter, "GET", "/lab", &[("Host", host)], "").status, 421, "{host}");
    }
    let page = ask(&site.url, "GET", "/", &[], "");
    let policy = &page.headers["content-security-policy"];
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(page.headers["set-cookie"].contains("HttpOnly; SameSite=Lax"), "{page:?}");
    assert!(!page.body.contains("onclick") && !page.body.contains("style="), "nothing inline");

    let visitor = Visitor::new(&site.url);
    assert_eq!(visitor.post(&site.url, "/sign-in", &"x".repeat(100_000)).status, 413);
    let long = format!("/{}", "x".repeat(100_000));
    assert!((400..500).contains(&visitor.get(&site.url, &long).status));
    assert_eq!(visitor.get(&site.url, "/assets/..%2f..%2fetc%2fpasswd").status, 404);

    let lab = |method: &str, headers: &[(&str, &str)]| ask(&site.jupyter, method, "/lab", headers, "").status;
    assert_eq!(lab("GET", &[]), 303, "to the page");
    assert_eq!(lab("POST", &[]), 403);
    assert_eq!(lab("GET", &[("Upgrade", "websocket"), ("Connection", "Upgrade")]), 403);
    assert_eq!(lab("GET", &[("Cookie", &visitor.cookie)]), 303, "the page's cookie opens nothing there");
    let forged = ask(&site.jupyter, "GET", "/clusteria/ticket/AAAA", &[], "");
    assert_eq!(forged.status, 303);
    assert!(!forged.headers.contains_key("set-cookie"), "{forged:?}");

    // Wrong passwords are throttled as by SSH.
    let statuses: Vec<u16> =
        (0..8).map(|_| visitor.post(&site.url, "/sign-in", "user=ada&password=wrong").status).collect();
    assert!(statuses.contains(&403) && statuses.contains(&429), "{statuses:?}");
}

/// Wrong tokens are refused unseen after a few, with a line in the audit log for each of the few; a right one is not held up.
#[test]
fn wrong_tokens_fill_no_log_and_keep_no_right_one_out() {
    let more = "[audit]\npath = \"audit.jsonl\"\n".to_owned();
    let site =
        Site::start(Plan { more, auth: "throttle = { free = 3, first_delay = \"1h\" }", ..Plan::default() });
    let right = token(&site, &Visitor::sign_in(&site.url, "ada"));
    let by = |token: &str| ask(&site.url, "GET", "/api/v1/machines", &[("Authorization", token)], "");
    let wrong: Vec<_> = (0..20).map(|_| by("Bearer clusteria_wrong")).collect();
    let statuses: Vec<u16> = wrong.iter().map(|answer| answer.status).collect();
    assert_eq!((&statuses[..3], &statuses[3..]), (&[401; 3][..], &[429; 17][..]));
    let again: u32 = wrong[3].headers["retry-after"].parse().unwrap();
    assert!((3500..=3601).contains(&again) && wrong[3].body.contains("\"later\""), "{:?}", wrong[3]);
    assert_eq!(by(&right).status, 200);
    let lines = || std::fs::read_to_string(site.cluster.path("audit.jsonl")).unwrap_or_default();
    let of_tokens = || lines().lines().filter(|line| line.contains("no token of ours")).count();
    // What comes after them is written after them.
    let last = Visitor::new(&site.url).post(&site.url, "/sign-in", "user=nobody&password=wrong");
    assert_eq!(last.status, 403);
    eventually("all is written", SOON, || lines().contains("\"nobody\"").then_some(()));
    assert_eq!(of_tokens(), 3);
}

/// What programs that watch the gateway are told.
#[test]
fn metrics_tell_how_it_does_and_no_names() {
    let site = Site::start(Plan::default());
    site.cluster.ssh("ada").run("clusteria reserve gpu1/1").success();
    let metrics = ask(&site.metrics, "GET", "/metrics", &[], "");
    assert!(metrics.headers["content-type"].starts_with("text/plain; version=0.0.4"));
    for line in
        ["clusteria_slots{machine=\"gpu1\",state=\"free\"} 1", "clusteria_machine_up{machine=\"gpu1\"} 1"]
    {
        assert!(metrics.body.contains(line), "{line}: {}", metrics.body);
    }
    assert!(!metrics.body.contains("ada"));
    assert_eq!(ask(&site.metrics, "GET", "/healthz", &[], "").body, "ok\n");
    assert_eq!(ask(&site.metrics, "GET", "/readyz", &[], "").status, 200);
    assert_eq!(ask(&site.url, "GET", "/metrics", &[], "").status, 404, "not on the page");
}
