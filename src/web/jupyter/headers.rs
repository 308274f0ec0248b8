//! What is changed in a request's and an answer's head on the way: JupyterLab is asked as a local browser would ask it,
//! and neither side sees what is not its own.

use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// By which JupyterLab knows that the gateway vouches for a request.
pub(super) const VOUCHER: HeaderName = HeaderName::from_static("x-clusteria-page");
/// Browsers say it when they fetch a service worker's script, and let no page say it.
pub(super) const SERVICE_WORKER: HeaderName = HeaderName::from_static("service-worker");
pub(super) const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
/// What a container may not say to browsers: it would count for the page too, which has the same host.
const TOO_FAR: [HeaderName; 6] = [
    header::STRICT_TRANSPORT_SECURITY,
    CLEAR_SITE_DATA,
    header::ALT_SVC,
    HeaderName::from_static("service-worker-allowed"),
    HeaderName::from_static("nel"),
    HeaderName::from_static("report-to"),
];
/// As JupyterLab sees itself; it takes local names only.
const INSIDE: &str = "localhost:8888";

/// Only from one hop to the next (RFC 9110 section 7.6.1).
const HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
];
/// What a proxy before us may have said: it is not believed, and not passed on.
const FORWARDED: [&str; 5] =
    ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"];

/// JupyterLab's origin has a cookie of its own: cookies do not know ports.
pub(super) fn cookie_name(https: bool) -> &'static str {
    if https { "__Host-clusteria-lab" } else { "clusteria-lab" }
}

/// Says that the browser is the one which the ticket is for.
pub(super) fn browser_cookie_name(https: bool) -> &'static str {
    if https { "__Host-clusteria-lab-browser" } else { "clusteria-lab-browser" }
}

fn is_our_cookie(name: &str) -> bool {
    let name = name.trim();
    name.starts_with("clusteria") || name.starts_with("__Host-clusteria")
}

