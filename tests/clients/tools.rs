//! Programs that work over SSH: each does its daily work once.

use std::fs;
use std::process::Command;

use super::client::installed;
use super::exec::sum_here;
use super::openssh::OpenSsh;
use super::place::{Case, LIMIT, Place};
use super::program::{Running, run_within};
use crate::common::{Ran, SOON, big_file, eventually};

fn case() -> Case {
    Case::new(&OpenSsh, Place::shared())
}

fn run(command: &mut Command) -> Ran {
    run_within(LIMIT, command.env_remove("LANG").env_remove("LC_ALL"), b"")
}

#[test]
fn rsync_there_and_back() {
    let case = case();
    let tree = case.local("tree");
    for number in 0..200_u8 {
        fs::create_dir_all(format!("{tree}/d{}", number % 7)).unwrap();
        fs::write(format!("{tree}/d{}/{number}", number % 7), vec![number; usize::from(number) * 37])
            .unwrap();
    }
    let there = format!("ada@127.0.0.1:{}/", case.remote("tree"));
    for (from, to) in [(format!("{tree}/"), there.clone()), (there, case.local("back"))] {
        run(Command::new("rsync").args(["-a", "-e", &case.place.ssh_line(), &from, &to])).success();
    }
    run(Command::new("diff").args(["-r", &tree, &case.local("back")])).success();
}

#[test]
fn git_clones_and_pushes() {
    let case = case();
    case.place.look(&format!("git init -q --bare {}", case.remote("repo")));
    let git = |folder: &str, words: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=ada", "-c", "user.email=ada@example.org"]).args(words);
        run(command.current_dir(folder).env("GIT_SSH_COMMAND", case.place.ssh_line())).success()
    };
    let url = format!("ada@127.0.0.1:{}", case.remote("repo"));
    let here = case.here.to_str().unwrap();
    git(here, &["clone", "-q", &url, "one"]);
    let file = big_file(&case.here, 4_000_000);
    fs::copy(&file, case.local("one/file")).unwrap();
    git(&case.local("one"), &["add", "file"]);
    git(&case.local("one"), &["commit", "-qm", "one"]);
    git(&case.local("one"), &["push", "-q", "origin", "HEAD"]);
    git(here, &["clone", "-q", &url, "two"]);
    assert_eq!(sum_here(file.to_str().unwrap()), sum_here(&case.local("two/file")));
}

#[test]
fn sshfs_is_a_folder() {
    let case = case();
    let mount = case.local("mount");
    fs::create_dir(&mount).unwrap();
    let mut command = Command::new("sshfs");
    command.args(["-f", "-p", &case.place.port().to_string()]).args(&case.place.cluster.options("ada")[2..]);
    command.arg(format!("ada@127.0.0.1:{}", case.there)).arg(&mount);
    let _mounted = Mounted { program: Running::start(&mut command), folder: mount.clone() };
    eventually("it is mounted", SOON, || {
        fs::read_to_string("/proc/mounts").unwrap().contains(&mount).then_some(())
    });
    fs::create_dir(format!("{mount}/deep")).unwrap();
    let file = big_file(&case.here, 3_000_000);
    fs::copy(&file, format!("{mount}/deep/file")).unwrap();
    fs::rename(format!("{mount}/deep/file"), format!("{mount}/deep/renamed")).unwrap();
    std::os::unix::fs::symlink("renamed", format!("{mount}/deep/link")).unwrap();
    assert_eq!(sum_here(&format!("{mount}/deep/link")), sum_here(file.to_str().unwrap()));
    assert_eq!(case.place.look(&format!("ls -m {}/deep", case.there)), "link, renamed\n");
}

struct Mounted {
    program: Running,
    folder: String,
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("fusermount3").args(["-u", "-z", &self.folder]).output();
        self.program.kill();
    }
}

#[test]
fn ansible_with_and_without_pipelining() {
    let case = case();
    let options = case.place.cluster.options("ada").join(" ");
    let inventory = format!(
        "box ansible_host=127.0.0.1 ansible_port={} ansible_user=ada ansible_ssh_common_args='{options}' \
         ansible_python_interpreter=/usr/bin/python3\n",
        case.place.port()
    );
    fs::write(case.local("inventory"), inventory).unwrap();
    fs::write(case.local("file"), "copied\n").unwrap();
    for pipelining in ["0", "1"] {
        let target = case.remote(&format!("copied-{pipelining}"));
        let copy = format!("src={} dest={target} mode=0640", case.local("file"));
        for (module, arguments) in [("ping", ""), ("copy", copy.as_str()), ("command", "id -un")] {
            let mut command = Command::new(installed().join("venv/bin/ansible"));
            command.args(["-i", &case.local("inventory"), "box", "-m", module, "-a", arguments]);
            command.env("ANSIBLE_PIPELINING", pipelining).env("ANSIBLE_HOME", case.local("ansible"));
            command.env("ANSIBLE_LOCAL_TEMP", case.local("ansible-temporary")).env("LC_ALL", "C.UTF-8");
            let ran = run_within(LIMIT, &mut command, b"").success();
            assert!(module != "command" || ran.stdout.contains("ada"), "{ran:?}");
        }
        assert_eq!(case.place.look(&format!("stat -c %a {target}; cat {target}")), "640\ncopied\n");
    }
}

#[test]
fn curl_rclone_and_lftp_there_and_back() {
    let case = case();
    let file = big_file(&case.here, 3_000_000);
    let file = file.to_str().unwrap();
    let (port, key) = (case.place.port(), case.place.cluster.path("ada.key"));
    let key = key.to_str().unwrap();
    let same = |name: &str| assert_eq!(sum_here(file), sum_here(&case.local(name)), "{name}");

    let public = format!("{key}.pub");
    let url = format!("sftp://ada@127.0.0.1:{port}{}", case.remote("by-curl"));
    let curl = |words: &[&str]| {
        run(Command::new("curl").args(["-sS", "-k", "--key", key, "--pubkey", &public]).args(words))
            .success();
    };
    curl(&["-T", file, &url]);
    curl(&["-o", &case.local("by-curl"), &url]);
    same("by-curl");

    let remote =
        format!(":sftp,host=127.0.0.1,user=ada,port={port},key_file=\"{key}\":{}", case.remote("by-rclone"));
    let rclone = |from: &str, to: &str| {
        run(Command::new("rclone").args(["--config", "/dev/null", "copyto", from, to])).success();
    };
    rclone(file, &remote);
    rclone(&remote, &case.local("by-rclone"));
    same("by-rclone");

    let there = case.remote("by-lftp");
    let script = format!(
        "set sftp:connect-program \"{}\"; set net:max-retries 1; open -u ada, sftp://127.0.0.1; \
         put {file} -o {there}; get {there} -o {}",
        case.place.ssh_line().replacen("ssh", "ssh -a -x", 1),
        case.local("by-lftp")
    );
    run(Command::new("lftp").args(["-c", &script])).success();
    same("by-lftp");
}
