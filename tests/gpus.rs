//! GPUs: two users on two slots get different ones, by the nvidia driver and by CDI; one that does not answer is not given.
//!
//! The machine has none: a stand-in for NVIDIA's hook, and a CDI specification, give device nodes and an `nvidia-smi`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use common::{Cluster, Plan, SOON, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// An engine of the test's own, in a network namespace of its own, that believes in two GPUs.
struct Engine {
    folder: PathBuf,
    pid: Pid,
    child: std::process::Child,
}

impl Engine {
    fn start(dockerd: &Path, settings: impl Fn(&Path) -> String) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = PathBuf::from(format!("/tmp/ct-{}-gpus.{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("daemon.json"), settings(&folder)).unwrap();
        let path = |name: &str| folder.join(name).display().to_string();
        let log = File::create(folder.join("log")).unwrap();
        let hook = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gpus");
        // The newer engine brings its own containerd.
        let beside = dockerd.ancestors().nth(2).unwrap().join("bin");
        let search = format!("{}:{}:{}", hook.display(), beside.display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""]).arg(dockerd);
        command.args(["--data-root", &path("data"), "--exec-root", &path("exec"), "--pidfile", &path("pid")]);
        command.args(["--exec-opt", "native.cgroupdriver=cgroupfs", "--config-file", &path("daemon.json")]);
        command.args(["-H", &format!("unix://{}", path("docker.sock"))]);
        command.env("PATH", search).env("CLUSTERIA_TEST_GPUS", &folder);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        let engine = Self { folder, pid, child };
        eventually(&format!("the engine answers: {}", engine.log()), SOON, || {
            engine.docker(&["version"]).then_some(())
        });
        let load = format!("docker save {} | docker -H {} load", common::IMAGE, engine.address());
        assert!(
            Command::new("bash")
                .args(["-o", "pipefail", "-c", &load])
                .stdout(Stdio::null())
                .status()
                .unwrap()
                .success()
        );
        engine
    }

    fn address(&self) -> String {
        format!("unix://{}/docker.sock", self.folder.display())
    }

    fn docker(&self, words: &[&str]) -> bool {
        let mut docker = Command::new("docker");
        docker.args(["-H", &self.address()]).args(words).stdout(Stdio::null()).stderr(Stdio::null());
        docker.status().unwrap().success()
    }

