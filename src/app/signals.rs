//! What the service manager says to us, and we to it.

use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::AppError;

/// SIGTERM and SIGINT stop; SIGHUP is the beginning of a reload, and must not stop us: a terminal that closes is no
/// reason to cut people off.
///
/// # Errors
/// When signals cannot be listened to.
pub(super) fn listen() -> Result<(CancellationToken, Signal), AppError> {
    let stopping = CancellationToken::new();
    let token = stopping.clone();
    let mut terminate = signal(SignalKind::terminate()).map_err(AppError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(AppError::Signals)?;
    let hangup = signal(SignalKind::hangup()).map_err(AppError::Signals)?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: no new connections");
        token.cancel();
    });
    Ok((stopping, hangup))
}

/// Tells systemd that we serve, and that this process is the one to look after (sd_notify(3)).
pub(super) fn tell_ready() {
    if let Some(socket) = std::env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty()) {
        let words = format!("READY=1\nMAINPID={}\n", std::process::id());
        if let Err(e) = send(&socket, words.as_bytes()) {
            tracing::warn!("the service manager was not told that we serve: {e}");
        }
    }
}

fn send(socket: &OsString, words: &[u8]) -> std::io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        path => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path))?,
    };
    UnixDatagram::unbound()?.send_to_addr(words, &address).map(drop)
}
