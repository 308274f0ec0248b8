//! The same commands, once through the gateway and once to OpenSSH's own server in the same kind of container.
//! What differs is in the table of docs/clients.md with its reason, or the test fails.

use std::process::Command;

use super::place::{LIMIT, Place};
use super::program::{OnTerminal, run_within};
use super::sshd::Sshd;

const PAGE: &str = include_str!("../../docs/clients.md");

struct Probe {
    name: &'static str,
    options: &'static [&'static str],
    command: &'static str,
    input: &'static str,
}

const fn plain(name: &'static str, command: &'static str) -> Probe {
    Probe { name, options: &[], command, input: "" }
}

const fn fed(name: &'static str, command: &'static str, input: &'static str) -> Probe {
    Probe { name, options: &[], command, input }
}

const fn on_tty(name: &'static str, command: &'static str) -> Probe {
    Probe { name, options: &["-tt"], command, input: "" }
}

const PROBES: &[Probe] = &[
    plain("status", "exit 7"),
    plain("status above 127", "exit 200"),
    plain("streams", "echo out; echo err >&2; echo out again"),
    plain("not found", "no-such-command"),
    plain("a folder as command", "/tmp"),
    plain("empty output", "true"),
    plain("SIGTERM", "kill -TERM $$"),
    plain("SIGKILL", "echo before; kill -KILL $$"),
    plain("SIGSEGV", "kill -SEGV $$"),
    plain("SIGPIPE", "kill -PIPE $$"),
    plain("a child's signal", "{ sh -c 'kill -9 $$'; } 2>/dev/null; echo $?"),
    plain("quotes and bytes", "printf '%s|' \"a  b\" 'c\"d' $'\\x01\\xff'"),
    plain("two lines", "echo one\necho two"),
    plain("NUL bytes", "printf 'a\\0b\\0'"),
    plain("background holder", "sleep 0.3 & echo x"),
    plain("background holder elsewhere", "sleep 5 >/dev/null 2>&1 & echo x"),
    plain("stdout closed early", "exec >&-; sleep 0.1; exit 3"),
    plain("writes after stdin's end", "cat; echo end"),
    plain("folder", "pwd"),
    plain("shell options", "echo $- $0"),
    plain("login shell", "shopt -q login_shell && echo login || echo not"),
    plain("umask", "umask"),
    plain("who", "id -un; id -u; id -g"),
    plain("HOME USER LOGNAME SHELL MAIL", "echo $HOME $USER $LOGNAME $SHELL $MAIL"),
    plain("SSH_CONNECTION's shape", "echo $SSH_CLIENT / $SSH_CONNECTION | sed 's/[0-9]\\{4,5\\}/PORT/g'"),
    plain("no terminal, no SSH_TTY", "echo [$SSH_TTY] [$TERM]; tty"),
    plain("PATH", "echo $PATH"),
    plain("names of variables", "env | cut -d= -f1 | grep -vx _ | sort | tr '\\n' ' '"),
    plain("process group", "ps -o pgid=,sid=,pid= -p $$ | awk '{print ($1==$3), ($2==$3)}'"),
    plain("parent", "ps -o comm= -p $PPID"),
    plain("ignored signals", "grep -E 'SigIgn|SigBlk' /proc/self/status"),
    // Asked without another process: a pipe to one would be there for a moment.
    plain("descriptors", "for n in 0 1 2 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$n ] && echo $n; done"),
    plain("kinds of descriptors", "for n in 0 1 2; do readlink /proc/$$/fd/$n | cut -d: -f1; done"),
    plain("nice and limits", "nice; ulimit -c; ulimit -s; ulimit -n"),
    plain("new privileges", "grep NoNewPrivs /proc/self/status"),
    fed("stdin", "cat", "some\ninput\n"),
    fed("stdin unread", "exit 4", "nobody reads this\n"),
    fed("early end of stdin", "cat; sleep 0.2; echo after; exit 7", "a\nb\n"),
    fed("shell on stdin", "", "echo from a shell; echo $0; exit 9\n"),
    fed("shell without exit", "", "false\n"),
    Probe { name: "LC_ sent", options: &["-oSetEnv=LC_TEST=x"], command: "echo [$LC_TEST]", input: "" },
    Probe { name: "other sent", options: &["-oSetEnv=BAD_TEST=x"], command: "echo [$BAD_TEST]", input: "" },
    Probe { name: "unknown subsystem", options: &["-s"], command: "no-such-subsystem", input: "" },
    on_tty("tty", "tty | sed 's/[0-9]*$//'; stty size; echo $TERM"),
    on_tty("tty modes", "stty -a"),
    on_tty("tty owner", "stat -c '%U %a' $(tty)"),
    on_tty("tty group", "stat -c '%G' $(tty)"),
    on_tty("tty status", "exit 6"),
    on_tty("tty streams", "echo out; echo err >&2"),
    on_tty("tty SIGTERM", "kill -TERM $$"),
    on_tty("tty leader", "ps -o pid=,sid=,tpgid= -p $$ | awk '{print ($1==$2), ($1==$3)}'"),
    on_tty("tty SSH_TTY", "[ $SSH_TTY = $(tty) ] && echo same"),
    on_tty("tty background", "sleep 3 & echo done"),
    on_tty("tty no newline", "printf tail"),
];

#[derive(Debug, PartialEq, Eq)]
struct Seen {
    status: i32,
    stdout: String,
    stderr: String,
}

fn ask(place: &Place, port: u16, probe: &Probe) -> Seen {
    let mut command = Command::new("ssh");
    command.args(place.cluster.options("ada")).args(["-p", &port.to_string()]).args(probe.options);
    command.env_remove("LANG").env_remove("LC_ALL").env("TERM", "vt220").arg("ada@127.0.0.1");
    if !probe.command.is_empty() {
        command.arg(probe.command);
    }
    if probe.options.contains(&"-tt") {
        let (status, stdout) = OnTerminal::start(&mut command, 90, 25).ends();
        return Seen { status, stdout, stderr: String::new() };
    }
    let ran = run_within(LIMIT, &mut command, probe.input.as_bytes());
    Seen {
        status: ran.status,
        stdout: format!("{:?}", String::from_utf8_lossy(&ran.bytes)),
        stderr: ran.stderr,
    }
}

/// The rows `| probe | reason |` below the heading.
fn explained(name: &str) -> bool {
    let start = PAGE.find("## Differences from OpenSSH's server").expect("the heading in docs/clients.md");
    PAGE[start..].lines().any(|line| line.starts_with(&format!("| {name} | ")))
}

#[test]
fn the_gateway_is_like_opensshs_own_server() {
    let place = Place::shared();
    let sshd = Sshd::start(&place.cluster);
    let (mut wrong, mut differ) = (Vec::new(), 0);
    for probe in PROBES {
        let ours = ask(&place, place.cluster.port, probe);
        let theirs = ask(&place, sshd.port, probe);
        if ours == theirs {
            if explained(probe.name) {
                wrong.push(format!("{}: explained in the docs, but there is no difference", probe.name));
            }
            continue;
        }
        differ += 1;
        let told = format!("{}:\n   ours {ours:?}\n   sshd {theirs:?}", probe.name);
        println!("{told}");
        if !explained(probe.name) {
            wrong.push(told);
        }
    }
    println!("{} commands, {differ} differences", PROBES.len());
    assert!(wrong.is_empty(), "not in docs/clients.md:\n{}", wrong.join("\n"));
}
