//! A line between a client and the gateway that can be cut, or die without a word.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

pub struct Link {
    pub port: u16,
    ends: Arc<Mutex<Vec<TcpStream>>>,
    frozen: Arc<AtomicBool>,
}

impl Link {
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let link = Self {
            port: listener.local_addr().unwrap().port(),
            ends: Arc::default(),
            frozen: Arc::default(),
        };
        let (ends, frozen) = (link.ends.clone(), link.frozen.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let gateway = TcpStream::connect(("127.0.0.1", port)).unwrap();
                let copy = |stream: &TcpStream| stream.try_clone().unwrap();
                ends.lock().unwrap().extend([copy(&client), copy(&gateway)]);
                for (from, to) in [(copy(&client), copy(&gateway)), (gateway, client)] {
                    let frozen = frozen.clone();
                    std::thread::spawn(move || carry(from, to, &frozen));
                }
            }
        });
        link
    }

    /// Both sides see the end.
    pub fn cut(&self) {
        for end in self.ends.lock().unwrap().drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// Nothing comes through any more, and nobody is told.
    pub fn freeze(&self) {
        self.frozen.store(true, Ordering::SeqCst);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.cut();
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, frozen: &AtomicBool) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        // What is swallowed is gone, as in a network that has died.
        if !frozen.load(Ordering::SeqCst) && to.write_all(&buffer[..read]).is_err() {
            return;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
