//! How long a byte takes to a program in a container and back.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::Cluster;

/// Echo times of a program in somebody's container, in microseconds, sorted.
pub fn echo_times(cluster: &Cluster, user: &str, count: usize) -> Vec<u128> {
    let mut ssh =
        cluster.ssh(user).command("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = ssh.stdin.take().unwrap();
    let mut output = BufReader::new(ssh.stdout.take().unwrap());
    let mut line = String::new();
    let mut times: Vec<u128> = (0..count)
        .map(|round| {
            let began = Instant::now();
            writeln!(input, "{round}").unwrap();
            line.clear();
            output.read_line(&mut line).unwrap();
            let took = began.elapsed().as_micros();
            // A person types no faster.
            std::thread::sleep(Duration::from_millis(5));
            took
        })
        .collect();
    drop(input);
    ssh.wait().unwrap();
    times.sort_unstable();
    times
}

/// Of sorted times.
pub fn middle_and_worst(times: &[u128]) -> (u128, u128) {
    (times[times.len() / 2], times[times.len() * 99 / 100])
}
