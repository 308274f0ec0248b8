//! `[web]`

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use crate::config::sections::ssh::{address, collide, listeners};
use crate::config::table::{Section, Table};
use crate::config::value::Value;
use crate::config::words::quoted;
use crate::config::{Listen, Machine, PublicUrl, TlsFiles, Web};

pub(super) const WEB: Section = Section {
    title: "[web]",
    key: "web",
    keys: &["listen", "public_url", "hosts", "session_lifetime", "tls_certificate", "tls_key", "jupyter"],
    later: &[],
};

/// A listening address of JupyterLab that is a table.
pub(super) const JUPYTER: Section =
    Section { title: "[web] jupyter", key: "jupyter", keys: &["address", "machine"], later: &[] };

const DEFAULT_SESSION: Duration = Duration::from_secs(12 * 3600);
const SESSIONS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(30 * 24 * 3600);
const MOST_ADDRESSES: usize = 64;

pub(super) fn web(table: &mut Table<'_, '_>, folder: &Path, machines: &[Machine]) -> Web {
    let certificate = table.take("tls_certificate");
    let key = table.take("tls_key");
    if let (Some(one), None) | (None, Some(one)) = (&certificate, &key) {
        one.refuse("tls_certificate and tls_key belong together: the other one is missing");
    }
    let tls = certificate.and_then(|value| value.path(folder)).zip(key.and_then(|value| value.path(folder)));
    let tls = tls.map(|(certificate, key)| TlsFiles { certificate, key });
    let plain = tls.is_none();
    let listen = table.take("listen").map(|value| addresses(value, plain)).unwrap_or_default();
    let public_url = table.take("public_url").and_then(|value| value.checked(|text| public_url(text, plain)));
    let hosts = table.take("hosts").map(hosts).unwrap_or_default();
    let session_lifetime = table.take("session_lifetime").and_then(|value| value.duration(SESSIONS));
    let jupyter =
        table.take("jupyter").map(|value| jupyter(value, machines, &listen, plain)).unwrap_or_default();
    Web {
        listen,
        public_url,
        hosts,
        session_lifetime: session_lifetime.unwrap_or(DEFAULT_SESSION),
        tls,
        jupyter,
    }
}

fn addresses(value: Value<'_, '_>, plain: bool) -> Vec<SocketAddr> {
    let Some(values) = value.non_empty_list("leave the key out for no page") else { return Vec::new() };
    let mut found: Vec<SocketAddr> = Vec::new();
    for value in values.into_iter().take(MOST_ADDRESSES) {
        let Some(wanted) = value.checked(|text| private(address(text)?, plain)) else { continue };
        if found.iter().any(|other| collide(*other, wanted)) {
            value.refuse(format!("{wanted} is there twice"));
        }
        found.push(wanted);
    }
    found
}

fn jupyter(value: Value<'_, '_>, machines: &[Machine], page: &[SocketAddr], plain: bool) -> Vec<Listen> {
    let (place, problems, at) = (value.place.clone(), value.problems, value.at.clone());
    let listeners = listeners(value, &JUPYTER, machines);
    for listen in &listeners {
        let why = match private(listen.address, plain) {
            Err(why) => why,
            Ok(_) if page.iter().any(|other| collide(*other, listen.address)) => {
                format!("{} is the page's own: JupyterLab needs another port", listen.address)
            }
            Ok(_) if page.is_empty() => {
                "JupyterLab is signed in to by the page: [web] listen is missing".to_owned()
            }
            Ok(_) => continue,
        };
        problems.at(&at, &format!("{place}: {why}"));
    }
    listeners
}

/// Passwords cross the network in the clear without TLS: only a network that encrypts by itself will do.
fn private(address: SocketAddr, plain: bool) -> Result<SocketAddr, String> {
    if !plain || address.ip().to_canonical().is_loopback() || is_tailnet(address.ip()) {
        return Ok(address);
    }
    Err(format!(
        "{address} is neither loopback nor of the tailnet (100.64.0.0/10, fd7a:115c:a1e0::/48): passwords would \
         cross the network in the clear; add tls_certificate and tls_key, or listen there"
    ))
}

fn is_tailnet(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64,
        IpAddr::V6(ip) => ip.segments()[..3] == [0xfd7a, 0x115c, 0xa1e0],
    }
}

fn public_url(text: &str, plain: bool) -> Result<PublicUrl, String> {
    let odd = || {
        let example = if plain { "http://clusteria" } else { "https://clusteria.example.org" };
        format!("{} is not a URL without a path; write it like \"{example}\"", quoted(text))
    };
    let (https, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return Err(odd()),
    };
    if https == plain {
        return Err(if plain {
            "it says https, but there is no tls_certificate".to_owned()
        } else {
            "it says http, but there is a tls_certificate".to_owned()
        });
    }
    let rest = rest.trim_end_matches('/');
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !rest.ends_with(']') => (host, Some(port.parse().map_err(|_| odd())?)),
        _ => (rest, None),
    };
    let port = port.filter(|port| *port != if https { 443 } else { 80 });
    if is_host(host) { Ok(PublicUrl { https, host: host.to_ascii_lowercase(), port }) } else { Err(odd()) }
}

fn is_host(text: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let address = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !text.is_empty() && text.len() <= 253 && text.chars().all(is_name),
    }
}

fn hosts(value: Value<'_, '_>) -> Vec<String> {
    let host = |value: &Value<'_, '_>| {
        value.checked(|text| {
            let why = || format!("{} is not a host's name, like \"gpu1.example.org\"", quoted(text));
            if is_host(text) { Ok(text.to_ascii_lowercase()) } else { Err(why()) }
        })
    };
    value.list().unwrap_or_default().iter().filter_map(host).collect()
}
