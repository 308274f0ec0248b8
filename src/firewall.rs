//! What containers may reach, and who reaches them, as a machine's packet filter has it: what `clusteria firewall` prints.
//!
//! The gateway cannot do this for machines that it only knows by their engine's API, and a helper container with
//! the host's network and its administration would be as mighty as root there. So an administrator installs the
//! script, with a unit that runs it at each start, and `clusteria doctor` asks from inside of a container whether
//! it holds. Everything in it concerns the cluster's own bridge and chains of its own: nothing else is touched.

use crate::config::{Destination, Network};
use crate::engine::labels::bridge_name;

/// Not "the internet": this host, private networks, carrier-grade NAT with the tailnets in it, link-local with the
/// clouds' metadata services, documentation and benchmarks, multicast and what is reserved.
const PRIVATE: [&str; 13] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
];
/// Told at once, so that programs fail and do not wait.
const REFUSE: &str = "REJECT --reject-with icmp-admin-prohibited";

const SCRIPT: &str = include_str!("firewall.sh");

/// The script, for `/bin/sh`: `start` and `stop`, both as often as one likes.
#[must_use]
pub fn script(cluster: &str, network: &Network) -> String {
    let rules: Vec<String> = rules(network).into_iter().map(|rule| format!("    {rule}")).collect();
    SCRIPT
        .replace("@CLUSTER@", cluster)
        .replace("@BRIDGE@", &bridge_name(cluster))
        .replace("@RULES@", &rules.join("\n"))
}

/// In order; the first that fits decides.
fn rules(network: &Network) -> Vec<String> {
    let both = |rule: String| ["\"$out\"", "\"$in\""].map(|chain| format!("add {chain} {rule}"));
    let each = |destinations: &[Destination], verdict: &str| -> Vec<String> {
        let matched = destinations.iter().flat_map(matches);
        matched.flat_map(|matched| both(format!("{matched} -j {verdict}"))).collect()
    };
    let mut rules: Vec<String> =
        both("-m conntrack --ctstate ESTABLISHED,RELATED -j RETURN".to_owned()).into();
    rules.extend(each(&network.deny, REFUSE));
    rules.push("names".to_owned());
    rules.extend(each(&network.allow, "RETURN"));
    // The engine separates containers too (enable_icc=false): this holds also where somebody has undone it.
    rules.push(format!("add \"$out\" -o \"$bridge\" -j {REFUSE}"));
    if network.internet {
        rules.extend(PRIVATE.iter().map(|private| format!("add \"$out\" -d {private} -j {REFUSE}")));
        rules.push("add \"$out\" -j RETURN".to_owned());
    } else {
        rules.push(format!("add \"$out\" -j {REFUSE}"));
    }
    rules.push(format!("add \"$in\" -j {REFUSE}"));
    rules
}

fn matches(destination: &Destination) -> Vec<String> {
    let Destination { address, prefix, port } = destination;
    match port {
        Some(port) => ["tcp", "udp"]
            .map(|protocol| format!("-d {address}/{prefix} -p {protocol} --dport {port}"))
            .into(),
        None => vec![format!("-d {address}/{prefix}")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(internet: bool) -> Network {
        let to = |prefix, port| Destination { address: "192.0.2.0".parse().unwrap(), prefix, port };
        Network { internet, allow: vec![to(24, Some(443))], deny: vec![to(32, None)] }
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rules = rules(&network(true));
        let place = |wanted: &str| rules.iter().position(|rule| rule.contains(wanted)).unwrap();
        let order = [
            "ESTABLISHED",
            "192.0.2.0/32 -j REJECT",
            "names",
            "192.0.2.0/24 -p tcp --dport 443",
            "-o \"$bridge\"",
            "-d 10.0.0.0/8",
        ];
        let places: Vec<usize> = order.map(place).into();
        assert!(places.is_sorted(), "{places:?}");
        assert!(rules.last().unwrap().starts_with("add \"$in\" -j REJECT"), "the host is not the internet");
        assert!(rules.contains(&"add \"$out\" -j RETURN".to_owned()));
        assert!(!super::rules(&network(false)).contains(&"add \"$out\" -j RETURN".to_owned()));
    }

    #[test]
    fn the_script_is_one() {
        let script = script("lab", &network(true));
        let checked = std::process::Command::new("sh").args(["-n", "-c", &script]).status().unwrap();
        assert!(checked.success(), "{script}");
        assert!(script.ends_with("esac\n"));
    }
}
