//! The images that every engine has from the start: unpacked once, and kept.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};

use super::leftovers::{is_gone, read_pid, reap, unmount};
use crate::common::{SOON, eventually};

/// What every engine has from the start.
const IMAGES: [&str; 2] = ["clusteria/try:1", "clusteria/empty:1"];

/// An engine's data root with the images, made once and kept in the temporary folder by what is in it.
pub(super) fn images() -> PathBuf {
    let ids: Vec<String> = IMAGES.iter().map(|image| image_id(image)).collect();
    let kind: String =
        ids.iter().map(|id| id.trim_start_matches("sha256:").get(..12).unwrap_or_default()).collect();
    let folder = std::env::temp_dir().join(format!("clusteria-images-{kind}"));
    fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let (ready, made) = (folder.join("data"), folder.join("making"));
    if !ready.exists() {
        let engine = Loader::start(&folder, &made);
        let host = format!("unix://{}", engine.socket.display());
        let line = format!("docker save {} | docker -H {host} load", IMAGES.join(" "));
        sh("bash", &["-o".as_ref(), "pipefail".as_ref(), "-c".as_ref(), line.as_ref()]);
        engine.stop();
        fs::rename(&made, &ready).unwrap();
    }
    ready
}

#[track_caller]
fn image_id(image: &str) -> String {
    let output = Command::new("docker").args(["image", "inspect", "-f", "{{.Id}}", image]).output().unwrap();
    assert!(output.status.success(), "{image} is missing: tests/run builds it");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// An engine without a network, only there to unpack images.
struct Loader {
    folder: PathBuf,
    socket: PathBuf,
    pidfile: PathBuf,
}

impl Loader {
    fn start(folder: &Path, data: &Path) -> Self {
        let _ = fs::remove_dir_all(data);
        let loader = Self {
            folder: folder.to_owned(),
            socket: folder.join("docker.sock"),
            pidfile: folder.join("pid"),
        };
        let log = File::create(folder.join("log")).unwrap();
        // In a network of its own: an engine without a bridge takes away the one that the machine's own engine has.
        Command::new("unshare")
            .args(["--net", "dockerd", "--data-root"])
            .arg(data)
            .arg("--exec-root")
            .arg(folder.join("exec"))
            .arg("--pidfile")
            .arg(&loader.pidfile)
            .args(["--bridge", "none", "--iptables=false", "-H"])
            .arg(format!("unix://{}", loader.socket.display()))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .map(reap)
            .unwrap();
        eventually("the engine that loads images answers", SOON, || {
            std::os::unix::net::UnixStream::connect(&loader.socket).ok()
        });
        loader
    }

    fn stop(self) {
        let pid = read_pid(&self.pidfile).unwrap();
        kill(pid, Signal::SIGTERM).unwrap();
        eventually("the engine that loads images is gone", SOON, || is_gone(pid).then_some(()));
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        if let Some(pid) = read_pid(&self.pidfile) {
            let _ = kill(pid, Signal::SIGKILL);
        }
        unmount(&self.folder);
    }
}

#[track_caller]
pub(super) fn sh(program: &str, words: &[&std::ffi::OsStr]) {
    let done = Command::new(program).args(words).output().unwrap();
    assert!(done.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&done.stderr));
}
