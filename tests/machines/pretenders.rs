//! What is no engine, or one of another version.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::{goes_offline, offline, plan, works};
use crate::common::{Cluster, docker};

/// Something that is no engine, on a port of this host. Notes the first lines of what it is asked.
fn pretender(answer: impl Fn(&str, &mut TcpStream) + Send + 'static) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let note = asked.clone();
    std::thread::spawn(move || {
        // All at once: one that hangs must not hold up what comes next.
        let answer = Arc::new(Mutex::new(answer));
        for mut stream in listener.incoming().flatten() {
            let (answer, note) = (answer.clone(), note.clone());
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                while let Ok(read @ 1..) = stream.read(&mut request) {
                    let request = String::from_utf8_lossy(&request[..read]).into_owned();
                    let line = request.lines().next().unwrap_or_default().to_owned();
                    note.lock().unwrap().push(line.clone());
                    answer.lock().unwrap()(&line, &mut stream);
                }
            });
        }
    });
    (port, asked)
}

fn json(stream: &mut TcpStream, body: &str) {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}

/// An engine of some API version with no containers.
fn empty_engine(version: &'static str) -> (u16, Arc<Mutex<Vec<String>>>) {
    pretender(move |line, stream| {
        if line.contains("/version") {
            json(stream, &format!("{{\"Version\":\"x\",\"ApiVersion\":\"{version}\"}}"));
        } else if line.contains("/containers/json") {
            json(stream, "[]");
        }
    })
}

#[test]
fn engines_that_lie_or_say_nothing_are_offline_and_versions_are_agreed_on() {
    let (garbage, _) = pretender(|_, stream| drop(stream.write_all(b"\x1b[2J\x07 what is HTTP?\r\n\r\n")));
    let (endless, _) = pretender(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[");
        while stream.write_all(&[b' '; 65536]).is_ok() {}
    });
    let (silent, _) = pretender(|_, _| {});
    let (odd, _) = pretender(|_, stream| json(stream, "{\"ApiVersion\":\"no\\u001b[31mthing\"}"));
    let (old, asked_old) = empty_engine("1.41");
    let (new, asked_new) = empty_engine("1.99");
    let machine = |name: &str, port: u16| {
        format!("[[machine]]\nname = \"{name}\"\nengine = \"tcp://127.0.0.1:{port}\"\n[[machine.slot]]\n")
    };
    let machines = [
        "[[machine]]\nname = \"gpu1\"\n[[machine.slot]]\n".to_owned(),
        machine("garbage", garbage),
        machine("endless", endless),
        machine("silent", silent),
        machine("odd", odd),
        machine("old", old),
        machine("new", new),
    ];
    let cluster = Cluster::start(plan(machines.concat()));
    cluster.ssh("bob").run("clusteria reserve gpu1").success();
    for name in ["garbage", "endless", "silent", "odd"] {
        goes_offline(&cluster, name, "the engine");
        let why = offline(&cluster, name).unwrap();
        assert!(!why.contains(char::is_control) && why.len() < 600, "{why:?}");
    }
    for name in ["gpu1", "old", "new"] {
        assert_eq!(offline(&cluster, name), None, "{name}");
    }
    let listed = |asked: &Mutex<Vec<String>>| {
        let asked = asked.lock().unwrap();
        asked.iter().find(|line| line.contains("/containers/json")).cloned().unwrap()
    };
    assert!(listed(&asked_old).starts_with("GET /v1.41/"), "{}", listed(&asked_old));
    let newest = listed(&asked_new);
    assert!(newest.starts_with("GET /v1.") && !newest.contains("/v1.99/"), "ours, not theirs: {newest}");
    let real = docker(&["version", "-f", "{{.Server.APIVersion}}"]);
    eprintln!("the real engine here speaks {}", real.trim());
    works(&cluster, "bob");
}
