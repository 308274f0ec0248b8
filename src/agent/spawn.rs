//! Processes as the user: pipes or a terminal, an environment, no rights but theirs.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;

use super::account::User;
use super::protocol::{BIN_DIR, BINARY_NAME, Program, Pty, Spawn};
use super::pty;
use super::reaper::pid_of;
use super::serve::Agent;

/// Where distributions put OpenSSH's server.
const SFTP_SERVERS: [&str; 4] = [
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/libexec/sftp-server",
    "/usr/lib/ssh/sftp-server",
];
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const PIPE_SIZE: i32 = 1024 * 1024;

pub(super) struct Process {
    pub(super) pid: i32,
    /// For the gateway, in the protocol's order.
    pub(super) descriptors: Vec<OwnedFd>,
    pub(super) terminal: Option<Terminal>,
}

#[derive(Debug)]
pub(super) struct Terminal {
    /// The agent's own duplicate: closing the last master hangs the session up.
    pub(super) master: OwnedFd,
    pub(super) name: String,
}

pub(super) fn spawn(agent: &Agent, wanted: &Spawn) -> io::Result<Process> {
    let mut command = command(&agent.user, &wanted.program)?;
    environment(&mut command, &agent.user);
    match &wanted.pty {
        Some(pty) => on_terminal(agent, command, wanted, pty),
        None => on_pipes(agent, command, wanted),
    }
}

fn command(user: &User, program: &Program) -> io::Result<Command> {
    let shell = &user.account.shell;
    let base = Path::new(shell).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut command = Command::new(shell);
    match program {
        // A leading hyphen makes it a login shell.
        Program::Shell => command.arg0(format!("-{base}")),
        Program::Exec(line) => command.arg0(base).arg("-c").arg(OsString::from_vec(line.clone())),
        Program::Sftp => {
            command = sftp_server();
            &mut command
        }
    };
    let home = Path::new(&user.account.home);
    command.current_dir(if home.is_dir() { home } else { Path::new("/") });
    Ok(command)
}

/// The image's own, which people know; else ours.
fn sftp_server() -> Command {
    if let Some(path) = SFTP_SERVERS.into_iter().find(|path| Path::new(path).exists()) {
        return Command::new(path);
    }
    let mut own = Command::new(format!("{BIN_DIR}/{BINARY_NAME}"));
    own.arg("sftp");
    own
}

pub(super) fn environment(command: &mut Command, user: &User) {
    let account = &user.account;
    let path = std::env::var("PATH").unwrap_or_else(|_| DEFAULT_PATH.into());
    command
        .env("PATH", format!("{path}:{BIN_DIR}"))
        .env("HOME", &account.home)
        .env("USER", &account.name)
        .env("LOGNAME", &account.name)
        .env("SHELL", &account.shell)
        .env("MAIL", format!("/var/mail/{}", account.name));
}

fn client_environment(command: &mut Command, wanted: &Spawn) {
    for (name, value) in &wanted.env {
        if !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0') {
            command.env(name, value);
        }
    }
}

fn on_pipes(agent: &Agent, mut command: Command, wanted: &Spawn) -> io::Result<Process> {
    client_environment(&mut command, wanted);
    let (stdin, stdin_write) = pipe()?;
    let (stdout_read, stdout) = pipe()?;
    let (stderr_read, stderr) = pipe()?;
    command.stdin(Stdio::from(stdin)).stdout(Stdio::from(stdout)).stderr(Stdio::from(stderr));
    prepare(&mut command, &agent.user, false);
    let child = agent.reaper.spawn(&mut command, false)?;
    let descriptors = vec![stdin_write, stdout_read, stderr_read];
    for descriptor in &descriptors {
        fcntl(descriptor, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    }
    Ok(Process { pid: pid_of(&child), descriptors, terminal: None })
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    // Beyond a user's share of pipe memory the kernel refuses: the default does, too.
    let _ = fcntl(&write, FcntlArg::F_SETPIPE_SZ(PIPE_SIZE));
    Ok((read, write))
}

fn on_terminal(agent: &Agent, mut command: Command, wanted: &Spawn, asked: &Pty) -> io::Result<Process> {
    let opened = pty::open(asked, &agent.user)?;
    command
        .env("TERM", if asked.term.is_empty() { "dumb" } else { &asked.term })
        .env("SSH_TTY", &opened.name);
    client_environment(&mut command, wanted);
    let slave = |fd: &OwnedFd| fd.try_clone().map(Stdio::from);
    command.stdin(slave(&opened.slave)?).stdout(slave(&opened.slave)?).stderr(Stdio::from(opened.slave));
    prepare(&mut command, &agent.user, true);
    // Known before it runs, so that no warning misses it.
    agent.terminals.add(&opened.name, &wanted.env);
    let child =
        agent.reaper.spawn(&mut command, true).inspect_err(|_| agent.terminals.remove(&opened.name))?;
    let passed = opened.master.as_fd().try_clone_to_owned()?;
    fcntl(&passed, FcntlArg::F_SETFL(OFlag::O_RDWR | OFlag::O_NONBLOCK))?;
    let terminal = Terminal { master: opened.master, name: opened.name };
    Ok(Process { pid: pid_of(&child), descriptors: vec![passed], terminal: Some(terminal) })
}

/// When memory is over, the kernel ends one of the user's programs and not the agent, however small theirs are: with it
/// everything would go. Half of the memory counts on top; the user may lower it to the agent's own nothing, at most.
///
/// # Safety
/// System calls only: may be called between fork and exec.
unsafe fn offer_first() {
    const SCORE: &[u8] = b"500";
    // SAFETY: a constant path with its NUL, a constant buffer with its length.
    unsafe {
        let file = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if file >= 0 {
            libc::write(file, SCORE.as_ptr().cast(), SCORE.len());
            libc::close(file);
        }
    }
}

/// Between fork and exec: a session of its own, the terminal, and the user's rights.
pub(super) fn prepare(command: &mut Command, user: &User, has_terminal: bool) {
    let (uid, gid, groups) = (user.account.uid, user.account.gid, user.groups.clone());
    let check = |result: libc::c_long| if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
    let become_user = move || {
        // SAFETY: system calls only, all async-signal-safe; no allocation, no lock. `groups` was
        // made before the fork and pointer and length describe it.
        unsafe {
            // The agent waits for SIGTERM with the signal blocked; a program must be able to take it.
            let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
            libc::sigemptyset(none.as_mut_ptr());
            libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
            check(libc::c_long::from(libc::setsid()))?;
            if has_terminal {
                check(libc::c_long::from(libc::ioctl(0, libc::TIOCSCTTY as _, 0)))?;
            }
            offer_first();
            check(libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()))?;
            check(libc::syscall(libc::SYS_setresgid, gid, gid, gid))?;
            check(libc::syscall(libc::SYS_setresuid, uid, uid, uid))?;
            check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0).into())?;
            libc::umask(0o022);
        }
        Ok(())
    };
    // SAFETY: see above.
    unsafe { command.pre_exec(become_user) };
}
