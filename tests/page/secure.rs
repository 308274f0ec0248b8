//! HTTPS by certificate files, and the tailnet's word instead of a password.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use serde_json::json;

use crate::START;
use crate::common::browser::Browser;
use crate::common::engines::{make_authority, make_certificate};
use crate::common::{Plan, eventually, run};
use crate::raw::ask;
use crate::site::Site;
use crate::tailscaled::Tailscaled;

#[test]
fn with_a_certificate_everything_is_https() {
    let site = Site::prepare(Plan { image: "clusteria/jupyter:1", ..Plan::default() });
    let folder = site.cluster.folder.path();
    make_authority(folder);
    make_certificate(folder, "page", "serverAuth", Some("127.0.0.1".parse().unwrap()));
    let config = std::fs::read_to_string(site.cluster.config()).unwrap();
    let files = "[web]\ntls_certificate = \"page.pem\"\ntls_key = \"page-key.pem\"\n";
    std::fs::write(site.cluster.config(), config.replace("[web]\n", files)).unwrap();
    let mut site = site;
    site.cluster.start_gateway();
    let plain = (site.url.clone(), site.jupyter.clone());
    site.url = plain.0.replace("http:", "https:");
    site.jupyter = plain.1.replace("http:", "https:");

    // The certificate is the one of the files, by the rules of a client that checks it.
    let curl = |words: &[&str]| run(Command::new("curl").args(["-sS", "--max-time", "20"]).args(words), b"");
    let authority = site.cluster.path("ca.pem").display().to_string();
    let head = curl(&["--cacert", &authority, "-I", &site.url]).success().stdout.to_ascii_lowercase();
    assert!(head.contains("strict-transport-security: max-age=31536000"), "{head}");
    assert!(head.contains("set-cookie: __host-clusteria=") && head.contains("; secure"), "{head}");
    assert_ne!(curl(&["-I", &site.url]).status, 0, "of an unknown authority");
    for old in ["--tls-max", "1.1"].chunks(2) {
        assert_ne!(curl(&[&["--cacert", &authority, "-I"][..], old, &[&site.url]].concat()).status, 0);
    }

    // By plain HTTP: what is to be shown is shown by HTTPS; what is sent is not taken.
    let moved = ask(&plain.0, "GET", "/keys?x=1", &[], "");
    assert_eq!(
        (moved.status, moved.headers["location"].as_str()),
        (308, format!("{}/keys?x=1", site.url).as_str())
    );
    let moved = ask(&plain.1, "GET", "/lab", &[], "");
    assert_eq!(moved.headers["location"], format!("{}/lab", site.jupyter));
    assert_eq!(ask(&plain.0, "GET", "/", &[("Host", "evil.example")], "").status, 421);
    let sent = ask(&plain.0, "POST", "/sign-in", &[], "user=ada&password=pw-ada");
    assert_eq!(sent.status, 403);
    assert!(!sent.headers.contains_key("set-cookie") && sent.body.contains("https"), "{sent:?}");

    let mut browser = Browser::start();
    browser.ask(&json!({ "command": "become", "who": "ada", "trust": true }));
    site.sign_in(&mut browser, "ada", "pw-ada");
    browser.ask(&json!({ "command": "choose", "slot": "gpu1/1" }));
    browser.ask(&json!({ "command": "press", "words": "Reserve" }));
    browser.ask(&json!({ "command": "see", "words": "gpu1/1 is yours" }));
    site.inspect_in_both(&mut browser, ["gpu1/1 is yours", "gpu1/1 est à vous"]);
    eventually("JupyterLab runs", START, || {
        (site.cluster.status("ada")["reservation"]["jupyter"]["state"] == "running").then_some(())
    });
    site.open(&mut browser, "/reservation");
    browser.ask(&json!({ "command": "pressForTab", "words": "Open on JupyterLab", "until": format!("{}/lab", site.jupyter) }));
    assert_eq!(browser.ask(&json!({ "command": "cell", "code": "print(6 * 7)" }))["output"], "42");
    let cookies = browser.ask(&json!({ "command": "cookies" }))["cookies"].clone();
    let ours: Vec<_> = cookies
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["name"].as_str().unwrap().contains("clusteria"))
        .collect();
    assert!(ours.len() >= 4, "{cookies}");
    for cookie in ours {
        assert_eq!((&cookie["secure"], &cookie["httpOnly"]), (&json!(true), &json!(true)), "{cookie}");
        // The language opens nothing.
        let name = cookie["name"].as_str().unwrap();
        assert!(name.starts_with("__Host-") || name == "clusteria-lang", "{cookie}");
    }
}

/// Passes connections on from another loopback address: so a browser comes from where the tailnet knows it.
fn relay(from: &'static str, to: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = format!("http://{}", listener.local_addr().unwrap());
    let to: std::net::SocketAddr = to.trim_start_matches("http://").parse().unwrap();
    std::thread::spawn(move || {
        for near in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let far = connect_from(from, to);
                let (mut near_in, mut far_in) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                std::thread::spawn(move || copy(&mut near_in, far));
                copy(&mut far_in, near);
            });
        }
    });
    here
}

fn copy(from: &mut TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 8192];
    while let Ok(read) = from.read(&mut bytes) {
        if read == 0 || to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

fn connect_from(from: &str, to: std::net::SocketAddr) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        let stream = socket.connect(to).await.unwrap().into_std().unwrap();
        stream.set_nonblocking(false).unwrap();
        stream
    })
}

#[test]
fn the_tailnet_says_who_comes_and_nobody_else_is_let_in_by_it() {
    let mut site = Site::prepare(Plan::default());
    let _tailscaled = Tailscaled::start(&site.cluster.path("tailscaled.sock"));
    let config = std::fs::read_to_string(site.cluster.config()).unwrap();
    let auth = "[auth]\nmethods = [\"publickey\", \"password\", \"tailnet\"]\n[auth.tailnet]\n\
                socket = \"tailscaled.sock\"\ndomains = [\"lab.test\"]\n";
    std::fs::write(site.cluster.config(), format!("{config}\n{auth}")).unwrap();
    site.cluster.start_gateway();
    let real = site.url.clone();
    let mut browser = Browser::start();

    // ada's device: no password, in both ways in.
    site.url = relay("127.9.0.1", &real);
    site.open(&mut browser, "/");
    browser.ask(
        &json!({ "command": "see", "words": "Leave it empty if the tailnet knows this device as yours." }),
    );
    site.inspect(&mut browser);
    browser.ask(&json!({ "command": "choose", "slot": "gpu1/2" }));
    browser.ask(&json!({ "command": "fill", "fields": { "University username": "ada" } }));
    browser.ask(&json!({ "command": "press", "words": "Reserve" }));
    browser.ask(&json!({ "command": "see", "words": "gpu1/2 is yours" }));
    assert_eq!(site.cluster.status("ada")["reservation"]["slot"], "gpu1/2");

    // Under another name, from another's device, and from where the tailnet knows nobody.
    for (from, user) in
        [("127.9.0.1", "bob"), ("127.9.0.2", "ada"), ("127.9.0.3", "ada"), ("127.0.0.1", "ada")]
    {
        site.url = relay(from, &real);
        browser.ask(&json!({ "command": "become", "who": format!("{from} {user}"), "locale": "fr-FR" }));
        site.open(&mut browser, "/sign-in");
        browser.ask(&json!({ "command": "fill", "fields": { "Identifiant universitaire": user } }));
        browser.ask(&json!({ "command": "submit", "words": "Se connecter" }));
        browser.ask(&json!({ "command": "see", "words": "Cela n'a pas marché" }));
        site.inspect(&mut browser);
    }
}
