//! Cookies, read and set. They know no ports: scripts of JupyterLab's origin, where it has the page's host, can add some.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};
use axum::response::Response;

use super::address::host_of;

/// Labels of a host and parts of a path that are thought of.
const MOST_PARTS: usize = 8;

pub(super) fn add_cookie(answer: &mut Response, cookie: &str) {
    if let Ok(value) = cookie.parse() {
        answer.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// Browsers let nobody else set a `__Host-` cookie, but take it by HTTPS only.
pub(super) fn cookie_name(https: bool) -> &'static str {
    if https { "__Host-clusteria" } else { "clusteria" }
}

/// The value of a cookie, if it came. Two of one name are none: scripts of JupyterLab's origin can add one for a path or
/// a domain, and nothing says which is ours.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut all = values(headers, name);
    all.next().filter(|_| all.next().is_none())
}

/// Did it come more than once? Then somebody has planted one.
pub(super) fn is_planted(headers: &HeaderMap, name: &str) -> bool {
    values(headers, name).nth(1).is_some()
}

/// All that came under one name.
fn values<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(move |(found, _)| *found == name).map(|(_, value)| value)
}

/// What takes planted cookies of this name away, and leaves ours, which is for this host and every path. A cookie goes by
/// its own domain and path only: all are named that can have come along.
pub(super) fn unplant(name: &str, host: &str, path: &str) -> Vec<String> {
    let host = host_of(host);
    let starts = path.match_indices('/').map(|(at, _)| at);
    let paths = starts.flat_map(|at| [path.get(..at), path.get(..=at)]).chain([Some(path)]);
    // No cookie is for a path with a semicolon, and here it would be an attribute.
    let is_possible = |path: &&str| !path.is_empty() && *path != "/" && !path.contains(';');
    let mut paths: Vec<&str> = paths.flatten().filter(is_possible).collect();
    paths.dedup();
    paths.truncate(2 * MOST_PARTS);
    // Of an address or a bare name there are no cookies for a domain, and browsers take one for ours.
    let is_domain = host.contains('.') && host.parse::<IpAddr>().is_err();
    let parents = host.match_indices('.').filter_map(|(at, _)| host.get(at + 1..));
    let domains: Vec<&str> =
        [host].into_iter().chain(parents).filter(|_| is_domain).take(MOST_PARTS).collect();
    let gone = |path: &str, domain: Option<&&str>| {
        let domain = domain.map(|domain| format!("; Domain={domain}")).unwrap_or_default();
        format!("{name}=; Path={path}; Max-Age=0{domain}")
    };
    let for_host = paths.iter().map(|path| gone(path, None));
    let for_domains =
        paths.iter().chain(&["/"]).flat_map(|path| domains.iter().map(|domain| gone(path, Some(domain))));
    for_host.chain(for_domains).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_that_came_twice_is_nobodys() {
        let of = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::COOKIE, line.parse().unwrap());
            }
            cookie(&headers, "clusteria").map(str::to_owned)
        };
        assert_eq!(of(&["a=1; clusteria=s; clusteria-lab=t"]).as_deref(), Some("s"));
        assert_eq!(of(&["clusteria=planted; clusteria=s"]), None);
        assert_eq!(of(&["clusteria=planted", "clusteria=s"]), None);
    }

    #[test]
    fn what_was_planted_is_taken_away_and_ours_is_not() {
        let gone = unplant("clusteria", "clusteria.example.org:80", "/keys/remove");
        for wanted in [
            "clusteria=; Path=/keys; Max-Age=0",
            "clusteria=; Path=/keys/; Max-Age=0",
            "clusteria=; Path=/keys/remove; Max-Age=0",
            "clusteria=; Path=/; Max-Age=0; Domain=clusteria.example.org",
            "clusteria=; Path=/keys; Max-Age=0; Domain=example.org",
        ] {
            assert!(gone.iter().any(|one| one == wanted), "{wanted}: {gone:?}");
        }
        assert!(!gone.iter().any(|one| one == "clusteria=; Path=/; Max-Age=0"), "{gone:?}");
        for host in ["clusteria", "127.0.0.1:80", "[::1]"] {
            let gone = unplant("clusteria", host, "/keys");
            assert_eq!(gone, ["clusteria=; Path=/keys; Max-Age=0"], "{host}");
        }
        let gone = unplant("clusteria", "clusteria", "/keys/;Path=/");
        assert_eq!(gone, ["clusteria=; Path=/keys; Max-Age=0", "clusteria=; Path=/keys/; Max-Age=0"]);
        let many = unplant("clusteria", &"a.".repeat(99), &"/a".repeat(999));
        assert!(many.len() < 200, "{}", many.len());
    }
}
