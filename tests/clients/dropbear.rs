//! Dropbear's dbclient. For files OpenSSH's sftp and scp run over it, as people do who have only dropbear.

use std::process::Command;

use super::ask::Ask;
use super::client::Client;
use super::openssh;
use super::place::Place;
use crate::common::Cluster;

pub struct Dropbear;

impl Client for Dropbear {
    fn name(&self) -> &'static str {
        "dbclient"
    }

    fn wants_terminal(&self) -> bool {
        true
    }

    fn command(&self, place: &Place, ask: &Ask) -> Command {
        match ask.way() {
            "sftp" => {
                let mut command = Command::new("sftp");
                let through = format!("{} -s {} sftp", line(place).join(" "), Cluster::host("ada"));
                command.args(["-q", "-b", &openssh::batch(place, ask), "-D", &through]);
                command
            }
            "scp" => scp(place, ask),
            _ => dbclient(place, ask),
        }
    }
}

/// dbclient and the options it always needs. -y twice: any host key.
fn line(place: &Place) -> Vec<String> {
    let key = place.cluster.path("ada.db");
    let port = place.port().to_string();
    ["dbclient", "-y", "-y", "-i", key.to_str().unwrap(), "-p", &port].map(str::to_owned).to_vec()
}

/// OpenSSH's scp gives options that dbclient does not have: a script leaves them out.
fn scp(place: &Place, ask: &Ask) -> Command {
    use std::os::unix::fs::PermissionsExt;
    let script = place.cluster.path("dbclient-for-scp");
    let text = format!(
        "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\nshift 2\nexec {} {} \"$@\"\n",
        line(place).join(" "),
        Cluster::host("ada")
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut command = Command::new("scp");
    command.arg("-S").arg(script).args(openssh::scp(place, ask).get_args());
    command
}

fn dbclient(place: &Place, ask: &Ask) -> Command {
    let mut words = line(place);
    if ask.has("password") {
        words.drain(3..5);
    }
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
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
            command.args(["-N", "-R", &format!("127.0.0.1:{there}:127.0.0.1:{here}")]);
        }
        "stdio" => {
            command.args(["-B", &format!("{}:{}", ask.text("to_host"), ask.number("to_port"))]);
        }
        "jump" => {
            let first = format!(
                "{} -B 127.0.0.1:{} {}",
                words.join(" "),
                ask.number("to_port"),
                Cluster::host("ada")
            );
            command.args(["-J", &first]);
            remote.push(ask.text("command"));
        }
        other => panic!("dbclient has no way to do {other}"),
    }
    if let Some(term) = ask.get("term") {
        command.env("TERM", term.as_str().unwrap());
    }
    if ask.has("agent") {
        command.arg("-A");
    }
    if ask.has("keepalive") {
        command.args(["-K", &ask.number("keepalive").to_string()]);
    }
    if ask.has("password") {
        command.env("DROPBEAR_PASSWORD", ask.text("password"));
    }
    command.arg(Cluster::host("ada")).args(remote);
    command
}
