//! Several machines, each with an engine of its own: everything works from afar, faults are said, and nobody is lost.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

#[path = "machines/everything.rs"]
mod everything;
#[path = "machines/pretenders.rs"]
mod pretenders;

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::engines::{Engines, Machine, make_authority, make_certificate};
use common::{Cluster, Plan, Running, SOON, eventually};

/// An engine that hangs is asked for 10 s, every 15 s.
const FOUND_OUT: Duration = Duration::from_secs(45);

fn plan(machines: String) -> Plan {
    Plan { slots: Vec::new(), more: machines, users: &["ada", "bob"], tls: false, ..Plan::default() }
}

/// Why a machine is offline.
fn offline(cluster: &Cluster, machine: &str) -> Option<String> {
    let view = cluster.ssh("bob").run("clusteria machines --json").success().stdout;
    let view: serde_json::Value = serde_json::from_str(&view).unwrap();
    let all = view["machines"].as_array().unwrap();
    let found = all.iter().find(|one| one["name"] == machine).unwrap();
    found["offline"].as_str().map(str::to_owned)
}

#[track_caller]
fn goes_offline(cluster: &Cluster, machine: &str, reason: &str) {
    let said = eventually(&format!("{machine} is offline"), FOUND_OUT, || offline(cluster, machine));
    assert!(said.to_lowercase().contains(reason), "{reason} expected: {said}");
    works(cluster, "bob");
}

#[track_caller]
fn is_back(cluster: &Cluster, machine: &str) {
    eventually(&format!("{machine} is back"), FOUND_OUT, || {
        offline(cluster, machine).is_none().then_some(())
    });
}

#[track_caller]
fn works(cluster: &Cluster, user: &str) {
    let ran = cluster.ssh(user).run_with_input("cat; echo err >&2; exit 7", b"in");
    let all = (ran.status, ran.stdout.as_str(), ran.stderr.as_str());
    assert_eq!(all, (7, "in", "err\n"), "{user}\n{}", cluster.log());
}

/// The fixture itself: what the other tests, and the chaos suite, stand on.
#[test]
fn machines_fail_and_return_and_leave_nothing_behind() {
    let engines = Engines::start(3);
    let [one, two, three] = &engines.machines[..] else { panic!("not three") };
    for machine in [one, two, three] {
        let run = ["run", "-d", "--name", "job", "--entrypoint", "/bin/sleep", "clusteria/try:1", "1000"];
        machine.docker(&run);
        assert_eq!(machine.docker(&["ps", "--format", "{{.Names}}"]), "job\n");
    }
    let pid = |machine: &Machine| machine.docker(&["inspect", "-f", "{{.State.Pid}}", "job"]);
    let before = pid(one);
    one.kill_engine();
    one.start_engine();
    assert_eq!(pid(one), before, "live-restore");
    two.freeze();
    two.thaw();
    assert_eq!(two.docker(&["ps", "--format", "{{.Names}}"]), "job\n");
    three.power_off();
    three.start_engine();
    assert_eq!(three.docker(&["ps", "--format", "{{.Names}}"]), "");
    let address = (two.address, common::engines::ENGINE_PORT).into();
    let reach = || TcpStream::connect_timeout(&address, Duration::from_secs(1));
    reach().unwrap();
    two.cut();
    reach().unwrap_err();
    two.join();
    eventually("the link is back", SOON, || reach().ok());
}

