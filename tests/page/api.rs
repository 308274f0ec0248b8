//! The API and its own document: schemathesis tries what the document allows, and what it does not.

use std::process::Command;

use serde_json::{Value, json};

use crate::common::{Plan, SOON, eventually, run};
use crate::raw::{Visitor, ask};
use crate::site::{Site, token};

fn tool(name: &str) -> Command {
    let install = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/page/install");
    let folder = run(&mut Command::new(install), b"").success().stdout;
    Command::new(format!("{}/bin/{name}", folder.trim()))
}

/// The answer is what the document says of it.
#[track_caller]
fn is_described(site: &Site, path: &str, answer: &Value) {
    const SCRIPT: &str = "import json, sys, jsonschema_rs\n\
        document, place, answer = json.load(sys.stdin)\n\
        schema = {**document, '$ref': place, '$schema': 'https://json-schema.org/draft/2020-12/schema'}\n\
        jsonschema_rs.validate(schema, answer)\n";
    let document = ask(&site.url, "GET", "/api/v1/openapi.json", &[], "").body;
    let document: Value = serde_json::from_str(&document).unwrap();
    let place =
        format!("#/paths/{}/get/responses/200/content/application~1json/schema", path.replace('/', "~1"));
    assert!(document.pointer(&place[1..]).is_some(), "{place}");
    let input = json!([document, place, answer]).to_string();
    let ran = run(tool("python").args(["-c", SCRIPT]), input.as_bytes());
    assert_eq!(ran.status, 0, "{path}: {}\n{answer:#}", ran.stderr);
}

#[test]
fn schemathesis_finds_nothing() {
    let site = Site::start(Plan {
        image: "clusteria/empty:1",
        users: &["boss"],
        // It sends wrong tokens of its own, and wants to be told each time that they are.
        auth: "throttle = { free = 1000 }",
        ..Plan::default()
    });
    site.cluster.cli(&["user", "admin", "boss", "on"]).success();
    let bearer = token(&site, &Visitor::sign_in(&site.url, "boss"));
    let mut command = tool("st");
    command
        .current_dir(site.cluster.folder.path())
        .arg("run")
        .arg(format!("{}/api/v1/openapi.json", site.url));
    command.args(["--header", &format!("Authorization: {bearer}"), "--request-timeout", "60"]);
    command.args(["--phases", "examples,coverage,fuzzing", "--max-examples", "15", "--seed", "1"]);
    let ran = run(&mut command, b"");
    assert_eq!(ran.status, 0, "{}\n{}", ran.stdout, ran.stderr);
    assert!(!ran.stdout.contains("Authentication failed"), "{}", ran.stdout);
}

/// A reservation from its making to its end, and the one who waits for it, by nothing but tokens.
#[test]
fn a_program_reserves_looks_waits_and_gives_back() {
    let site = Site::start(Plan { users: &["ada", "bob"], slots: vec![1], ..Plan::default() });
    let [ada, bob] = ["ada", "bob"].map(|user| token(&site, &Visitor::sign_in(&site.url, user)));
    let call = |bearer: &str, method: &str, path: &str, body: &str| {
        let headers = [("Authorization", bearer), ("Content-Type", "application/json")];
        let answer = ask(&site.url, method, &format!("/api/v1{path}"), &headers, body);
        let facts: Value = serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"));
        (answer.status, facts)
    };
    let (status, made) = call(&ada, "POST", "/reservation", "{}");
    assert_eq!((status, &made["slot"]), (201, &json!("gpu1/1")), "{made}");

    let (_, mine) = call(&ada, "GET", "/reservation", "");
    let known = &mine["reservation"];
    assert!(known["usage"]["processes"]["used"].as_u64() > Some(0), "{mine}");
    assert!(known["limits"].is_object() && known["has_password"] == true, "{mine}");
    is_described(&site, "/reservation", &mine);
    let seen = eventually("others see what is used", SOON, || {
        let (_, cluster) = call(&bob, "GET", "/machines", "");
        let used = cluster["machines"][0]["slots"][0]["usage"].is_object();
        used.then_some(cluster)
    });
    let slot = &seen["machines"][0]["slots"][0];
    assert!(slot["user"] == "ada" && slot["usage"]["at"].is_string(), "{seen}");
    is_described(&site, "/machines", &seen);

    let (status, waits) = call(&bob, "POST", "/queue", r#"{"target":"gpu1"}"#);
    assert_eq!((status, &waits["waiting"]["place"]), (200, &json!(1)), "{waits}");
    assert_eq!(waits["waiting"]["target"], "gpu1", "{waits}");
    let (_, queue) = call(&ada, "GET", "/queue", "");
    assert_eq!(queue["queue"][0]["user"], "bob");
    is_described(&site, "/queue", &queue);
    assert_eq!(call(&ada, "DELETE", "/queue", "").1["error"], "not-queued");
    assert_eq!(call(&ada, "DELETE", "/reservation", "").0, 200);
    eventually("it is their turn", SOON, || {
        let (_, theirs) = call(&bob, "GET", "/reservation", "");
        (theirs["queue"]["held"]["slot"] == "gpu1/1").then_some(())
    });
    let (_, cluster) = call(&bob, "GET", "/machines", "");
    let slot = &cluster["machines"][0]["slots"][0];
    assert!(slot["state"] == "held" && slot["usage"].is_null(), "what ada used is hers: {slot}");
    let (status, left) = call(&bob, "DELETE", "/queue", "");
    assert!(status == 200 && left["waiting"].is_null(), "{left}");
    assert_eq!(call(&bob, "GET", "/queue", "").1["queue"], json!([]));
}
