//! Large files through JupyterLab, both ways, by its own buttons; and a reader who takes their time.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;

use serde_json::json;

use crate::START;
use crate::common::browser::Browser;
use crate::common::{Plan, big_file, eventually};
use crate::raw::{Visitor, enter_lab};
use crate::site::Site;

const MIB: u64 = 1024 * 1024;
const SIZE: u64 = 320 * MIB;
/// What the gateway may need more than before: a window for each connection, not the file.
const MORE: u64 = 64 * MIB;

fn sha256(of: impl Into<Stdio>) -> String {
    let output = Command::new("sha256sum").stdin(of).output().unwrap();
    String::from_utf8_lossy(&output.stdout).split_whitespace().next().unwrap().to_owned()
}

/// The most memory that a process has had.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[test]
fn files_of_hundreds_of_megabytes_go_both_ways_and_the_gateway_stays_small() {
    let site = Site::start(Plan { image: "clusteria/jupyter:1", ..Plan::default() });
    site.cluster.ssh("ada").run("clusteria reserve gpu1/1").success();
    eventually("JupyterLab runs", START, || {
        (site.cluster.status("ada")["reservation"]["jupyter"]["state"] == "running").then_some(())
    });
    let file = big_file(site.cluster.folder.path(), SIZE);
    let name = file.file_name().unwrap().to_str().unwrap();
    let sum = sha256(File::open(&file).unwrap());
    let pid = site.cluster.gateway_pid();

    let mut browser = Browser::start();
    site.sign_in(&mut browser, "ada", "pw-ada");
    site.open(&mut browser, "/reservation");
    browser.ask(&json!({ "command": "pressForTab", "words": "Open on JupyterLab", "until": format!("{}/lab", site.jupyter) }));
    let before = peak(pid);
    browser.ask(&json!({ "command": "upload", "path": file, "name": name }));
    let there = eventually("all of it is there", START, || {
        let ran = site.cluster.ssh("ada").run(&format!("stat -c %s {name} && sha256sum {name}"));
        (ran.status == 0 && ran.stdout.starts_with(&format!("{SIZE}\n"))).then_some(ran.stdout)
    });
    assert!(there.contains(&sum), "{there}");

    let back = site.cluster.path("back");
    let url = format!("{}/files/{name}?download=1", site.jupyter);
    browser.ask(&json!({ "command": "download", "url": url, "path": back }));
    assert_eq!(sha256(File::open(&back).unwrap()), sum);

    // Somebody reads the head and then nothing for as long as others read all of it.
    let ada = Visitor::sign_in(&site.url, "ada");
    let (cookies, _) = enter_lab(&site.url, &ada);
    let start = || {
        let address = site.jupyter.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).unwrap();
        let head = format!(
            "GET /files/{name} HTTP/1.1\r\nHost: {address}\r\nCookie: {cookies}\r\nReferer: http://{address}/lab\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&head));
        stream
    };
    let read = |mut stream: TcpStream| {
        let mut hash =
            Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        std::io::copy(&mut stream, hash.stdin.as_mut().unwrap()).unwrap();
        String::from_utf8(hash.wait_with_output().unwrap().stdout).unwrap()
    };
    let slow: Vec<TcpStream> = (0..8).map(|_| start()).collect();
    thread::scope(|scope| {
        let fast: Vec<_> = (0..2).map(|_| scope.spawn(|| read(start()))).collect();
        for one in fast {
            assert!(one.join().unwrap().starts_with(&sum));
        }
    });
    for stream in slow.into_iter().take(2) {
        assert!(read(stream).starts_with(&sum), "whole, however late");
    }
    let after = peak(pid);
    println!("the gateway's memory: {} MiB before, {} MiB at most", before / MIB, after / MIB);
    assert!(after < before + MORE, "{before} {after}");
}
