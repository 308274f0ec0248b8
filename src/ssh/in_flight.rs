//! How much of what one channel has sent may be on its way to the client and not consumed.
//!
//! Whatever else the connection says waits behind it: a key's echo beside a download. The client's window (2 MiB with
//! OpenSSH) is made for the longest ways; on a short one it is a queue of milliseconds in the client's own socket. So a channel
//! has under way what the way needs, and no more, while the connection has others. A channel that is alone keeps nobody waiting,
//! and a full queue moves it faster.

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tokio::net::TcpStream;

/// OpenSSH's clients adjust a window in steps of some 100 KiB: less than two of them would make it wait for us.
const LEAST: u32 = 256 * 1024;
/// What a way must hold for each microsecond of its round trip, at 500 MB/s: no client decrypts much faster.
const BYTES_PER_MICROSECOND: u32 = 500;

/// The limit for each channel of one connection.
#[derive(Debug)]
pub(super) struct InFlight {
    limit: Arc<AtomicU32>,
    /// What the way needs; no limit until it has been measured.
    needed: AtomicU32,
    is_shared: AtomicBool,
}

impl Default for InFlight {
    fn default() -> Self {
        let limit = Arc::new(AtomicU32::new(u32::MAX));
        Self { limit, needed: AtomicU32::new(u32::MAX), is_shared: AtomicBool::new(false) }
    }
}

impl InFlight {
    /// The number itself, which changes with the way.
    pub(super) fn limit(&self) -> Arc<AtomicU32> {
        self.limit.clone()
    }

    /// So many channels are open.
    pub(super) fn share(&self, channels: usize) {
        self.is_shared.store(channels > 1, Ordering::Relaxed);
        self.set();
    }

    fn set(&self) {
        let is_shared = self.is_shared.load(Ordering::Relaxed);
        let limit = if is_shared { self.needed.load(Ordering::Relaxed) } else { u32::MAX };
        self.limit.store(limit, Ordering::Relaxed);
    }

    pub(super) fn measure(&self, tcp: &TcpStream) {
        if let Some(microseconds) = round_trip(tcp) {
            let needed = microseconds.saturating_mul(BYTES_PER_MICROSECOND);
            self.needed.store(LEAST.saturating_add(needed), Ordering::Relaxed);
            self.set();
        }
    }
}

/// The place of `tcpi_min_rtt` in the kernel's `struct tcp_info`, in words; libc's has only its beginning.
const MIN_RTT: usize = 37;

/// The shortest round trip of the last minutes, in microseconds.
fn round_trip(tcp: &TcpStream) -> Option<u32> {
    let mut info = [0_u32; MIN_RTT + 1];
    let mut length = libc::socklen_t::try_from(size_of_val(&info)).ok()?;
    // SAFETY: the kernel writes at most `length` bytes, which is the size of `info`.
    let outcome = unsafe {
        libc::getsockopt(
            tcp.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    let is_whole = outcome == 0 && usize::try_from(length) == Ok(size_of_val(&info));
    info.get(MIN_RTT).copied().filter(|time| is_whole && *time < u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_short_way_has_little_under_way() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (client, server) =
            tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let (_client, (server, _)) = (client.unwrap(), server.unwrap());
        let in_flight = InFlight::default();
        let limit = in_flight.limit();
        in_flight.share(2);
        assert_eq!(limit.load(Ordering::Relaxed), u32::MAX, "not measured yet");
        in_flight.measure(&server);
        let short = limit.load(Ordering::Relaxed);
        assert!((LEAST..LEAST + 50_000 * BYTES_PER_MICROSECOND).contains(&short), "{short}");
        in_flight.share(1);
        assert_eq!(limit.load(Ordering::Relaxed), u32::MAX, "nobody waits");
    }
}
