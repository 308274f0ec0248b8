//! Each refusal of its own.

use super::{MINIMAL, instead, parse, refused, with};

#[test]
fn what_is_not_built_yet_is_said_to_be_so() {
    for (section, line) in [
        ("[web]", "listen = \"127.0.0.1:80\""),
        ("[metrics]", "listen = \"127.0.0.1:80\""),
        ("[audit]", "path = \"audit.jsonl\""),
        ("[auth.ldap]", "url = \"ldaps://example.org\""),
        ("[auth.tailnet]", ""),
        ("[auth.throttle]", ""),
        ("[auth]", "methods = [\"publickey\", \"tailnet\"]"),
        ("[reservation]", "hold = \"5m\""),
        ("[reservation]", "per_user = 2"),
        ("[cluster]", "charter = \"charter.txt\""),
        ("[[machine]]", "engine = \"tcp://gpu2:2376\""),
        ("[[machine]]", "engine = \"ssh://gpu2\""),
        ("[[machine]]", "agent = \"tls\""),
    ] {
        refused(&with(section, line), "not supported by this version of clusteria");
    }
    refused(&with("[auth.ldap]", ""), "[auth.ldap] is not");
    refused(&with("[cluster]", "charter = \"x\""), "[cluster] charter is not");
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
