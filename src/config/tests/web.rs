//! The page: where it may listen, and what it is called.

use super::{parse, refused, with};

#[test]
fn plain_http_stays_on_loopback_and_on_the_tailnet() {
    for good in [
        "127.0.0.1:80",
        "[::1]:80",
        "127.9.9.9:0",
        "100.64.0.1:80",
        "100.127.255.254:80",
        "[fd7a:115c:a1e0::1]:80",
    ] {
        parse(&with("[web]", &format!("listen = [\"{good}\"]"))).unwrap();
    }
    for bad in [
        "0.0.0.0:80",
        "[::]:80",
        "192.0.2.1:80",
        "100.128.0.1:80",
        "100.63.255.255:80",
        "[fd7a:115c:a1e1::1]:80",
    ] {
        refused(&with("[web]", &format!("listen = [\"{bad}\"]")), "in the clear");
        let jupyter = format!("listen = [\"127.0.0.1:80\"]\njupyter = [\"{bad}\"]");
        refused(&with("[web]", &jupyter), "in the clear");
        let tls = "tls_certificate = \"c.pem\"\ntls_key = \"k.pem\"";
        parse(&with("[web]", &format!("listen = [\"{bad}\"]\n{tls}"))).unwrap();
    }
}

#[test]
fn the_page_and_jupyterlab_are_two_origins() {
    let web = |lines: &str| with("[web]", lines);
    refused(&web("jupyter = [\"127.0.0.1:8888\"]"), "[web] listen is missing");
    refused(&web("listen = [\"127.0.0.1:80\"]\njupyter = [\"127.0.0.1:80\"]"), "another port");
    refused(&web("listen = [\"127.0.0.1:80\", \"127.0.0.1:80\"]"), "twice");
    refused(
        &web("listen = [\"127.0.0.1:80\"]\njupyter = [{ address = \"127.0.0.1:8888\", machine = \"gpu2\" }]"),
        "no [[machine]] named gpu2",
    );
    let config = parse(&web(
        "listen = [\"127.0.0.1:80\"]\njupyter = [{ address = \"127.0.0.1:8888\", machine = \"gpu1\" }]",
    ));
    assert_eq!(config.unwrap().web.jupyter[0].machine.as_ref().unwrap().as_str(), "gpu1");
}

#[test]
fn its_url_says_what_is_there() {
    let url = |url: &str| with("[web]", &format!("public_url = \"{url}\""));
    let found = parse(&url("http://Clusteria:8080/")).unwrap().web.public_url.unwrap();
    assert_eq!((found.host.as_str(), found.port, found.https), ("clusteria", Some(8080), false));
    assert_eq!(parse(&url("http://clusteria:80")).unwrap().web.public_url.unwrap().port, None);
    refused(&url("https://clusteria"), "no tls_certificate");
    for odd in ["clusteria", "http://", "http://a/b", "http://a b", "http://a:x", "http://user@a"] {
        refused(&url(odd), "not a URL without a path");
    }
    refused(&with("[web]", "tls_key = \"k.pem\""), "belong together");
    refused(&with("[web]", "hosts = [\"a/b\"]"), "not a host's name");
    refused(&with("[metrics]", "listen = \"9100\""), "not an IP address with a port");
}
