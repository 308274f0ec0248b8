//! OpenSSH user certificates, made by ssh-keygen: each thing right and wrong, with the real client.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Cluster, Plan, Ran, Running, SOON, eventually, run};

/// A cluster that trusts one authority, and a key of nobody's that certificates are made for.
struct Office {
    cluster: Cluster,
}

impl Office {
    fn open() -> Self {
        let plan = Plan { auth: "user_ca = [\"ca.pub\"]", ..Plan::default() };
        let mut cluster = Cluster::prepare(&plan);
        for name in ["ca", "other-ca", "holder"] {
            keygen(&["-q", "-t", "ed25519", "-N", "", "-f", cluster.path(name).to_str().unwrap()]);
        }
        cluster.start_gateway();
        Self { cluster }
    }

    /// A certificate for the holder's key, signed by `ca`.
    fn certificate(&self, name: &str, ca: &str, options: &[&str]) -> PathBuf {
        let public = self.cluster.path(&format!("{name}.pub"));
        std::fs::copy(self.cluster.path("holder.pub"), &public).unwrap();
        let ca = self.cluster.path(ca);
        let mut words = vec!["-q", "-s", ca.to_str().unwrap(), "-I", name];
        words.extend(options);
        words.push(public.to_str().unwrap());
        keygen(&words);
        self.cluster.path(&format!("{name}-cert.pub"))
    }

    fn command(&self, certificate: &Path, options: &[&str], words: &[&str]) -> Command {
        let mut command = Command::new("ssh");
        command
            .args(["-o", &format!("IdentityFile={}", self.cluster.path("holder").display())])
            .args(["-o", &format!("CertificateFile={}", certificate.display())])
            .args(["-o", "PreferredAuthentications=publickey", "-o", "LogLevel=INFO"])
            .args(self.cluster.options("nobody"))
            .args(["-p", &self.cluster.port.to_string()])
            .args(options)
            .arg(Cluster::host("ada"))
            .args(words)
            .env_remove("SSH_AUTH_SOCK");
        command
    }

    fn ssh(&self, certificate: &Path, options: &[&str], words: &[&str]) -> Ran {
        run(&mut self.command(certificate, options, words), b"")
    }

    #[track_caller]
    fn opens(&self, name: &str, options: &[&str]) {
        let certificate = self.certificate(name, "ca", options);
        let ran = self.ssh(&certificate, &[], &["clusteria", "status", "--json"]).success();
        assert!(ran.stdout.contains("\"user\":\"ada\""), "{ran:?}");
    }

    #[track_caller]
    fn is_refused(&self, name: &str, ca: &str, options: &[&str], why: &str) {
        let certificate = self.certificate(name, ca, options);
        let ran = self.ssh(&certificate, &[], &["clusteria", "status"]);
        assert!(ran.status == 255 && ran.stderr.contains("Permission denied"), "{name}: {ran:?}");
        eventually(&format!("{name}: the log says {why}"), SOON, || {
            self.cluster.log().contains(why).then_some(())
        });
    }
}

fn keygen(words: &[&str]) {
    assert!(Command::new("ssh-keygen").args(words).status().unwrap().success(), "{words:?}");
}

#[test]
fn a_certificate_opens_for_the_right_person_at_the_right_time_and_place() {
    let office = Office::open();
    office.opens("plain", &["-n", "ada"]);
    office.opens("several", &["-n", "bob,ada"]);
    office.opens("now", &["-n", "ada", "-V", "-1h:+1h"]);
    office.opens("here", &["-n", "ada", "-O", "source-address=10.0.0.0/8,127.0.0.0/8"]);
    let refused = |name: &str, options: &[&str], why: &str| office.is_refused(name, "ca", options, why);
    refused("bob", &["-n", "bob"], "not among its principals");
    refused("anybody", &[], "not among its principals");
    refused("early", &["-n", "ada", "-V", "+1h:+2h"], "");
    refused("late", &["-n", "ada", "-V", "-2h:-1h"], "");
    refused("there", &["-n", "ada", "-O", "source-address=10.0.0.0/8"], "not from this address");
    refused("odd", &["-n", "ada", "-O", "critical:new@example.org=x"], "critical option new@example.org");
    refused("host", &["-h", "-n", "ada"], "");
    office.is_refused("stranger", "other-ca", &["-n", "ada"], "not in [auth] user_ca");
    // The key alone is nobody's, and a certificate without its private key is nothing.
    let bare = office.ssh(&office.cluster.path("none-cert.pub"), &[], &["clusteria", "status"]);
    assert!(bare.status == 255 && bare.stderr.contains("Permission denied"), "{bare:?}");
    assert!(office.cluster.log().contains("method=\"certificate\""));
}

