//! GPUs and file systems that say what a test wants: an nvidia-smi that prints what was written, a storage that is soon full.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Prints `/lab/gpus` and `/lab/apps`; hangs for as long as there is `/lab/hang`.
const SMI: &str = "#!/bin/sh\nwhile [ -e /lab/hang ]; do sleep 0.2; done\ncase \"$*\" in\n\
                   *query-gpu*) cat /lab/gpus ;;\n*compute-apps*) cat /lab/apps ;;\nesac\n";

pub struct Lab(tempfile::TempDir);

impl Lab {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let lab = Self(folder);
        lab.write("nvidia-smi", SMI);
        fs::set_permissions(lab.path("nvidia-smi"), fs::Permissions::from_mode(0o755)).unwrap();
        lab.gpu(1024, "");
        lab
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        // Aside first: it is read at any moment.
        fs::write(self.path("aside"), text).unwrap();
        fs::rename(self.path("aside"), self.path(name)).unwrap();
    }

    /// One GPU with so many MiB in use, and the processes on it.
    pub fn gpu(&self, used: u64, processes: &str) {
        self.write("gpus", &format!("0, GPU-fake-0, Fake H100, {used}, 81920, 45, 61\n"));
        self.write("apps", processes);
    }

    pub fn mounts(&self) -> String {
        format!(
            "[[mount]]\ntarget = \"/lab\"\nsource = \"{0}\"\nread_only = true\n\
             [[mount]]\ntarget = \"/usr/bin/nvidia-smi\"\nsource = \"{0}/nvidia-smi\"\nread_only = true\n",
            self.0.path().display()
        )
    }
}

/// A file system of its own, so small that it is soon full. In memory: there is no file server here.
pub struct Small(PathBuf);

impl Small {
    pub fn mount(path: PathBuf) -> Self {
        fs::create_dir_all(&path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=10m,mode=1777", "clusteria-test"]).arg(&path);
        assert!(mount.status().unwrap().success());
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l"]).arg(&self.0).status();
    }
}
