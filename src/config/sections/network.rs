//! `[network]`: what containers may reach.

use std::net::Ipv4Addr;

use crate::config::table::{Section, Table};
use crate::config::value::Value;
use crate::config::words::quoted;
use crate::config::{Destination, Network};

pub(super) const NETWORK: Section =
    Section { title: "[network]", key: "network", keys: &["internet", "allow", "deny"], later: &[] };

pub(super) fn network(table: &mut Table<'_, '_>) -> Network {
    let internet = table.take("internet").and_then(|value| value.flag());
    let allow = table.take("allow").map(destinations);
    let deny = table.take("deny").map(destinations);
    Network {
        internet: internet.unwrap_or(true),
        allow: allow.unwrap_or_default(),
        deny: deny.unwrap_or_default(),
    }
}

fn destinations(value: Value<'_, '_>) -> Vec<Destination> {
    let mut found = Vec::new();
    for value in value.list().unwrap_or_default() {
        let Some(destination) = value.checked(destination) else { continue };
        if found.contains(&destination) {
            value.refuse("it is there twice");
        }
        found.push(destination);
    }
    found
}

/// `192.0.2.0/24`, `192.0.2.7:443`
fn destination(text: &str) -> Result<Destination, String> {
    let wrong = || {
        let examples = r#""192.0.2.0/24", "192.0.2.7:443""#;
        format!(
            "{} is not an IPv4 address or network, with a port or without; write it like {examples}",
            quoted(text)
        )
    };
    let (network, port) = match text.split_once(':') {
        Some((network, port)) => {
            (network, Some(port.parse::<u16>().ok().filter(|p| *p > 0).ok_or_else(wrong)?))
        }
        None => (text, None),
    };
    let (address, prefix) = match network.split_once('/') {
        Some((address, prefix)) => (address, prefix.parse::<u8>().map_err(|_| wrong())?),
        None => (network, 32),
    };
    let address: Ipv4Addr = address.parse().map_err(|_| wrong())?;
    if prefix > 32 {
        return Err(wrong());
    }
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
    if u32::from(address) & !mask != 0 {
        let network = Ipv4Addr::from(u32::from(address) & mask);
        return Err(format!(
            "{address}/{prefix} is an address in a network; the network is {network}/{prefix}"
        ));
    }
    Ok(Destination { address, prefix, port })
}
