//! The user's rights, for a moment, in a thread that has no others and ends after it.

use std::io;

use super::account::User;
use super::run::STACK;

/// Does a piece of work as the user.
pub(super) fn as_user<T: Send + 'static>(
    user: &User,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let user = user.clone();
    let work = move || {
        become_user_in_this_thread(&user)?;
        work()
    };
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(work)?;
    thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread with the user's rights failed")))
}

/// Raw system calls change one thread only, where libc's functions would change the whole agent.
fn become_user_in_this_thread(user: &User) -> io::Result<()> {
    let (uid, gid) = (user.account.uid, user.account.gid);
    let check = |result: libc::c_long| if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    // SAFETY: pointer and length describe `groups`, which lives across the call.
    check(unsafe { libc::syscall(libc::SYS_setgroups, user.groups.len(), user.groups.as_ptr()) })?;
    // SAFETY: plain integers.
    check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) })?;
    // SAFETY: plain integers.
    check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) })
}
