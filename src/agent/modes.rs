//! Terminal modes of RFC 4254 section 8, onto termios.

use std::io;
use std::os::fd::OwnedFd;

use nix::libc::{self, c_uint, tcflag_t};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};

/// "Character disabled" on the wire, and what Linux calls it.
const DISABLED: u32 = 255;

/// Applies opcode and argument pairs. Opcodes that Linux does not have are ignored, as sshd does.
pub(super) fn apply(terminal: &OwnedFd, modes: &[(u8, u32)]) -> io::Result<()> {
    let mut raw: libc::termios = tcgetattr(terminal)?.into();
    for (opcode, argument) in modes {
        set(&mut raw, *opcode, *argument);
    }
    let termios: Termios = raw.into();
    tcsetattr(terminal, SetArg::TCSANOW, &termios)?;
    Ok(())
}

fn set(termios: &mut libc::termios, opcode: u8, argument: u32) {
    if let Some(index) = character(opcode) {
        if let Some(slot) = termios.c_cc.get_mut(index) {
            *slot = if argument == DISABLED { 0 } else { (argument & 0xff) as u8 };
        }
        return;
    }
    let on = argument != 0;
    if let Some(flag) = input(opcode) {
        put(&mut termios.c_iflag, flag, on);
    } else if let Some(flag) = local(opcode) {
        put(&mut termios.c_lflag, flag, on);
    } else if let Some(flag) = output(opcode) {
        put(&mut termios.c_oflag, flag, on);
    } else {
        control(termios, opcode, on, argument);
    }
}

fn put(flags: &mut tcflag_t, flag: c_uint, on: bool) {
    if on {
        *flags |= flag;
    } else {
        *flags &= !flag;
    }
}

fn character(opcode: u8) -> Option<usize> {
    Some(match opcode {
        1 => libc::VINTR,
        2 => libc::VQUIT,
        3 => libc::VERASE,
        4 => libc::VKILL,
        5 => libc::VEOF,
        6 => libc::VEOL,
        7 => libc::VEOL2,
        8 => libc::VSTART,
        9 => libc::VSTOP,
        10 => libc::VSUSP,
        12 => libc::VREPRINT,
        13 => libc::VWERASE,
        14 => libc::VLNEXT,
        18 => libc::VDISCARD,
        _ => return None,
    })
}

fn input(opcode: u8) -> Option<c_uint> {
    Some(match opcode {
        30 => libc::IGNPAR,
        31 => libc::PARMRK,
        32 => libc::INPCK,
        33 => libc::ISTRIP,
        34 => libc::INLCR,
        35 => libc::IGNCR,
        36 => libc::ICRNL,
        37 => libc::IUCLC,
        38 => libc::IXON,
        39 => libc::IXANY,
        40 => libc::IXOFF,
        41 => libc::IMAXBEL,
        // RFC 8160
        42 => libc::IUTF8,
        _ => return None,
    })
}

fn local(opcode: u8) -> Option<c_uint> {
    Some(match opcode {
        50 => libc::ISIG,
        51 => libc::ICANON,
        53 => libc::ECHO,
        54 => libc::ECHOE,
        55 => libc::ECHOK,
        56 => libc::ECHONL,
        57 => libc::NOFLSH,
        58 => libc::TOSTOP,
        59 => libc::IEXTEN,
        60 => libc::ECHOCTL,
        61 => libc::ECHOKE,
        62 => libc::PENDIN,
        _ => return None,
    })
}

fn output(opcode: u8) -> Option<c_uint> {
    Some(match opcode {
        70 => libc::OPOST,
        71 => libc::OLCUC,
        72 => libc::ONLCR,
        73 => libc::OCRNL,
        74 => libc::ONOCR,
        75 => libc::ONLRET,
        _ => return None,
    })
}

fn control(termios: &mut libc::termios, opcode: u8, on: bool, argument: u32) {
    match opcode {
        90 | 91 if on => {
            termios.c_cflag &= !libc::CSIZE;
            termios.c_cflag |= if opcode == 90 { libc::CS7 } else { libc::CS8 };
        }
        92 => put(&mut termios.c_cflag, libc::PARENB, on),
        93 => put(&mut termios.c_cflag, libc::PARODD, on),
        128 => set_speed(termios, argument, true),
        129 => set_speed(termios, argument, false),
        _ => {}
    }
}

fn set_speed(termios: &mut libc::termios, baud: u32, is_input: bool) {
    let speed = match baud {
        1200 => libc::B1200,
        2400 => libc::B2400,
        4800 => libc::B4800,
        9600 => libc::B9600,
        19_200 => libc::B19200,
        38_400 => libc::B38400,
        57_600 => libc::B57600,
        115_200 => libc::B115200,
        230_400 => libc::B230400,
        _ => return,
    };
    // SAFETY: both only write into the termios they are given.
    unsafe {
        if is_input {
            libc::cfsetispeed(termios, speed);
        } else {
            libc::cfsetospeed(termios, speed);
        }
    }
}
