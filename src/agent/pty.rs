//! Pseudo-terminals (pty(7)).

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{Uid, fchown};

use super::account::User;
use super::modes;
use super::protocol::{Pty, WindowSize};

pub(super) struct OpenPty {
    pub(super) master: OwnedFd,
    pub(super) slave: OwnedFd,
    /// `/dev/pts/N`
    pub(super) name: String,
}

/// Opens a terminal for the user, sized and with the client's modes.
pub(super) fn open(wanted: &Pty, user: &User) -> io::Result<OpenPty> {
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname_r(&master)?;
    let master = duplicate(&master)?;
    let slave: OwnedFd = File::options()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY | libc::O_CLOEXEC)
        .open(&name)?
        .into();
    // In this order: once it is the user's, only they may change its mode (we have no CAP_FOWNER).
    fchmod(&slave, Mode::from_bits_truncate(0o620))?;
    // The group is devpts's own, tty, as with sshd.
    fchown(&slave, Some(Uid::from_raw(user.account.uid)), None)?;
    modes::apply(&slave, &wanted.modes)?;
    resize(&master, wanted.size);
    Ok(OpenPty { master, slave, name })
}

fn duplicate(descriptor: &impl std::os::fd::AsFd) -> io::Result<OwnedFd> {
    let copy = descriptor.as_fd().try_clone_to_owned()?;
    fcntl(&copy, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(copy)
}

/// Sets the size; the kernel sends SIGWINCH to the foreground group when it is new.
pub(super) fn resize(master: &OwnedFd, size: WindowSize) {
    let size = libc::winsize {
        ws_row: size.rows,
        ws_col: size.columns,
        ws_xpixel: size.width,
        ws_ypixel: size.height,
    };
    // SAFETY: TIOCSWINSZ reads one winsize through the pointer, which is valid for it.
    unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSWINSZ as _, &raw const size) };
}

/// RFC 4335: a break, as sshd sends it.
pub(super) fn send_break(master: &OwnedFd) {
    // SAFETY: plain integers.
    unsafe { libc::tcsendbreak(master.as_raw_fd(), 0) };
}
