//! Each refusal of its own.

use std::path::Path;

use super::{MINIMAL, instead, parse, refused, with};
use crate::config::EngineAddress;

#[test]
fn what_is_not_built_yet_is_said_to_be_so() {
    for (section, line) in [("[audit]", "record = true"), ("[reservation]", "per_user = 2")] {
        refused(&with(section, line), "not supported by this version of clusteria");
    }
}

#[test]
fn machines_elsewhere_must_be_safe_and_reachable() {
    for (lines, why) in [
        ("engine = \"tcp://gpu2:2376\"\nagent = \"unix\"", "makes everybody who reaches it root there"),
        ("engine = \"tcp://gpu2\"", "write it like \"tcp://gpu2:2376\""),
        ("engine = \"tcp://gpu2:0\"", "write it like \"tcp://gpu2:2376\""),
        ("engine = \"ssh://-oProxyCommand=x\"", "write it like \"ssh://docker@gpu2\""),
        ("engine = \"ssh://a b@gpu2\"", "write it like \"ssh://docker@gpu2\""),
        ("engine = \"http://gpu2:2375\"", "is not an engine's address"),
        ("engine = \"ssh://gpu2\"", "agent is required for an engine elsewhere"),
        ("engine = \"ssh://gpu2\"\nagent = \"tls\"", "address is required with agent"),
        ("engine = \"ssh://gpu2\"\nagent = \"tls\"\naddress = \"0.0.0.0\"", "not one address of the machine"),
        ("agent = \"tls\"\naddress = \"192.0.2.1\"\nagent_port = 0", "out of range"),
        ("address = \"192.0.2.1\"", "address: it is for agent = \"tls\""),
        ("tls = { ca = \"a\", cert = \"b\", key = \"c\" }", "it is for an engine at tcp://"),
        ("engine = \"tcp://g:1\"\nagent = \"unix\"\ntls = { ca = \"a\", cert = \"b\" }", "key is required"),
    ] {
        refused(&with("[[machine]]", lines), why);
    }
    let second = "[[machine]]\nname = \"gpu2\"\nagent = \"tls\"\naddress = \"192.0.2.1\"\n[[machine.slot]]\n";
    let first = with("[[machine]]", "agent = \"tls\"\naddress = \"192.0.2.1\"");
    refused(&format!("{first}\n{second}"), "would both be at 192.0.2.1:61022");
    let last = second.replace("address", "agent_port = 65535\naddress") + "[[machine.slot]]\n";
    refused(&format!("{MINIMAL}\n{last}"), "gpu2/2 is left without a port");
}

#[test]
fn machines_elsewhere_are_read() {
    let lines = "engine = \"tcp://gpu2:2376\"\nagent = \"tls\"\naddress = \"100.64.0.12\"\n\
                 tls = { ca = \"ca.pem\", cert = \"/c/cert.pem\", key = \"/c/key.pem\" }";
    let machine = parse(&with("[[machine]]", lines)).unwrap().machines.remove(0);
    let EngineAddress::Tcp { host, port, tls: Some(tls) } = &machine.engine else { panic!("{machine:?}") };
    assert_eq!((host.as_str(), *port), ("gpu2", 2376));
    assert_eq!(tls.key, Path::new("/c/key.pem"));
    let published = machine.agent.published(&machine.slots[0].id);
    assert_eq!(published, Some("100.64.0.12:61022".parse().unwrap()));
    for (engine, expected) in [
        ("ssh://gpu2", (None, "gpu2", None)),
        ("ssh://docker@gpu2:2222/", (Some("docker"), "gpu2", Some(2222))),
        ("ssh://[2001:db8::7]", (None, "2001:db8::7", None)),
    ] {
        let lines = format!("engine = \"{engine}\"\nagent = \"unix\"");
        let machine = parse(&with("[[machine]]", &lines)).unwrap().machines.remove(0);
        let EngineAddress::Ssh(host) = &machine.engine else { panic!("{machine:?}") };
        assert_eq!((host.user.as_deref(), host.host.as_str(), host.port), expected);
    }
    parse(&with("[[machine]]", "engine = \"tcp://127.0.0.1:2375\"")).unwrap();
}

