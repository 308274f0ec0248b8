//! `[ssh]`

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use crate::config::suggest::nearest;
use crate::config::table::{Section, Table};
use crate::config::value::Value;
use crate::config::words::quoted;
use crate::config::{Ciphers, Listen, Machine, Ssh};
use crate::reservation::MachineName;

pub(super) const SSH: Section = Section {
    title: "[ssh]",
    key: "ssh",
    keys: &[
        "listen",
        "host_keys",
        "login_grace",
        "keepalive",
        "max_connections",
        "max_per_user",
        "max_startups",
        "drain",
        "ciphers",
    ],
    later: &[],
};

/// A listening address that is a table.
pub(super) const LISTEN: Section =
    Section { title: "[ssh] listen", key: "listen", keys: &["address", "machine"], later: &[] };

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 2222);
const DEFAULT_WAIT: Duration = Duration::from_secs(30);
const SECOND_TO_HOUR: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);
const SECOND_TO_MONTH: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(30 * 24 * 3600);
/// As long as a reservation lives by default: nobody who works when the gateway is replaced is cut off.
const DEFAULT_DRAIN: Duration = Duration::from_secs(8 * 3600);
/// Room for a class behind one address that all comes in at once, not for a flood.
const DEFAULT_STARTUPS: usize = 100;
const MOST_CONNECTIONS: u64 = 100_000;

pub(super) fn ssh(table: &mut Table<'_, '_>, folder: &Path, machines: &[Machine]) -> Ssh {
    let listen = table.take("listen").map(|value| listeners(value, &LISTEN, machines));
    let host_keys = table.take("host_keys").and_then(|value| value.path(folder));
    let mut wait = |key| table.take(key).and_then(|value| value.duration(SECOND_TO_HOUR));
    let login_grace = wait("login_grace").unwrap_or(DEFAULT_WAIT);
    let keepalive = wait("keepalive").unwrap_or(DEFAULT_WAIT);
    let (max_connections, max_per_user) = connections(table);
    let max_startups = table.take("max_startups").and_then(|value| count(&value)).unwrap_or(DEFAULT_STARTUPS);
    let drain =
        table.take("drain").and_then(|value| value.duration(SECOND_TO_MONTH)).unwrap_or(DEFAULT_DRAIN);
    let ciphers = table.take("ciphers").and_then(|value| value.checked(ciphers)).unwrap_or_default();
    Ssh {
        listen: listen.unwrap_or_else(|| vec![Listen { address: DEFAULT_LISTEN, machine: None }]),
        host_keys: host_keys.unwrap_or_else(|| folder.join("hostkeys")),
        login_grace,
        keepalive,
        max_connections,
        max_per_user,
        max_startups,
        drain,
        ciphers,
    }
}

fn ciphers(text: &str) -> Result<Ciphers, String> {
    match text {
        "aes-gcm" => Ok(Ciphers::AesGcm),
        "all" => Ok(Ciphers::All),
        other => Err(format!("{} is neither \"aes-gcm\" nor \"all\"", quoted(other))),
    }
}

fn count(value: &Value<'_, '_>) -> Option<usize> {
    value.whole(1..=MOST_CONNECTIONS).and_then(|number| usize::try_from(number).ok())
}

fn connections(table: &mut Table<'_, '_>) -> (usize, usize) {
    let all = table.take("max_connections").and_then(|value| count(&value)).unwrap_or(2000);
    let Some(value) = table.take("max_per_user") else { return (all, all.min(64)) };
    let one = count(&value).unwrap_or(1);
    if one > all {
        value.refuse(format!("{one} is more than max_connections, which is {all}"));
    }
    (all, one)
}

pub(super) fn listeners(
    value: Value<'_, '_>,
    section: &'static Section,
    machines: &[Machine],
) -> Vec<Listen> {
    let Some(values) = value.non_empty_list("leave the key out for 127.0.0.1:2222") else {
        return Vec::new();
    };
    let mut listeners: Vec<Listen> = Vec::new();
    for value in values {
        let (place, problems, at) = (value.place.clone(), value.problems, value.at.clone());
        let Some(listen) = listener(value, section, machines) else { continue };
        if let Some(other) = listeners.iter().find(|other| collide(other.address, listen.address)) {
            let (one, two) = (listen.address, other.address);
            let why =
                if one == two { format!("{one} is there twice") } else { format!("{one} and {two} collide") };
            problems.at(&at, &format!("{place}: {why}"));
        }
        listeners.push(listen);
    }
    listeners
}

fn listener(value: Value<'_, '_>, section: &'static Section, machines: &[Machine]) -> Option<Listen> {
    if !value.is_table() {
        return Some(Listen { address: value.checked(address)?, machine: None });
    }
    value.into_table(section).read(|table| {
        let address =
            table.required("address", "\"127.0.0.2:2222\"").and_then(|value| value.checked(address));
        let machine = match table.take("machine") {
            Some(value) => Some(known_machine(&value, machines)?),
            None => None,
        };
        Some(Listen { address: address?, machine })
    })
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        let examples = r#""127.0.0.1:2222", "0.0.0.0:22", "[::]:22""#;
        format!("{} is not an IP address with a port; write it like {examples}", quoted(text))
    })
}

fn known_machine(value: &Value<'_, '_>, machines: &[Machine]) -> Option<MachineName> {
    let name: MachineName = value.checked(str::parse)?;
    if machines.iter().any(|machine| machine.name == name) {
        return Some(name);
    }
    let hint = nearest(name.as_str(), machines.iter().map(|machine| machine.name.as_str()))
        .map_or_else(String::new, |near| format!("; did you mean {near}?"));
    value.refuse_unless_broken(format!("there is no [[machine]] named {name}{hint}"));
    None
}

/// Would the second bind fail? Port 0 is a new port each time.
pub(super) fn collide(one: SocketAddr, two: SocketAddr) -> bool {
    let any = one.ip().is_unspecified() || two.ip().is_unspecified();
    let same_family = one.is_ipv4() == two.is_ipv4();
    one.port() != 0 && one.port() == two.port() && (one.ip() == two.ip() || (any && same_family))
}
