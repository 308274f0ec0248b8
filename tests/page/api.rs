//! The API and its own document: schemathesis tries what the document allows, and what it does not.

use std::process::Command;

use crate::common::{Plan, run};
use crate::raw::Visitor;
use crate::site::{Site, token};

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
    let install = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/page/install");
    let folder = run(&mut Command::new(install), b"").success().stdout;
    let mut command = Command::new(format!("{}/bin/st", folder.trim()));
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