#[test]
fn unknown_keys_and_sections_are_refused_with_a_hint() {
    refused(&with("[shh]", ""), "[shh]: unknown section; did you mean ssh?");
    refused(&with("[[mounts]]", "target = \"/x\""), "did you mean mount?");
    refused(&with("[ssh]", "host-keys = \"x\""), "did you mean host_keys?");
    refused(&with("[auth]", "login_grace = \"1s\""), "it belongs in [ssh]");
    refused(&with("[store]", "colour = 1"), "[store] colour: unknown key; known here: path, runtime");
    refused(&with("[[machine.slot]]", "gpu = [\"0\"]"), "did you mean gpus?");
    refused(&format!("cpus = 1\n{MINIMAL}"), "unknown key outside of any section; it belongs in [container]");
    refused(&with("[ssh]", "listen = [{ adress = \"127.0.0.1:1\", address = \"127.0.0.1:2\" }]"), "address?");
}

#[test]
fn wrong_types_and_shapes_are_refused() {
    refused(&with("[ssh]", "login_grace = 30"), "a bare number does not say its unit");
    refused(&with("[container]", "memory = 8000000000"), "a bare number does not say its unit");
    refused(&with("[ssh]", "listen = \"127.0.0.1:2222\""), "it must be a list");
    refused(&with("[ssh]", "max_connections = \"many\""), "it must be a whole number, not a string");
    refused(&with("[container]", "env = [\"A=1\"]"), "it must be a table");
    refused(
        &with("[container]", "env = { A = 1 }"),
        "[container] env.A: it must be a string, not an integer",
    );
    refused(&with("[[ssh]]", "keepalive = \"30s\""), "[ssh] is one table");
    refused(&with("[mount]", "target = \"/x\""), "[[mount]] is a list");
    refused(&instead("[[machine.slot]]", "[machine.slot]"), "[[machine.slot]] is a list");
    refused(
        &instead("[[machine]]", "[machine]").replace("[[machine.slot]]\ngpus = [\"0\"]", ""),
        "two brackets",
    );
}

#[test]
fn required_keys_are_required() {
    refused(&instead("name = \"lab\"", ""), "[cluster] name is required");
    refused(&instead("image = \"ubuntu:24.04\"", ""), "[container] image is required");
    refused(&instead("name = \"gpu1\"", ""), "[[machine]] name is required");
    refused(&instead("[[machine.slot]]\ngpus = [\"0\"]", ""), "[[machine]] has no slot");
    refused(&with("[[mount]]", "target = \"/x\""), "neither source nor nfs");
    refused(&with("[[mount]]", "source = \"/x\""), "[[mount]] target is required");
    refused(&with("[ssh]", "listen = [{ machine = \"gpu1\" }]"), "[ssh] listen address is required");
}

#[test]
fn listeners_exist_once() {
    refused(&with("[ssh]", "listen = []"), "the list is empty");
    refused(&with("[ssh]", "listen = [\"localhost:22\"]"), "is not an IP address with a port");
    refused(
        &with("[ssh]", "listen = [\"1.2.3.4:22\", { address = \"1.2.3.4:22\" }]"),
        "1.2.3.4:22 is there twice",
    );
    refused(&with("[ssh]", "listen = [\"0.0.0.0:22\", \"1.2.3.4:22\"]"), "collide");
    refused(
        &with("[ssh]", "listen = [{ address = \"1.2.3.4:22\", machine = \"gpu2\" }]"),
        "there is no [[machine]] named gpu2; did you mean gpu1?",
    );
    let text = "listen = [\"127.0.0.1:0\", \"127.0.0.1:0\", \"[::]:22\", { address = \"0.0.0.0:22\", machine = \"gpu1\" }]";
    let listen = parse(&with("[ssh]", text)).unwrap().ssh.listen;
    assert_eq!(listen.len(), 4);
    assert_eq!(listen[3].machine.as_ref().unwrap().as_str(), "gpu1");
}

