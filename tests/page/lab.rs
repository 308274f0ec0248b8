//! JupyterLab's door: whose it opens, and what a container behind it can do to its reader's browser.
//!
//! The container is hostile here: in the place of JupyterLab is a server that says what a stranger's notebook would.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::common::browser::Browser;
use crate::common::{Plan, Running, SOON, eventually, free_port};
use crate::raw::{Visitor, ask, ask_ticket, enter_lab, split};
use crate::site::Site;

/// Tells what it was asked, and asks browsers for all that would reach further than its own answer.
const SERVER: &str = r#"
import http.server, json
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"path": self.requestline.split()[1], "headers": self.headers.items()}).encode()
        kind = "application/json"
        if self.path.startswith("/lab"): body, kind = b"<!doctype html><title>hostile</title><p>here", "text/html"
        if self.path == "/worker.js": body, kind = b"self.onfetch = (e) => e.respondWith(new Response('mine'))", "text/javascript"
        self.send_response(200)
        for name, value in [("Content-Type", kind), ("Content-Length", str(len(body))), ("Service-Worker-Allowed", "/"),
                            ("Set-Cookie", "clusteria=planted"), ("Set-Cookie", "=clusteria=planted"),
                            ("Set-Cookie", "clusteria-lab=planted"), ("Set-Cookie", "own=1; Path=/; Domain=localhost"),
                            ("Set-Cookie", "domain=x; clusteria=planted; Path=/"),
                            ("Set-Cookie", "domain=x; __Host-clusteria=planted; Secure; Path=/"),
                            ("Set-Cookie", "domain_pref=1; Path=/"),
                            ("Strict-Transport-Security", "max-age=9"), ("Clear-Site-Data", "\"cookies\""), ("Alt-Svc", "h3=\":1\"")]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_PUT = do_GET
http.server.ThreadingHTTPServer(("127.0.0.1", 8888), Answer).serve_forever()
"#;

/// What browsers get of its cookies. The first part of each is the cookie, and all others are words for it.
const KEPT: [&str; 4] = [
    "own=1; Path=/",
    "domain=x; clusteria=planted; Path=/",
    "domain=x; __Host-clusteria=planted; Secure; Path=/",
    "domain_pref=1; Path=/",
];

