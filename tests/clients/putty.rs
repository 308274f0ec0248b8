//! PuTTY's plink, psftp and pscp.

use std::io::Write;
use std::process::Command;

use super::ask::Ask;
use super::client::Client;
use super::place::Place;
use crate::common::Cluster;

pub struct Putty;

impl Client for Putty {
    fn name(&self) -> &'static str {
        "PuTTY"
    }

    fn wants_terminal(&self) -> bool {
        true
    }

    fn command(&self, place: &Place, ask: &Ask) -> Command {
        match ask.way() {
            "sftp" => psftp(place, ask),
            "scp" => pscp(place, ask),
            _ => plink(place, ask),
        }
    }
}

fn base(program: &str, place: &Place, ask: &Ask) -> Command {
    let mut command = Command::new(program);
    command.args(["-batch", "-P", &place.port().to_string()]);
    if ask.has("password") {
        command.args(["-pw", ask.text("password")]);
    } else {
        command.arg("-i").arg(place.cluster.path("ada.ppk"));
    }
    for fingerprint in &place.fingerprints {
        command.args(["-hostkey", fingerprint]);
    }
    // It keeps its settings in a folder of its own: ours, not the user's.
    command.env("PUTTYDIR", place.cluster.path("putty"));
    command
}

fn plink(place: &Place, ask: &Ask) -> Command {
    let mut command = base("plink", place, ask);
    command.arg("-ssh");
    let mut remote = Vec::new();
    match ask.way() {
        "session" => {
            command.arg(if ask.has("term") { "-t" } else { "-T" });
            remote.extend(ask.get("command").and_then(|c| c.as_str()));
        }
        "local" => {
            let (listen, port) = (ask.number("listen"), ask.number("to_port"));
            command.args(["-N", "-L", &format!("127.0.0.1:{listen}:{}:{port}", ask.text("to_host"))]);
        }
        "remote" => {
            let (there, here) = (ask.number("port_there"), ask.number("to_port"));
            command.args(["-N", "-v", "-R", &format!("127.0.0.1:{there}:127.0.0.1:{here}")]);
        }
        "socks" => {
            command.args(["-N", "-D", &format!("127.0.0.1:{}", ask.number("listen"))]);
        }
        "stdio" => {
            command.args(["-nc", &format!("{}:{}", ask.text("to_host"), ask.number("to_port"))]);
        }
        other => panic!("plink has no way to do {other}"),
    }
    if let Some(term) = ask.get("term") {
        command.env("TERM", term.as_str().unwrap());
    }
    if ask.has("agent") {
        command.arg("-A");
    }
    if ask.has("x11") {
        command.arg("-X").env("DISPLAY", format!(":{}", ask.number("display")));
    }
    command.arg(Cluster::host("ada")).args(remote);
    command
}

fn pscp(place: &Place, ask: &Ask) -> Command {
    let mut command = base("pscp", place, ask);
    command.args(["-q", "-r", "-p", if ask.has("legacy") { "-scp" } else { "-sftp" }]);
    for side in ["from", "to"] {
        let path = ask.text(side);
        command.arg(if path.starts_with(':') {
            format!("{}{path}", Cluster::host("ada"))
        } else {
            path.to_owned()
        });
    }
    command
}

fn psftp(place: &Place, ask: &Ask) -> Command {
    let mut command = base("psftp", place, ask);
    let steps = ask.steps();
    let lines: Vec<_> = steps.iter().map(|step| line(step)).collect();
    let mut file =
        tempfile::Builder::new().prefix("batch-").tempfile_in(place.cluster.folder.path()).unwrap();
    writeln!(file, "{}\nquit", lines.join("\n")).unwrap();
    if steps.iter().any(|step| step[0] == "refused") {
        command.arg("-be");
    }
    command.arg("-b").arg(file.into_temp_path().keep().unwrap()).arg(Cluster::host("ada"));
    command
}

/// A step in psftp's words.
fn line(step: &[String]) -> String {
    let words: Vec<&str> = step.iter().map(String::as_str).collect();
    match words[..] {
        ["resume-put", here, there] => format!("reput {here} {there}"),
        ["resume-get", there, here] => format!("reget {there} {here}"),
        ["remove", path] => format!("rm {path}"),
        ["rename", old, new] => format!("mv {old} {new}"),
        ["stat" | "list", path] => format!("ls {path}"),
        ["refused", ..] => line(&step[1..]),
        _ => step.join(" "),
    }
}
