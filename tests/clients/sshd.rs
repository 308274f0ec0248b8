//! OpenSSH's own server, the host's, inside containers: as the far end of a jump, and to compare with.

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{Cluster, IMAGE, SOON, docker, eventually, free_port};

const SSHD: &str = "/usr/sbin/sshd";
/// Where it is put in a container, with the libraries that it needs.
const FOLDER: &str = "/opt/sshd";

/// Copies sshd, its libraries, a host key and who may log in into a container.
fn equip(cluster: &Cluster, container: &str) {
    let folder = cluster.path(&format!("sshd-for-{container}"));
    fs::create_dir_all(folder.join("lib")).unwrap();
    let copy = |from: &str, to: &Path| fs::copy(from, to).unwrap_or_else(|e| panic!("{from}: {e}"));
    copy(SSHD, &folder.join("sshd"));
    copy(cluster.path("ada.key.pub").to_str().unwrap(), &folder.join("authorized_keys"));
    let needed = Command::new("ldd").arg(SSHD).output().unwrap();
    for word in String::from_utf8(needed.stdout).unwrap().split_whitespace() {
        let name = Path::new(word).file_name().unwrap_or_default().to_string_lossy().into_owned();
        // The loader and the C library are the image's own: it is of the same release.
        if word.starts_with('/') && !name.starts_with("ld-") && !name.starts_with("libc.so") {
            copy(word, &folder.join("lib").join(name));
        }
    }
    let key = folder.join("host_key");
    let made =
        Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status().unwrap();
    assert!(made.success());
    docker(&["cp", &format!("{}/.", folder.display()), &format!("{container}:{FOLDER}")]);
}

fn wait_for_banner(connect: impl Fn() -> Option<String>) {
    eventually("sshd answers", SOON, || connect().filter(|banner| banner.starts_with("SSH-2.0")));
}

/// An sshd of the user's own in the user's container: a port of the container's.
pub fn inner(cluster: &Cluster, container: &str) -> u16 {
    equip(cluster, container);
    let port = free_port();
    docker(&["exec", container, "chown", "-R", "ada:ada", FOLDER]);
    docker(&[
        "exec",
        "-d",
        "-u",
        "ada",
        "-e",
        "LD_LIBRARY_PATH=/opt/sshd/lib",
        container,
        "/opt/sshd/sshd",
        "-D",
        "-e",
        "-f",
        "/dev/null",
        "-h",
        "/opt/sshd/host_key",
        "-p",
        &port.to_string(),
        "-o",
        "ListenAddress=127.0.0.1",
        "-o",
        "AuthorizedKeysFile=/opt/sshd/authorized_keys",
        "-o",
        "StrictModes=no",
        "-o",
        "UsePAM=no",
        "-o",
        "PidFile=none",
    ]);
    wait_for_banner(|| {
        let look = format!("exec 3<>/dev/tcp/127.0.0.1/{port} && head -n 1 <&3");
        Some(docker(&["exec", container, "bash", "-c", &look]))
    });
    port
}

/// A container of its own, where root's sshd lets `ada` in. Removed when dropped.
pub struct Sshd {
    pub container: String,
    pub port: u16,
    pub host_key: PathBuf,
}

impl Sshd {
    pub fn start(cluster: &Cluster) -> Self {
        let container = format!("clusteria-{}-sshd", cluster.name);
        let host_key = cluster.path(&format!("sshd-for-{container}")).join("host_key");
        let sshd = Self { container, port: free_port(), host_key };
        let name = &sshd.container;
        // The same password as with the gateway.
        let hash = Command::new("openssl").args(["passwd", "-6", "pw-ada"]).output().unwrap();
        let hash = String::from_utf8(hash.stdout).unwrap();
        docker(&[
            "run",
            "-d",
            "--name",
            name,
            "--network",
            "host",
            "--hostname",
            "gpu1-1",
            "--entrypoint",
            "sleep",
            IMAGE,
            "7200",
        ]);
        equip(cluster, name);
        let settings = format!(
            "Port {}\nListenAddress 127.0.0.1\nHostKey {FOLDER}/host_key\nAuthorizedKeysFile {FOLDER}/authorized_keys\n\
             UsePAM no\nPrintMotd no\nPrintLastLog no\nStrictModes no\nAcceptEnv LANG LC_*\nX11Forwarding yes\n\
             Subsystem sftp /usr/lib/openssh/sftp-server\n",
            sshd.port
        );
        let script = format!(
            "groupadd -g 20000 ada; useradd -m -u 20000 -g 20000 -s /bin/bash ada; usermod -p '{}' ada; \
             chmod 700 /home/ada; mkdir -p /run/sshd; id sshd >/dev/null 2>&1 || useradd -r -d /run/sshd sshd; \
             chown -R root:root {FOLDER}; chmod 600 {FOLDER}/host_key; printf '{settings}' > {FOLDER}/config",
            hash.trim()
        );
        docker(&["exec", name, "sh", "-ec", &script]);
        docker(&[
            "exec",
            "-d",
            "-e",
            "LD_LIBRARY_PATH=/opt/sshd/lib",
            name,
            "/opt/sshd/sshd",
            "-D",
            "-f",
            "/opt/sshd/config",
        ]);
        wait_for_banner(|| {
            let mut banner = [0; 8];
            TcpStream::connect(("127.0.0.1", sshd.port)).ok()?.read_exact(&mut banner).ok()?;
            Some(String::from_utf8_lossy(&banner).into_owned())
        });
        sshd
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        docker(&["rm", "-f", "-v", &self.container]);
    }
}