/// A reservation of `user` with that server, until it is dropped.
fn serve(site: &Site, user: &str) -> Running {
    site.cluster.ssh(user).run_with_input("cat > server.py", SERVER.as_bytes()).success();
    let mut server = site.cluster.ssh(user).command("exec python3 server.py");
    let running = Running::start(server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
    eventually("it serves", SOON, || {
        let asked = "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 8888))'";
        (site.cluster.ssh(user).run(asked).status == 0).then_some(())
    });
    running
}

fn site() -> Site {
    let users = &["ada", "eve"];
    Site::start(Plan { image: "clusteria/jupyter:1", container: "jupyter = false", users, ..Plan::default() })
}

/// Whatever is asked for reaches port 8888 of one's own container, and nothing else; what could harm is taken from both.
#[test]
fn a_request_goes_to_ones_own_container_and_without_what_is_not_its() {
    let site = site();
    site.cluster.ssh("ada").run("clusteria reserve gpu1/1").success();
    let _server = serve(&site, "ada");
    let ada = Visitor::sign_in(&site.url, "ada");
    let (cookies, _) = enter_lab(&site.url, &ada);
    let all = format!("{}; {cookies}; clusteria-lang=fr; own=2", ada.cookie);
    let elsewhere = free_port();
    let paths = [
        "/a/../../etc/passwd".to_owned(),
        "//evil.example/x".to_owned(),
        "/%2e%2e/%2e%2e/x".to_owned(),
        "/a%2fb?x=http://evil.example/".to_owned(),
        "/proxy/9999/".to_owned(),
        format!("http://127.0.0.1:{elsewhere}/absolute"),
        "http://evil.example/absolute?y".to_owned(),
    ];
    for path in &paths {
        let answer = ask(&site.jupyter, "GET", path, &[("Cookie", &all), ("X-Forwarded-For", "1.2.3.4")], "");
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let seen: Value = serde_json::from_str(&answer.body).unwrap();
        let wanted = path.find("/absolute").map_or(path.as_str(), |at| &path[at..]);
        assert_eq!(seen["path"], wanted, "as it came");
        let header = |name: &str| {
            let all = seen["headers"].as_array().unwrap().iter();
            all.filter(|one| one[0].as_str().unwrap().eq_ignore_ascii_case(name))
                .map(|one| one[1].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(header("host"), ["localhost:8888"]);
        assert_eq!(header("cookie"), ["own=2"], "no cookie of ours");
        assert!(header("x-forwarded-for").is_empty());
        assert!(!answer.body.contains(ada.cookie.split_once('=').unwrap().1));
        for name in ["strict-transport-security", "clear-site-data", "alt-svc", "service-worker-allowed"] {
            assert!(!answer.headers.contains_key(name), "{name}");
        }
        assert_eq!(answer.headers["set-cookie"].lines().collect::<Vec<_>>(), KEPT, "its own, for this host");
    }
    for (method, extra, wanted) in [
        ("GET", ("Service-Worker", "script"), 403),
        ("POST", ("Origin", "http://evil.example"), 403),
        ("POST", ("Origin", site.url.as_str()), 403),
        ("POST", ("Sec-Fetch-Site", "same-site"), 403),
        ("POST", ("Origin", site.jupyter.as_str()), 200),
        ("TRACE", ("X-Nothing", "1"), 405),
        ("GET", ("Host", "evil.example"), 421),
    ] {
        let answer = ask(&site.jupyter, method, "/x", &[("Cookie", &all), extra], "");
        assert_eq!(answer.status, wanted, "{method} {extra:?}");
    }
    let handshake = |origin: &str| {
        let headers = [
            ("Cookie", all.as_str()),
            ("Upgrade", "websocket"),
            ("Connection", "upgrade, x-own"),
            ("Origin", origin),
        ];
        ask(&site.jupyter, "GET", "/api/kernels", &headers, "").status
    };
    assert_eq!([handshake("http://evil.example"), handshake(&site.url), handshake("null")], [403; 3]);
    assert_eq!(handshake(&site.jupyter), 200, "it is no server of websockets, but it was asked");
    // It ends with the session, and with the reservation.
    let other = Visitor::sign_in(&site.url, "ada");
    let (elsewhere, _) = enter_lab(&site.url, &other);
    let status = |cookies: &str| ask(&site.jupyter, "GET", "/x", &[("Cookie", cookies)], "").status;
    assert_eq!([status(&cookies), status(&elsewhere)], [200; 2]);
    other.post(&site.url, "/sign-out", "");
    assert_eq!([status(&cookies), status(&elsewhere)], [200, 303]);
    site.cluster.ssh("ada").run("clusteria release").success();
    assert_eq!(status(&cookies), 403);
}

/// Somebody else's ticket, sent to ada, does not lead her into their container.
#[test]
fn a_ticket_opens_in_the_browser_that_asked_for_it_only() {
    let site = site();
    site.cluster.ssh("ada").run("clusteria reserve gpu1/1").success();
    site.cluster.ssh("eve").run("clusteria reserve gpu1/2").success();
    let (_adas, _eves) = (serve(&site, "ada"), serve(&site, "eve"));
    let eve = Visitor::sign_in(&site.url, "eve");
    let mut browser = Browser::start();
    site.sign_in(&mut browser, "ada", "pw-ada");
    browser.ask(&json!({ "command": "open", "url": format!("{}/clusteria/open", site.jupyter) }));
    browser.ask(&json!({ "command": "see", "words": "here" }));
    let hers = json!({ "command": "evaluate", "code": "fetch('/whose').then((answer) => answer.json())" });
    browser.ask(&hers);

    let (eves_cookie, ticket) = ask_ticket(&site.url, &eve);
    let landed = browser.ask(&json!({ "command": "open", "url": ticket }));
    assert_eq!(landed["url"], format!("{}/", site.url).as_str(), "back on the page");
    let (origin, path) = split(&ticket);
    let late = ask(&origin, "GET", &path, &[("Cookie", &eves_cookie)], "");
    assert_eq!(late.status, 303, "used up");
    // Still her own: what is served there is her container's.
    browser.ask(&json!({ "command": "open", "url": format!("{}/lab", site.jupyter) }));
    site.cluster.ssh("ada").run("pkill -f server.py").success();
    let gone = json!({ "command": "evaluate", "code": "fetch('/whose').then((answer) => answer.status)" });
    eventually("hers is gone", SOON, || (browser.ask(&gone)["value"] == 502).then_some(()));
}

/// What scripts in a container's page try against the page, in a real browser that is signed in to both.
#[test]
fn scripts_of_a_container_get_nothing_from_the_page() {
    let site = site();
    site.cluster.ssh("ada").run("clusteria reserve gpu1/1").success();
    let _server = serve(&site, "ada");
    let eve = Visitor::sign_in(&site.url, "eve");
    let mut browser = Browser::start();
    site.sign_in(&mut browser, "ada", "pw-ada");
    site.open(&mut browser, "/reservation");
    browser.ask(&json!({ "command": "open", "url": format!("{}/clusteria/open", site.jupyter) }));
    let landed = browser.ask(&json!({ "command": "see", "words": "here" }));
    assert_eq!(landed["url"], format!("{}/lab", site.jupyter).as_str());
    let mut attack =
        |code: &str| browser.ask(&json!({ "command": "evaluate", "code": code }))["value"].clone();

    let page = &site.url;
    let refused = "then(() => 'done', () => 'refused')";
    assert_eq!(
        attack(&format!(
            "fetch('{page}/reservation', {{ credentials: 'include' }}).then((a) => a.text()).{refused}"
        )),
        "refused"
    );
    assert_eq!(attack(&format!("fetch('{page}/live', {{ credentials: 'include' }}).{refused}")), "refused");
    assert_eq!(
        attack("navigator.serviceWorker.register('/worker.js').then(() => 'done', () => 'refused')"),
        "refused"
    );
    let seen = attack("document.cookie.split('; ').sort().join('; ')");
    assert_eq!(seen, "domain=x; domain_pref=1; own=1", "the cookies of both are out of reach");
    for path in ["release", "password", "jupyter", "sign-out", "reserve", "language"] {
        let post = format!(
            "fetch('{page}/{path}', {{ method: 'POST', mode: 'no-cors', credentials: 'include', \
             headers: {{ 'Content-Type': 'application/x-www-form-urlencoded' }}, body: 'token=x&slot=gpu1/2&lang=fr' }}).{refused}"
        );
        attack(&post);
    }
    let framed = format!(
        "new Promise((done) => {{ const frame = document.createElement('iframe'); frame.src = '{page}/reservation'; \
         frame.onload = () => {{ try {{ done(frame.contentDocument?.body.innerText ?? 'closed'); }} catch {{ done('closed'); }} }}; \
         document.body.append(frame); }})"
    );
    assert_eq!(attack(&framed), "closed");
    let opened = format!(
        "new Promise((done) => {{ const other = open('{page}/reservation'); const look = setInterval(() => {{ \
         let seen; try {{ seen = other.closed ? 'closed' : other.document.body.innerText; }} catch {{ seen = 'closed'; }} \
         if (seen) {{ clearInterval(look); done(seen); }} }}, 50); }})"
    );
    assert_eq!(attack(&opened), "closed");
    let session = &eve.cookie.split_once('=').unwrap().1.to_owned();
    // A session of the attacker's own, for some paths and for all: an HttpOnly cookie is not replaced, and two are none.
    attack(&format!("document.cookie = 'clusteria={session}; path=/'"));
    attack(&format!("document.cookie = 'clusteria={session}; path=/reservation'"));
    attack("document.cookie = 'clusteria-lab=x; path=/lab'");

    let there = &site.cluster.status("ada")["reservation"];
    assert_eq!(there["slot"], "gpu1/1", "nothing was released");
    site.open(&mut browser, "/keys");
    browser.ask(&json!({ "command": "see", "words": "Signed in as ada" }));
    // Asked for by the path that it was planted for, the page takes it away; ada is still in.
    site.open(&mut browser, "/reservation");
    site.open(&mut browser, "/reservation");
    browser.ask(&json!({ "command": "see", "words": "gpu1/1 is yours" }));
    browser.ask(&json!({ "command": "see", "words": "Signed in as ada" }));
    let cookies = browser.ask(&json!({ "command": "cookies" }))["cookies"].clone();
    let ours = cookies.as_array().unwrap().iter().filter(|cookie| cookie["name"] == "clusteria").count();
    assert_eq!(ours, 1, "{cookies}");
    // JupyterLab's door does the same for its own: they are sent away once, and not for good.
    let lab = json!({ "command": "open", "url": format!("{}/lab", site.jupyter) });
    assert_eq!(browser.ask(&lab)["url"], format!("{}/reservation", site.url).as_str());
    assert_eq!(browser.ask(&lab)["url"], format!("{}/lab", site.jupyter).as_str());
    browser.ask(&json!({ "command": "see", "words": "here" }));
    let ada = Visitor::sign_in(&site.url, "ada");
    let both = format!("{}; {}", eve.cookie, ada.cookie);
    let neither = ask(&site.url, "GET", "/reservation", &[("Cookie", &both)], "");
    assert_eq!(
        (neither.status, neither.headers["location"].as_str()),
        (303, "/sign-in"),
        "neither ada nor eve"
    );
    assert_eq!(neither.headers["set-cookie"], "clusteria=; Path=/reservation; Max-Age=0", "and ours stays");
}

/// Listeners of machines, on a host that is not the page's: as `gpu1:8888` is.
#[test]
fn each_machines_own_port_serves_that_machine_only() {
    let site = Site::prepare(Plan {
        slots: vec![1, 1],
        image: "clusteria/jupyter:1",
        container: "jupyter = false",
        users: &["ada", "eve"],
        ..Plan::default()
    });
    let [one, two] = [(); 2].map(|()| format!("127.0.0.2:{}", free_port()));
    let listeners = format!(
        "{{ address = \"{one}\", machine = \"gpu1\" }}, {{ address = \"{two}\", machine = \"gpu2\" }}"
    );
    let config = std::fs::read_to_string(site.cluster.config()).unwrap();
    let shared = format!("jupyter = [\"{}\"]", site.jupyter.trim_start_matches("http://"));
    assert!(config.contains(&shared));
    std::fs::write(site.cluster.config(), config.replace(&shared, &format!("jupyter = [{listeners}]")))
        .unwrap();
    let mut site = site;
    site.cluster.start_gateway();
    let (one, two) = (format!("http://{one}"), format!("http://{two}"));
    site.cluster.ssh("ada").run("clusteria reserve gpu1/1").success();
    site.cluster.ssh("eve").run("clusteria reserve gpu2/1").success();
    let (_adas, _eves) = (serve(&site, "ada"), serve(&site, "eve"));
    for (user, own, other, slot) in [("ada", &one, &two, "gpu1/1"), ("eve", &two, &one, "gpu2/1")] {
        let mut browser = Browser::start();
        site.sign_in(&mut browser, user, &format!("pw-{user}"));
        // There is no JupyterLab for the button to wait for: its form is sent as the button does.
        site.open(&mut browser, "/reservation");
        browser.ask(&json!({ "command": "evaluate", "code": "(() => { const form = document.querySelector('form[action=\"/jupyter\"]'); form.removeAttribute('target'); form.submit(); })()" }));
        let landed = browser.ask(&json!({ "command": "see", "words": "here" }));
        assert_eq!(landed["url"], format!("{own}/lab").as_str(), "{user}");
        browser.ask(&json!({ "command": "open", "url": format!("{other}/lab") }));
        browser.ask(&json!({ "command": "see", "words": format!("Your reservation is {slot}, which is on another machine") }));
    }
}