#[test]
fn engines_freeze_die_and_are_cut_off_and_nobody_is_lost() {
    let engines = Engines::start(2);
    let mut cluster = Cluster::start(plan(engines.config(1)));
    let gpu2 = engines.machine("gpu2");
    cluster.ssh("ada").run("clusteria reserve gpu2").success();
    cluster.ssh("bob").run("clusteria reserve gpu1").success();
    cluster.ssh("ada").run("echo kept > ~/note").success();
    let deadline = cluster.status("ada")["reservation"]["deadline"].clone();
    the_engine_is_away(&cluster, gpu2);
    the_gateway_and_its_ledger_are_lost(&mut cluster);
    assert_eq!(cluster.status("ada")["reservation"]["deadline"], deadline);
    the_agents_key_is_another(&mut cluster);

    gpu2.power_off();
    goes_offline(&cluster, "gpu2", "connection refused");
    gpu2.start_engine();
    is_back(&cluster, "gpu2");
    let last = eventually("what went with the power is over", FOUND_OUT, || {
        let status = cluster.status("ada");
        status["reservation"].is_null().then(|| status["last"].clone())
    });
    assert_eq!(last["reason"], "failed", "{last}");
    cluster.ssh("ada").run("clusteria reserve gpu2").success();
    works(&cluster, "ada");
}

fn note(cluster: &Cluster) -> String {
    cluster.ssh("ada").run("cat ~/note").stdout
}

/// It hangs, dies, and cannot be reached.
fn the_engine_is_away(cluster: &Cluster, gpu2: &Machine) {
    gpu2.freeze();
    goes_offline(cluster, "gpu2", "no answer within");
    works(cluster, "ada");
    gpu2.thaw();
    is_back(cluster, "gpu2");

    // Killed, not stopped: what runs goes on, and is theirs when the engine is back.
    gpu2.kill_engine();
    goes_offline(cluster, "gpu2", "connection refused");
    works(cluster, "ada");
    gpu2.start_engine();
    is_back(cluster, "gpu2");
    assert_eq!(note(cluster), "kept\n");

    gpu2.cut();
    goes_offline(cluster, "gpu2", "no ");
    let unreachable = cluster.ssh("ada").run("true");
    assert_eq!(unreachable.status, 255, "{unreachable:?}");
    gpu2.join();
    is_back(cluster, "gpu2");
    eventually("it is reachable again", SOON, || (note(cluster) == "kept\n").then_some(()));
}

/// The gateway dies, and then its ledger with it.
fn the_gateway_and_its_ledger_are_lost(cluster: &mut Cluster) {
    cluster.kill_gateway();
    cluster.start_gateway();
    assert_eq!(note(cluster), "kept\n");
    cluster.kill_gateway();
    for file in fs::read_dir(cluster.path("ledger")).unwrap().flatten() {
        if file.file_name().to_string_lossy().starts_with("clusteria.db") {
            fs::remove_file(file.path()).unwrap();
        }
    }
    for user in ["ada", "bob"] {
        let key = cluster.path(&format!("{user}.key.pub"));
        cluster.cli(&["user", "add", user, "--no-password"]).success();
        cluster.cli(&["user", "key", user, "add", key.to_str().unwrap()]).success();
    }
    cluster.start_gateway();
    assert_eq!(note(cluster), "kept\n");
    works(cluster, "bob");
}

/// An agent that does not know our key is no agent of ours, nor are we its gateway.
fn the_agents_key_is_another(cluster: &mut Cluster) {
    cluster.kill_gateway();
    let (secret, kept) = (cluster.path("ledger/agents.key"), cluster.path("kept.key"));
    assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
    fs::rename(&secret, &kept).unwrap();
    cluster.start_gateway();
    let refused = cluster.ssh("ada").run("cat ~/note");
    assert_eq!((refused.status, refused.stdout.as_str()), (255, ""), "{refused:?}");
    works(cluster, "bob");
    cluster.kill_gateway();
    fs::rename(&kept, &secret).unwrap();
    cluster.start_gateway();
    assert_eq!(note(cluster), "kept\n");
}

