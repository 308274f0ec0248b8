//! OpenSSH's ssh, scp and sftp.

use std::io::Write;
use std::process::Command;

use super::ask::Ask;
use super::client::Client;
use super::place::Place;
use crate::common::Cluster;

pub struct OpenSsh;

impl Client for OpenSsh {
    fn name(&self) -> &'static str {
        "OpenSSH"
    }

    fn wants_terminal(&self) -> bool {
        true
    }

    fn command(&self, place: &Place, ask: &Ask) -> Command {
        match ask.way() {
            "sftp" => sftp(place, ask),
            "scp" => scp(place, ask),
            _ => ssh(place, ask),
        }
    }
}

fn base(program: &str, place: &Place, port_flag: &str) -> Command {
    let mut command = Command::new(program);
    command.args(place.cluster.options("ada")).args([port_flag, &place.port().to_string()]);
    command.env_remove("LANG").env_remove("LC_ALL");
    command
}

fn ssh(place: &Place, ask: &Ask) -> Command {
    let mut command = base("ssh", place, "-p");
    // The first value counts, and ours says nothing below an error.
    if ask.way() == "remote" {
        command = Command::new("ssh");
        command.arg("-oLogLevel=INFO").args(base("ssh", place, "-p").get_args());
    }
    let mut words = Vec::new();
    match ask.way() {
        "session" => {
            command.arg(if ask.has("term") { "-tt" } else { "-T" });
            words.extend(ask.get("command").and_then(|c| c.as_str()));
        }
        "local" => {
            let (listen, port) = (ask.number("listen"), ask.number("to_port"));
            command.args(["-N", "-L", &format!("127.0.0.1:{listen}:{}:{port}", ask.text("to_host"))]);
        }
        "remote" => {
            let (there, here) = (ask.number("port_there"), ask.number("to_port"));
            command.args(["-N", "-oExitOnForwardFailure=yes"]);
            command.args(["-R", &format!("127.0.0.1:{there}:127.0.0.1:{here}")]);
        }
        "socks" => {
            command.args(["-N", "-D", &format!("127.0.0.1:{}", ask.number("listen"))]);
        }
        "stdio" => {
            command.args(["-W", &format!("{}:{}", ask.text("to_host"), ask.number("to_port"))]);
        }
        "unix-local" => {
            command.args(["-N", "-L", &format!("{}:{}", ask.text("path_here"), ask.text("path_there"))]);
        }
        "unix-remote" => {
            command.args(["-N", "-R", &format!("{}:{}", ask.text("path_there"), ask.text("path_here"))]);
        }
        "jump" => {
            // -J reads no options from here for the first hop: the same thing spelled out.
            let first = format!("{} -W %h:%p {}", place.ssh_line(), Cluster::host("ada"));
            // The first port counts.
            command = Command::new("ssh");
            command.args(["-p", &ask.number("to_port").to_string(), "-o", &format!("ProxyCommand={first}")]);
            command.args(place.cluster.options("ada"));
            words.push(ask.text("command"));
        }
        other => panic!("OpenSSH has no way to do {other}"),
    }
    for (name, value) in ask.get("env").and_then(|e| e.as_object()).into_iter().flatten() {
        command.args(["-o", &format!("SendEnv={name}")]).env(name, value.as_str().unwrap());
    }
    if let Some(term) = ask.get("term") {
        command.env("TERM", term.as_str().unwrap());
    }
    for (word, option) in [("rekey", "RekeyLimit"), ("keepalive", "ServerAliveInterval")] {
        if ask.has(word) {
            command.args(["-o", &format!("{option}={}", ask.number(word))]);
        }
    }
    if ask.has("agent") {
        command.arg("-A");
    }
    if ask.has("x11") {
        command.arg("-Y").env("DISPLAY", format!(":{}", ask.number("display")));
    }
    if ask.has("password") {
        let method = if ask.has("interactive") { "keyboard-interactive" } else { "password" };
        command.args(["-o", &format!("PreferredAuthentications={method}"), "-o", "IdentityFile=none"]);
        command.env("SSH_ASKPASS", askpass(place, ask.text("password"))).env("SSH_ASKPASS_REQUIRE", "force");
    }
    command.arg(Cluster::host("ada")).args(words);
    command
}

/// A program that says the password, as an editor's own does.
pub fn askpass(place: &Place, password: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = place.cluster.path(&format!("askpass-{password}"));
    let mut file = std::fs::File::create(&path).unwrap();
    write!(file, "#!/bin/sh\necho '{password}'\n").unwrap();
    file.set_permissions(std::fs::Permissions::from_mode(0o700)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Also for dbclient, whose own scp is this one.
pub fn scp(place: &Place, ask: &Ask) -> Command {
    let mut command = base("scp", place, "-P");
    command.args(["-q", "-r", "-p"]);
    if ask.has("legacy") {
        command.arg("-O");
    }
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

fn sftp(place: &Place, ask: &Ask) -> Command {
    let mut command = base("sftp", place, "-P");
    command.args(["-q", "-b", &batch(place, ask)]).arg(Cluster::host("ada"));
    command
}

/// The steps in the words of OpenSSH's sftp, in a file.
pub fn batch(place: &Place, ask: &Ask) -> String {
    let lines: Vec<_> = ask.steps().iter().map(|step| line(step)).collect();
    let mut file =
        tempfile::Builder::new().prefix("batch-").tempfile_in(place.cluster.folder.path()).unwrap();
    writeln!(file, "{}", lines.join("\n")).unwrap();
    file.into_temp_path().keep().unwrap().to_str().unwrap().to_owned()
}

fn line(step: &[String]) -> String {
    let words: Vec<&str> = step.iter().map(String::as_str).collect();
    match words[..] {
        ["resume-put", here, there] => format!("reput {here} {there}"),
        ["resume-get", there, here] => format!("reget {there} {here}"),
        ["remove", path] => format!("rm {path}"),
        ["rename", old, new] => format!("rename -l {old} {new}"),
        ["replace", old, new] => format!("rename {old} {new}"),
        ["symlink", target, link] => format!("symlink {target} {link}"),
        ["stat", path] => format!("ls -ln {path}"),
        ["list", path] => format!("ls -1 {path}"),
        ["statvfs", path] => format!("df {path}"),
        ["refused", ..] => format!("-{}", line(&step[1..])),
        _ => step.join(" "),
    }
}