#[test]
fn methods_are_known_and_there_once() {
    refused(&with("[auth]", "methods = []"), "nobody could log in");
    refused(&with("[auth]", "methods = [\"publickey\", \"publickey\"]"), "is there twice");
    refused(&with("[auth]", "methods = [\"kerberos\"]"), "is not a method");
    refused(&with("[auth]", "methods = [\"ldap\"]"), "is not a method of its own");
    refused(&with("[auth]", "methods = [\"tailnet\"]"), "[auth.tailnet] domains is required");
}

#[test]
fn directories_are_found_one_way_and_never_in_the_clear() {
    let ldap = |lines: &str| with("[auth.ldap]", lines);
    let urls = "urls = [\"ldaps://a.example.org\"]\n";
    let base = "base = \"dc=example\"\n";
    refused(&ldap(base), "[auth.ldap] urls is required");
    refused(&ldap(urls), "neither user_dn");
    refused(&ldap(&format!("{urls}{base}user_dn = \"uid={{user}}\"")), "write one of user_dn");
    refused(&ldap(&format!("{urls}user_dn = \"uid=ada\"")), "does not have {user} once");
    refused(&ldap(&format!("{urls}{base}bind_dn = \"cn=x\"")), "go together");
    refused(&ldap(&format!("{urls}{base}key_attribute = \"a)(b\"")), "is not an attribute");
    for url in ["http://x", "ldaps://", "ldap://a/dc=x", "ldap1.example.org"] {
        refused(&ldap(&format!("urls = [\"{url}\"]\n{base}")), "is not a directory's address");
    }
    let found = parse(&ldap(&format!("{urls}{base}"))).unwrap().auth.ldap.unwrap();
    assert_eq!(found.key_attribute, "sshPublicKey");
}

#[test]
fn who_is_who_on_the_tailnet_is_said_clearly() {
    let tailnet = |line: &str| with("[auth.tailnet]", line);
    refused(&tailnet("domains = [\"@example.org\"]"), "is not a domain");
    refused(&tailnet("users = { \"a@b\" = \"Ada L\" }"), "is not a user name");
    refused(&tailnet("timeout = \"1m\""), "out of range");
    let users = parse(&tailnet("users = { \"a@b\" = \"ada\" }")).unwrap().auth.tailnet.users;
    assert_eq!(users, [("a@b".to_owned(), "ada".parse().unwrap())]);
}

#[test]
fn waits_second_factors_and_charters_are_checked() {
    refused(&with("[auth.throttle]", "free = 0"), "0 is out of range");
    refused(&with("[auth.throttle]", "max_delay = \"1d\""), "out of range");
    refused(&with("[auth.totp]", "required = \"students\""), "is none of");
    refused(&with("[auth.totp]", "after = []"), "nobody is ever asked");
    refused(&with("[cluster]", "charter = { en = \"a.md\" }"), "[cluster] charter fr is required");
    refused(&with("[audit]", "path = 1"), "it must be a string");
}

#[test]
fn machines_and_slots_are_named_once() {
    let twice = format!("{MINIMAL}[[machine]]\nname = \"gpu1\"\n[[machine.slot]]\n");
    refused(&twice, "two machines are named gpu1");
    refused(&instead("name = \"gpu1\"", "name = \"GPU 1\""), "is not a machine name");
    refused(&with("[[machine]]", "label = \"a\\u001b[31m\""), "control characters");
    refused(&with("[[machine]]", "engine = \"/var/run/docker.sock\""), "write it like \"unix://");
    for gpus in ["\"\"", "\"0,1\"", "\"0 1\"", "\"0\\n\""] {
        refused(&instead("gpus = [\"0\"]", &format!("gpus = [{gpus}]")), "is not one GPU");
    }
    refused(&instead("gpus = [\"0\"]", "gpus = [\"0\", \"0\"]"), "\"0\" is there twice");
    let shared = parse(&format!("{MINIMAL}[[machine.slot]]\ngpus = [\"0\"]\n")).unwrap();
    let ids: Vec<String> = shared.machines[0].slots.iter().map(|slot| slot.id.to_string()).collect();
    assert_eq!(ids, ["gpu1/1", "gpu1/2"]);
}