    fn log(&self) -> String {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the engine's log ---\n{}", self.log());
        }
        let all = Command::new("docker").args(["-H", &self.address(), "ps", "-aq"]).output();
        for id in all.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default().lines() {
            self.docker(&["rm", "-f", id]);
        }
        let _ = kill(self.pid, Signal::SIGTERM);
        let limit = std::time::Instant::now() + SOON;
        while self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            if std::time::Instant::now() > limit {
                let _ = self.child.kill();
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let own = self.folder.display().to_string();
        for mount in mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(|m| m.starts_with(&own))
        {
            let _ = Command::new("umount").args(["-l", mount]).output();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Two machines' worth of slots on one engine: a GPU each, by the names given.
fn cluster(engine: &Engine, gpus: [&str; 2], more: &str) -> Cluster {
    let slots: String = gpus.iter().map(|gpu| format!("[[machine.slot]]\ngpus = [\"{gpu}\"]\n")).collect();
    Cluster::start(Plan {
        slots: vec![],
        users: &["ada", "bob", "eve"],
        more: format!("[[machine]]\nname = \"gpu1\"\nengine = \"{}\"\n{slots}{more}", engine.address()),
        ..Plan::default()
    })
}

fn devices(cluster: &Cluster, user: &str) -> String {
    cluster.ssh(user).run("ls /dev | grep nvidia; nvidia-smi --query-gpu=uuid").success().stdout
}

#[test]
fn two_users_get_two_gpus_and_one_that_does_not_answer_is_not_given() {
    let engine = Engine::start(Path::new("/usr/sbin/dockerd"), |_| "{}".to_owned());
    // The third slot shares the second one's GPU, the fourth asks for one that is not there.
    let more = "[[machine.slot]]\ngpus = [\"GPU-fake-1\"]\n[[machine.slot]]\ngpus = [\"7\"]\n";
    let cluster = cluster(&engine, ["0", "GPU-fake-1"], more);
    for (user, slot) in [("ada", "gpu1/1"), ("bob", "gpu1/2"), ("eve", "gpu1/3")] {
        cluster.ssh(user).run(&format!("clusteria reserve {slot}")).success();
    }
    assert!(devices(&cluster, "ada").starts_with("nvidia0\n0, GPU-fake-0"), "{}", devices(&cluster, "ada"));
    assert!(devices(&cluster, "bob").starts_with("nvidia1\n0, GPU-fake-1"), "{}", devices(&cluster, "bob"));
    assert!(devices(&cluster, "eve").starts_with("nvidia1\n"), "two slots share one");

    let doctor = cluster.cli(&["doctor"]);
    assert!(
        doctor.stdout.contains("ok      gpu1: GPUs of gpu1/1: GPU-fake-0 Fake H100"),
        "{}",
        doctor.stdout
    );
    assert!(doctor.stdout.contains("ERROR   gpu1: GPUs of gpu1/4: 7:"), "{}", doctor.stdout);
    assert!(doctor.stdout.contains("unknown device"), "{}", doctor.stdout);
    assert_eq!(doctor.status, 1);

    // The engine refuses, and so does the health check: the slot frees, and people are told why.
    cluster.ssh("ada").run("clusteria release").success();
    eventually("it is free", SOON, || (cluster.status("ada")["reservation"].is_null()).then_some(()));
    let refused = cluster.ssh("ada").run("clusteria reserve gpu1/4");
    assert!(refused.status == 1 && refused.stderr.contains("unknown device"), "{refused:?}");
    fs::write(engine.folder.join("lost-0"), "").unwrap();
    let refused = cluster.ssh("ada").run("clusteria reserve gpu1/1");
    assert!(refused.status == 1 && refused.stderr.contains("0 of 1 GPUs answer"), "{refused:?}");
    let french = cluster.ssh("ada").option("-oSetEnv=LANG=fr_FR.UTF-8").run("clusteria reserve gpu1/1");
    assert!(french.stderr.contains("0 GPU sur 1 répondent"), "{french:?}");
    assert!(cluster.status("ada")["reservation"].is_null());
    assert_eq!(cluster.status("ada")["last"]["reason"], "failed");
    fs::remove_file(engine.folder.join("lost-0")).unwrap();
    cluster.ssh("ada").run("clusteria reserve gpu1/1").success();

    // During the session: the driver dies under it.
    let container = format!("clusteria-{}-gpu1-1", cluster.name);
    let dies =
        "printf '#!/bin/sh\\necho Unable to determine the device handle\\nexit 255\\n' > /usr/bin/nvidia-smi";
    assert!(engine.docker(&["exec", "-u", "0", &container, "sh", "-c", dies]));
    let terminal = common::terminal::Terminal::ssh(&cluster, "ada", 150, 30, "");
    terminal.shows_within("0 of 1 GPUs answer", SOON * 2);
    eventually("the administrators see it", SOON, || {
        cluster
            .cli(&["admin", "list"])
            .success()
            .stdout
            .contains("Unable to determine the device handle")
            .then_some(())
    });
    assert!(cluster.log().contains("GPUs lost"));
    for user in ["ada", "bob", "eve"] {
        cluster.ssh(user).run("clusteria release").success();
    }
    eventually("all are free", SOON, || cluster.status("ada")["reservation"].is_null().then_some(()));
}

/// A CDI specification as `nvidia-ctk cdi generate` writes it, for devices that are /dev/null.
const CDI: &str = r#"{"cdiVersion":"0.5.0","kind":"nvidia.com/gpu","devices":[
{"name":"0","containerEdits":{"deviceNodes":[{"path":"/dev/nvidia0","hostPath":"/dev/null"}],"env":["FAKE_GPU=0"],"mounts":[{"hostPath":"FOLDER/smi-0","containerPath":"/usr/bin/nvidia-smi","options":["ro","bind"]}]}},
{"name":"1","containerEdits":{"deviceNodes":[{"path":"/dev/nvidia1","hostPath":"/dev/zero"}],"env":["FAKE_GPU=1"],"mounts":[{"hostPath":"FOLDER/smi-1","containerPath":"/usr/bin/nvidia-smi","options":["ro","bind"]}]}}]}"#;

#[test]
fn two_users_get_two_gpus_by_cdi() {
    let cache = std::env::var("CLUSTERIA_TEST_CACHE").map_or_else(
        |_| PathBuf::from(std::env::var("HOME").unwrap()).join(".cache/clusteria-tests"),
        PathBuf::from,
    );
    let dockerd = cache.join("engine-26.1.5/usr/sbin/dockerd");
    assert!(dockerd.exists(), "tests/gpus/install fetches {}", dockerd.display());
    let engine = Engine::start(&dockerd, |folder| {
        format!(r#"{{"features": {{"cdi": true}}, "cdi-spec-dirs": ["{}/cdi"]}}"#, folder.display())
    });
    let folder = engine.folder.display().to_string();
    fs::create_dir_all(engine.folder.join("cdi")).unwrap();
    for number in [0, 1] {
        let smi = engine.folder.join(format!("smi-{number}"));
        let text = format!("#!/bin/sh\necho '0, GPU-fake-{number}, Fake H100, 100, 81920, 0, 30'\n");
        fs::write(&smi, text).unwrap();
        fs::set_permissions(&smi, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::write(engine.folder.join("cdi/nvidia.json"), CDI.replace("FOLDER", &folder)).unwrap();
    let more = "[[machine.slot]]\ngpus = [\"nvidia.com/gpu=7\"]\n";
    let cluster = cluster(&engine, ["nvidia.com/gpu=0", "nvidia.com/gpu=1"], more);
    for (user, slot) in [("ada", "gpu1/1"), ("bob", "gpu1/2")] {
        cluster.ssh(user).run(&format!("clusteria reserve {slot}")).success();
    }
    assert_eq!(devices(&cluster, "ada"), "nvidia0\n0, GPU-fake-0, Fake H100, 100, 81920, 0, 30\n");
    assert_eq!(devices(&cluster, "bob"), "nvidia1\n0, GPU-fake-1, Fake H100, 100, 81920, 0, 30\n");
    let doctor = cluster.cli(&["doctor"]);
    assert!(doctor.stdout.contains("ok      gpu1: GPUs of gpu1/2: GPU-fake-1"), "{}", doctor.stdout);
    assert!(doctor.stdout.contains("ERROR   gpu1: GPUs of gpu1/3: nvidia.com/gpu=7:"), "{}", doctor.stdout);
    for user in ["ada", "bob"] {
        cluster.ssh(user).run("clusteria release").success();
    }
    eventually("both are free", SOON, || cluster.status("bob")["reservation"].is_null().then_some(()));
}