#[test]
fn rsa_and_ecdsa_authorities_and_holders_are_taken_too() {
    let office = Office::open();
    for (kind, name) in [("rsa", "by-rsa"), ("ecdsa", "by-ecdsa")] {
        let key = office.cluster.path(name);
        keygen(&["-q", "-t", kind, "-N", "", "-f", key.to_str().unwrap()]);
        let public = key.with_extension("pub");
        keygen(&[
            "-q",
            "-s",
            office.cluster.path("ca").to_str().unwrap(),
            "-I",
            name,
            "-n",
            "ada",
            public.to_str().unwrap(),
        ]);
        let mut command = Command::new("ssh");
        command
            .args(["-o", &format!("IdentityFile={}", key.display())])
            .args(["-o", "PreferredAuthentications=publickey"])
            .args(office.cluster.options("nobody"))
            .args(["-p", &office.cluster.port.to_string(), &Cluster::host("ada")])
            .args(["clusteria", "status"])
            .env_remove("SSH_AUTH_SOCK");
        run(&mut command, b"").success();
    }
}

#[test]
fn a_certificate_says_what_may_be_done() {
    let office = Office::open();
    office.cluster.ssh("ada").run("clusteria reserve gpu1/1").success();
    let all = office.certificate("all", "ca", &["-n", "ada"]);
    let none = office.certificate("none", "ca", &["-n", "ada", "-O", "clear"]);
    let forced = office.certificate(
        "forced",
        "ca",
        &["-n", "ada", "-O", "force-command=echo forced: $SSH_ORIGINAL_COMMAND"],
    );

    let tty = |certificate: &Path| {
        office.ssh(certificate, &["-tt"], &["tty >/dev/null && echo terminal || echo none"])
    };
    assert_eq!(tty(&all).success().stdout, "terminal\r\n");
    let without = tty(&none);
    assert!(without.status == 255 && without.stderr.contains("PTY allocation request failed"), "{without:?}");
    assert_eq!(office.ssh(&none, &[], &["echo", "in"]).success().stdout, "in\n");

    // Port 9 of the container has nobody: to be refused by it is to have come through.
    let through = |certificate: &Path| office.ssh(certificate, &["-W", "127.0.0.1:9"], &[]).stderr;
    assert!(through(&all).contains("connect failed"), "{}", through(&all));
    assert!(through(&none).contains("administratively prohibited"), "{}", through(&none));
    let back = |certificate: &Path| {
        let options = ["-R", "0:127.0.0.1:9", "-o", "ExitOnForwardFailure=yes"];
        office.ssh(certificate, &options, &["echo", "in"])
    };
    assert_eq!(back(&all).success().stdout, "in\n");
    assert!(back(&none).stderr.contains("remote port forwarding failed"), "{:?}", back(&none));

    let socket = office.cluster.path("agent");
    let mut keeper = std::process::Command::new("ssh-agent");
    let _keeper = Running::start(keeper.args(["-D", "-a"]).arg(&socket).stdout(std::process::Stdio::null()));
    eventually("the agent listens", SOON, || socket.exists().then_some(()));
    let lent = format!("-oIdentityAgent={}", socket.display());
    let agent = |certificate: &Path| {
        office.ssh(certificate, &["-A", &lent], &["echo socket=$SSH_AUTH_SOCK"]).success().stdout
    };
    assert!(agent(&all).starts_with("socket=/"), "{}", agent(&all));
    assert_eq!(agent(&none), "socket=\n");

    let ran = office.ssh(&forced, &[], &["rm", "-rf", "/"]).success();
    assert_eq!(ran.stdout, "forced: rm -rf /\n");
    let sftp = office.ssh(&forced, &["-s"], &["sftp"]).success();
    assert_eq!(sftp.stdout, "forced: sftp\n");
    // What ends by itself makes nothing that lasts, whatever else it allows.
    let enrol = office.ssh(&all, &[], &["clusteria", "key", "add", "ssh-ed25519 AAAA"]);
    assert!(enrol.status == 1 && enrol.stderr.contains("certificate"), "{enrol:?}");
    // A key has no such limits.
    let key = office.cluster.ssh("ada").option("-tt").run("tty >/dev/null && echo terminal");
    assert_eq!(key.success().stdout, "terminal\r\n");
}

#[test]
fn an_authority_that_cannot_be_read_stops_the_start() {
    let plan = Plan { auth: "user_ca = [\"missing.pub\"]", ..Plan::default() };
    let cluster = Cluster::prepare(&plan);
    let ran = cluster.cli(&["serve"]);
    assert!(
        ran.status != 0 && ran.stderr.contains("[auth] user_ca") && ran.stderr.contains("missing.pub"),
        "{ran:?}"
    );
}
