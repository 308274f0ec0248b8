//! The ways in which editors connect, step by step.

use std::net::Shutdown;
use std::time::{Duration, Instant};

use super::ask::Ask;
use super::client::{CLIENTS, Client};
use super::openssh::{OpenSsh, askpass};
use super::place::{Case, ECHO_PORT, LIMIT, Place};
use super::program::{Running, run_within};
use super::{socks, talk};
use crate::common::{SOON, eventually, free_port};

fn ssh(place: &Place, options: &[&str], words: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new("ssh");
    command.args(["-p", &place.port().to_string()]).args(options).args(place.cluster.options("ada"));
    command.env_remove("SSH_AUTH_SOCK").arg("ada@127.0.0.1").args(words);
    command
}

/// Remote-SSH on Linux and macOS: a dialogue on standard input that never ends while the window lives.
#[test]
fn vscode_talks_to_a_shell_and_tunnels_beside_it() {
    for words in [&["bash"][..], &["sh"], &[]] {
        let place = Place::shared();
        let port = free_port();
        let options = ["-v", "-T", "-D", &port.to_string(), "-o", "ConnectTimeout=15"];
        let mut window = Running::start(&mut ssh(&place, &options, words));
        window.write(b"echo ready: $(uname -s)\n");
        eventually("it is ready", SOON, || window.stdout().contains("ready: Linux").then_some(()));
        assert_eq!(window.stdout(), "ready: Linux\n", "nothing else on standard output");
        window.write(b"sh -c 'echo in a subshell $((6*7))'\necho \"end of script\"\n");
        eventually("the script ends", SOON, || window.stdout().ends_with("end of script\n").then_some(()));
        for _ in 0..3 {
            let mut stream = socks::through(port, ECHO_PORT);
            assert_eq!(talk::talk(&mut stream, |s| s.shutdown(Shutdown::Write).unwrap()), talk::WHOLE);
        }
        window.write(b"echo still here\n");
        eventually("the window lives", SOON, || window.stdout().ends_with("still here\n").then_some(()));
        assert_eq!(window.finish().status, 0);
    }
}

/// Remote-SSH on Windows: `type script | ssh -T -D PORT HOST sh`. Input ends at once, the rest goes on.
#[test]
fn vscode_on_windows_ends_its_input_at_once() {
    let place = Place::shared();
    let port = free_port();
    let options = ["-T", "-D", &port.to_string()];
    let mut window = Running::start(&mut ssh(&place, &options, &["sh"]));
    window.write(b"echo started\nwhile [ ! -e ~/stop-windows ]; do sleep 0.1; printf ' '; done; echo over\n");
    drop(window.stdin.take());
    eventually("it is started", SOON, || window.stdout().contains("started").then_some(()));
    let mut stream = socks::through(port, ECHO_PORT);
    assert_eq!(talk::talk(&mut stream, |s| s.shutdown(Shutdown::Write).unwrap()), talk::WHOLE);
    place.look("touch ~/stop-windows");
    assert!(window.wait(SOON).unwrap().stdout.ends_with("over\n"));
}

/// When the client is lost the endless loop of its script ends at the next write; its server lives on.
#[test]
fn a_lost_editor_leaves_its_server_and_no_loop() {
    let place = Place::shared();
    let script =
        "setsid sleep 4321 </dev/null >/dev/null 2>&1 & echo $$; while true; do sleep 1; printf ' '; done";
    let mut window = Running::start(&mut ssh(&place, &["-T"], &[script]));
    let shell = eventually("the loop runs", SOON, || {
        let said = window.stdout();
        said.contains(' ').then(|| said.split_whitespace().next().unwrap().to_owned())
    });
    window.kill();
    let began = Instant::now();
    eventually("the loop ends", SOON, || {
        place.look(&format!("kill -0 {shell} 2>&1")).contains("No such").then_some(())
    });
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(place.look("pgrep -fx 'sleep 4321'").trim().parse::<u32>().is_ok(), "the server lives");
    place.look("pkill -fx 'sleep 4321'");
}