pub(super) fn is_upgrade(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(header::UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket"))
}

/// A request as JupyterLab gets it.
pub(super) fn inward(headers: &mut HeaderMap, origin: &str, voucher: HeaderValue) {
    let upgrade = is_upgrade(headers);
    strip(headers);
    for name in FORWARDED {
        headers.remove(name);
    }
    headers.insert(header::HOST, HeaderValue::from_static(INSIDE));
    headers.insert(VOUCHER, voucher);
    if headers.contains_key(header::ORIGIN) {
        headers.insert(header::ORIGIN, HeaderValue::from_static("http://localhost:8888"));
    }
    let referer = headers.get(header::REFERER).and_then(|value| value.to_str().ok());
    let path = referer.and_then(|referer| referer.strip_prefix(origin)).map(str::to_owned);
    headers.remove(header::REFERER);
    if let Some(Ok(local)) = path.map(|path| format!("http://{INSIDE}{path}").parse()) {
        headers.insert(header::REFERER, local);
    }
    let cookies: Vec<String> = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter(|pair| !is_our_cookie(pair))
        .map(|pair| pair.trim().to_owned())
        .collect();
    headers.remove(header::COOKIE);
    if let Ok(line) = cookies.join("; ").parse::<HeaderValue>()
        && !cookies.is_empty()
    {
        headers.insert(header::COOKIE, line);
    }
    if upgrade {
        again(headers);
    }
}

/// An answer as the browser gets it.
pub(super) fn outward(headers: &mut HeaderMap, origin: &str, upgraded: bool) {
    strip(headers);
    let cookies: Vec<HeaderValue> = headers.get_all(header::SET_COOKIE).iter().cloned().collect();
    headers.remove(header::SET_COOKIE);
    for cookie in cookies {
        let kept = cookie.to_str().ok().and_then(own_cookie);
        if let Some(kept) = kept.and_then(|cookie| cookie.parse().ok()) {
            headers.append(header::SET_COOKIE, kept);
        }
    }
    let local = headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
    let path = local.and_then(|local| local.strip_prefix("http://localhost:8888"));
    if let Some(Ok(there)) = path.map(|path| format!("{origin}{path}").parse()) {
        headers.insert(header::LOCATION, there);
    }
    for name in TOO_FAR {
        headers.remove(name);
    }
    if upgraded {
        again(headers);
    }
}

/// A container's cookie as browsers get it: with a name, because without one its value could read as one of ours
/// (`=clusteria=…`), and for this host alone.
fn own_cookie(cookie: &str) -> Option<String> {
    // The first part is the cookie, whatever it is called; the attributes are what follows.
    let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
    let (name, _) = pair.split_once('=')?;
    if name.trim().is_empty() || is_our_cookie(name) {
        return None;
    }
    let kept = attributes.split(';').filter(|part| !part.is_empty() && !is_domain(part));
    Some([pair].into_iter().chain(kept).collect::<Vec<_>>().join(";"))
}

fn is_domain(attribute: &str) -> bool {
    let name = attribute.split('=').next().unwrap_or_default();
    name.trim().eq_ignore_ascii_case("domain")
}

fn again(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn a_container_sees_neither_our_cookies_nor_where_we_are() {
        let mut request = headers(&[
            ("host", "clusteria:8888"),
            ("origin", "http://clusteria:8888"),
            ("referer", "http://clusteria:8888/lab?x"),
            ("cookie", "clusteria=s; _xsrf=2; clusteria-lab=t; __Host-clusteria=u"),
            ("connection", "keep-alive, x-secret"),
            ("x-secret", "1"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-clusteria-page", "forged"),
        ]);
        inward(&mut request, "http://clusteria:8888", HeaderValue::from_static("right"));
        let wanted = headers(&[
            ("host", "localhost:8888"),
            ("origin", "http://localhost:8888"),
            ("referer", "http://localhost:8888/lab?x"),
            ("cookie", "_xsrf=2"),
            ("x-clusteria-page", "right"),
        ]);
        assert_eq!(request, wanted);
    }

    #[test]
    fn a_container_sets_no_cookie_of_ours() {
        let mut answer = headers(&[
            ("set-cookie", "clusteria=evil; Path=/"),
            ("location", "http://localhost:8888/lab"),
            ("strict-transport-security", "max-age=1"),
            ("clear-site-data", "\"cookies\""),
            ("alt-svc", "h3=\":1\""),
            ("service-worker-allowed", "/"),
        ]);
        for cookie in ["=clusteria=evil", "clusteria", " clusteria =evil", "__Host-clusteria-lab=evil"] {
            answer.append(header::SET_COOKIE, cookie.parse().unwrap());
        }
        answer.append(header::SET_COOKIE, "_xsrf=1; Path=/; Domain=example.org".parse().unwrap());
        outward(&mut answer, "http://gpu1:8888", false);
        assert_eq!(
            answer,
            headers(&[("set-cookie", "_xsrf=1; Path=/"), ("location", "http://gpu1:8888/lab")])
        );
    }

    /// What is called like an attribute is a cookie all the same: taken away, it would let the next part be one.
    #[test]
    fn a_cookie_keeps_its_name_and_loses_its_domain() {
        for (sent, kept) in [
            ("domain=x; clusteria=evil; Path=/", "domain=x; clusteria=evil; Path=/"),
            (
                "Domain=x; __Host-clusteria=evil; Secure; Path=/",
                "Domain=x; __Host-clusteria=evil; Secure; Path=/",
            ),
            ("domain_pref=1; Path=/", "domain_pref=1; Path=/"),
            ("a=1; DOMAIN = example.org;domain;Path=/; domain_pref=1", "a=1;Path=/; domain_pref=1"),
            ("a=1", "a=1"),
        ] {
            assert_eq!(own_cookie(sent).as_deref(), Some(kept), "{sent}");
        }
    }
}
