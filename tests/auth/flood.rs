//! What a crowd of wrong logins does to the others, and what the time of a refusal tells.

use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use russh::ChannelMsg;
use russh::client::Msg;

use super::client::{Try, fresh_address};
use super::wire::{connect, refusal_time};
use crate::common::{Cluster, Plan, SOON, eventually};

/// Unknown user and wrong password, tried in turn: a rank test (Mann-Whitney) over all samples. The chance that equal
/// distributions are called different is one in ten thousand.
#[test]
fn unknown_user_and_wrong_password_cannot_be_told_apart_by_time() {
    const SAMPLES: usize = 48;
    const AT_ONCE: usize = 2;
    let cluster = Cluster::start(Plan { users: &[], ..Plan::default() });
    // Several of each, so that no name is tried so often that it has to wait.
    for n in 0..SAMPLES / AT_ONCE {
        cluster
            .cli_with_input(&["user", "add", &format!("known{n}"), "--password-stdin"], "right\n")
            .success();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for round in 0..SAMPLES / AT_ONCE {
        let times = runtime.block_on(async {
            let one = |n: usize| {
                let name =
                    if n.is_multiple_of(2) { format!("known{round}") } else { format!("other{round}") };
                let (port, from) = (cluster.port, fresh_address());
                async move { refusal_time(port, &from, &name).await }
            };
            futures_util::future::join_all((0..2 * AT_ONCE).map(one)).await
        });
        for (n, time) in times.into_iter().enumerate() {
            if n.is_multiple_of(2) { known.push(time) } else { unknown.push(time) }
        }
    }
    let z = rank_test(&known, &unknown);
    eprintln!("known {:?}, unknown {:?} (medians), z = {z:.2}", median(&mut known), median(&mut unknown));
    assert!(z.abs() < 3.9, "known {known:?}\nunknown {unknown:?}\nz = {z}");
}

/// How many standard deviations the ranks of one sample are away from those of the same distribution.
fn rank_test(one: &[Duration], other: &[Duration]) -> f64 {
    let wins: f64 = one
        .iter()
        .flat_map(|a| {
            other.iter().map(move |b| {
                if a > b {
                    1.0
                } else if a == b {
                    0.5
                } else {
                    0.0
                }
            })
        })
        .sum();
    let (n, m) = (one.len() as f64, other.len() as f64);
    (wins - n * m / 2.0) / (n * m * (n + m + 1.0) / 12.0).sqrt()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// A thousand wrong logins at once, each of another user from another address, so that no limit of one source helps.
/// Somebody who works meanwhile gets their echo within twice its quiet time.
#[test]
fn a_thousand_wrong_logins_at_once_do_not_slow_down_who_works() {
    const CROWD: usize = 1000;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    let cluster = Cluster::start(Plan { ssh: "login_grace = \"2m\"", ..Plan::default() });
    cluster.ssh("ada").run("clusteria reserve").success();
    let own = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut echo = own.block_on(Echo::open(&cluster));
    let mut quiet = own.block_on(echo.times(300));
    // The crowd is elsewhere: here it only gets the time that nobody else wants.
    let crowd = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .on_thread_start(|| {
            unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) };
        })
        .enable_all()
        .build()
        .unwrap();
    let began = Instant::now();
    let mut tasks = Vec::new();
    for n in 0..CROWD {
        let (port, from) = (cluster.port, fresh_address());
        tasks.push(crowd.spawn(async move { refusal_time(port, &from, &format!("stranger{n}")).await }));
    }
    let mut loud = Vec::new();
    while tasks.iter().any(|task| !task.is_finished()) {
        loud.extend(own.block_on(echo.times(20)));
        assert!(began.elapsed() < Duration::from_secs(300), "the crowd is never done");
    }
    let took = began.elapsed();
    let refused = own.block_on(futures_util::future::join_all(tasks));
    assert!(refused.iter().all(Result::is_ok), "each of them was answered");
    let mut after = own.block_on(echo.times(300));
    let at = |times: &mut Vec<Duration>, of_hundred: usize| {
        times.sort();
        times[times.len() * of_hundred / 100]
    };
    let (q50, q95) = (at(&mut quiet, 50), at(&mut quiet, 95));
    let (l50, l95) = (at(&mut loud, 50), at(&mut loud, 95));
    let a50 = at(&mut after, 50);
    eprintln!(
        "{CROWD} logins in {took:?}; echo quiet p50 {q50:?} p95 {q95:?}, meanwhile p50 {l50:?} p95 {l95:?} ({} samples), after p50 {a50:?}",
        loud.len()
    );
    assert!(loud.len() >= 100, "{} echoes in {took:?}", loud.len());
    // On a busy machine a millisecond's echo may double by itself; what nobody can feel is no failure.
    let bound = (2 * q50.max(a50)).max(Duration::from_millis(10));
    assert!(l50 <= bound, "quiet {q50:?}, meanwhile {l50:?}");
    // And who has been here before logs in by password in the middle of a second crowd.
    Try::new(&cluster, "ada", "password").from("127.8.0.1").password("pw-ada").is_in();
    let again: Vec<_> = (0..300)
        .map(|n| {
            let (port, from) = (cluster.port, fresh_address());
            crowd.spawn(async move { refusal_time(port, &from, &format!("other{n}")).await })
        })
        .collect();
    eventually("the second crowd is there", SOON, || {
        again.iter().any(|task| task.is_finished()).then_some(())
    });
    let began = Instant::now();
    Try::new(&cluster, "ada", "password").from("127.8.0.1").password("pw-ada").is_in();
    eprintln!("a known user's login meanwhile: {:?}", began.elapsed());
    own.block_on(futures_util::future::join_all(again));
}

/// A shell in a container, whose echo is measured.
struct Echo {
    channel: russh::Channel<Msg>,
    _client: russh::client::Handle<super::wire::Client>,
}

impl Echo {
    async fn open(cluster: &Cluster) -> Self {
        let mut client = connect(cluster.port, "127.0.0.1").await.unwrap();
        assert!(client.authenticate_password("ada", "pw-ada").await.unwrap().success());
        let channel = client.channel_open_session().await.unwrap();
        channel.request_pty(true, "dumb", 80, 24, 0, 0, &[]).await.unwrap();
        channel.exec(true, "stty raw -echo; echo ready; exec cat").await.unwrap();
        let mut echo = Self { channel, _client: client };
        echo.hear(b'y').await;
        echo
    }

    async fn hear(&mut self, byte: u8) {
        loop {
            match tokio::time::timeout(Duration::from_secs(30), self.channel.wait()).await.unwrap().unwrap() {
                ChannelMsg::Data { data } if data.contains(&byte) => return,
                _ => {}
            }
        }
    }

    /// A key and its echo.
    async fn once(&mut self) -> Duration {
        let began = Instant::now();
        self.channel.data_bytes(&b"x"[..]).await.unwrap();
        self.hear(b'x').await;
        began.elapsed()
    }

    /// With the pauses of somebody who types fast.
    async fn times(&mut self, count: usize) -> Vec<Duration> {
        let mut times = Vec::new();
        for _ in 0..count {
            times.push(self.once().await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        times
    }
}