/// VSCodium's remote extension, with the ssh2 it ships and the newest: `none` first, then exec, and it waits for CLOSE.
#[test]
fn vscodium_gets_status_end_and_close_in_order() {
    let place = Place::shared();
    for client in CLIENTS.iter().filter(|client| client.name().starts_with("ssh2")) {
        let case = Case::new(*client, place.clone());
        let system = case.run(&Ask::exec("uname -s").with("order", true));
        assert_eq!(system.stdout, "Linux\n", "{system:?}");
        let began = Instant::now();
        let install = "echo ZWNobyBpbnN0YWxsZWQK | base64 -d | bash -l";
        let ran = case.run(&Ask::exec(install).with("order", true));
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("installed\n", "exit\neof\nclose\n"));
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}

/// Zed: a master without a session, then sessions of every kind over it; and eight of them at once.
#[test]
fn zed_works_over_a_master_connection() {
    let place = Place::shared();
    let folder = tempfile::tempdir().unwrap();
    let control = format!("ControlPath={}", folder.path().join("c").display());
    let askpass = askpass(&place, "pw-ada");
    let mut master = ssh(
        &place,
        &["-N", "-oControlMaster=yes", "-o", &control, "-oPreferredAuthentications=password"],
        &[],
    );
    let _master = Running::start(master.env("SSH_ASKPASS", askpass).env("SSH_ASKPASS_REQUIRE", "force"));
    eventually("the master listens", SOON, || folder.path().join("c").exists().then_some(()));
    let over = |options: &[&str], words: &[&str], input: &[u8]| {
        run_within(LIMIT, &mut ssh(&place, &[&["-o", &control], options].concat(), words), input)
    };
    assert!(over(&["-T"], &["cd; uname -sm"], b"").success().stdout.starts_with("Linux "));
    assert_ne!(over(&["-T"], &["cd; cmd /c ver"], b"").status, 0);
    assert_eq!(over(&["-T"], &["cd; sh -c 'echo $SHELL'"], b"").success().stdout, "/bin/bash\n");
    let every: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    assert!(over(&["-T"], &["cat"], &every).success().bytes == every);
    let mut sftp = std::process::Command::new("sftp");
    sftp.args(["-q", "-o", &control, "-b", "-", "ada@127.0.0.1"]);
    assert!(run_within(LIMIT, &mut sftp, b"pwd\n").success().stdout.contains("/home/ada"));
    // Its input must stay open: at its end sftp-server leaves without a word.
    let mut forced = Running::start(&mut ssh(&place, &["-tt", "-s", "-o", &control], &["sftp"]));
    forced.write(b"\0\0\0\x05\x01\0\0\0\x03");
    eventually("raw bytes though a terminal was asked for", SOON, || {
        forced.stdout().contains("\u{2}\0\0\0\u{3}\0\0\0\u{18}posix-rename@openssh.com").then_some(())
    });
    assert_eq!(forced.finish().status, 0, "an exit status at its end");
    std::thread::scope(|scope| {
        let run = |n: u32| over(&[], &[&format!("sleep 1; echo {n}")], b"").success().stdout;
        let began = Instant::now();
        let eight: Vec<_> = (0..8).map(|n| scope.spawn(move || (n, run(n)))).collect();
        for session in eight {
            let (n, said) = session.join().unwrap();
            assert_eq!(said, format!("{n}\n"));
        }
        assert!(began.elapsed() < Duration::from_secs(7), "one after the other: {:?}", began.elapsed());
    });
}

/// OpenSSH's keepalives and ours, and a connection with nothing on it.
#[test]
fn an_idle_connection_without_a_session_lives() {
    let case = Case::new(&OpenSsh, Place::shared());
    let local = free_port();
    let forward = case.start(&Ask::local(local, ECHO_PORT).with("keepalive", 1));
    let began = Instant::now();
    eventually("five seconds", SOON, || (began.elapsed() > Duration::from_secs(5)).then_some(()));
    assert_eq!(talk::to_port(local), talk::WHOLE, "{} {}", OpenSsh.name(), forward.stderr());
}