#[test]
fn wrong_certificates_are_refused_on_both_sides() {
    let engines = Engines::start(1);
    let gpu1 = &engines.machines[0];
    let other = tempfile::tempdir().unwrap();
    make_authority(other.path());
    make_certificate(other.path(), "client", "clientAuth", None);
    let way = |ca: &Path, client: &Path| {
        let path = |folder: &Path, name: &str| folder.join(name).display().to_string();
        format!(
            "engine = \"{}\"\nagent = \"unix\"\ntls = {{ ca = \"{}\", cert = \"{}\", key = \"{}\" }}\n",
            gpu1.tcp(),
            path(ca, "ca.pem"),
            path(client, "client.pem"),
            path(client, "client-key.pem")
        )
    };
    let machine =
        |name: &str, way: String| format!("[[machine]]\nname = \"{name}\"\n{way}[[machine.slot]]\n");
    let (ours, theirs) = (engines.keys(), other.path());
    let machines = [
        machine("gpu1", way(&ours, &ours)),
        machine("gpu2", way(&ours, theirs)),
        machine("gpu3", way(theirs, &ours)),
    ];
    let cluster = Cluster::start(plan(machines.concat()));
    assert_eq!(offline(&cluster, "gpu1"), None);
    let stranger = offline(&cluster, "gpu2").unwrap();
    assert!(stranger.contains("alert"), "{stranger}");
    let impostor = offline(&cluster, "gpu3").unwrap();
    assert!(impostor.contains("invalid peer certificate"), "{impostor}");
    // This engine shares our file system, whatever the way to it.
    cluster.ssh("bob").run("clusteria reserve gpu1").success();
    works(&cluster, "bob");
}

#[test]
fn an_engine_behind_ssh_is_as_good_as_any() {
    let engines = Engines::start(1);
    let gpu1 = &engines.machines[0];
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    for key in ["host", "client"] {
        let made =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &path(key)]).status();
        assert!(made.unwrap().success());
    }
    fs::copy(path("client.pub"), path("authorized_keys")).unwrap();
    let server = format!(
        "Port 2222\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPidFile none\n\
         PermitRootLogin prohibit-password\nSetEnv DOCKER_HOST={}\n",
        path("host"),
        path("authorized_keys"),
        gpu1.unix()
    );
    fs::write(path("sshd_config"), server).unwrap();
    let known = fs::read_to_string(path("host.pub")).unwrap();
    fs::write(path("known_hosts"), format!("[{}]:2222 {known}", gpu1.address)).unwrap();
    let client = format!("IdentityFile {}\nUserKnownHostsFile {}\n", path("client"), path("known_hosts"));
    fs::write(path("ssh_config"), client).unwrap();
    // The gateway asks the system's ssh; what root's configuration would say is said here.
    fs::create_dir(path("bin")).unwrap();
    fs::write(path("bin/ssh"), format!("#!/bin/sh\nexec /usr/bin/ssh -F {} \"$@\"\n", path("ssh_config")))
        .unwrap();
    fs::set_permissions(path("bin/ssh"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut sshd = Command::new("nsenter");
    sshd.arg(format!("--net=/run/netns/{}", gpu1.namespace())).args([
        "/usr/sbin/sshd",
        "-D",
        "-f",
        &path("sshd_config"),
    ]);
    let server = Running::start(&mut sshd);
    let way = format!("engine = \"ssh://root@{0}:2222\"\nagent = \"tls\"\naddress = \"{0}\"\n", gpu1.address);
    let mut cluster = Cluster::prepare(&plan(gpu1.section(&way, 1)));
    let search = format!("{}:{}", path("bin"), std::env::var("PATH").unwrap());
    cluster.environment.push(("PATH".into(), search.into()));
    cluster.start_gateway();
    is_back(&cluster, "gpu1");
    cluster.ssh("bob").run("clusteria reserve").success();
    works(&cluster, "bob");
    drop(server);
    cluster.kill_gateway();
    cluster.start_gateway();
    let why = offline(&cluster, "gpu1").unwrap();
    assert!(why.contains("ssh:") && why.contains("refused"), "{why}");
    // Its container is reached all the same: agents are asked directly.
    works(&cluster, "bob");
}
