use proptest::prelude::*;

use super::*;

const RULES: Rules = Rules {
    free: 5,
    first_delay: Duration::from_secs(1),
    max_delay: Duration::from_secs(300),
    forget: Duration::from_secs(1800),
};

fn source(n: u32) -> Source {
    IpAddr::from(n.to_be_bytes()).into()
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// One try that is checked at once; how long it was refused for instead.
fn try_once(
    throttle: &mut Throttle,
    user: &str,
    from: Source,
    outcome: Outcome,
    now: Duration,
) -> Option<Duration> {
    match throttle.begin(user, from, now) {
        Verdict::Refuse(time) => Some(time),
        Verdict::Check(_) => {
            throttle.end(user, from, outcome, now);
            None
        }
    }
}

#[test]
fn the_wait_doubles_up_to_its_limit_and_is_told() {
    let mut throttle = Throttle::new(RULES);
    let mut now = seconds(100);
    let mut waits = Vec::new();
    for _ in 0..16 {
        assert_eq!(try_once(&mut throttle, "ada", source(1), Outcome::Wrong, now), None);
        let refused = throttle.refused_for(Some("ada"), source(1), now);
        if refused.is_some() {
            assert_eq!(try_once(&mut throttle, "ada", source(1), Outcome::Right, now), refused);
        }
        now += refused.unwrap_or_default();
        waits.push(refused.map_or(0, |wait| wait.as_secs()));
    }
    assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    // Right in the end: nothing is left.
    assert_eq!(try_once(&mut throttle, "ada", source(1), Outcome::Right, now), None);
    assert_eq!(throttle.refused_for(Some("ada"), source(1), now), None);
    // And after a while nothing is held against anybody.
    for _ in 0..9 {
        try_once(&mut throttle, "eve", source(2), Outcome::Wrong, now);
    }
    assert!(throttle.refused_for(Some("eve"), source(2), now).is_some());
    now += RULES.forget + seconds(1);
    for _ in 0..4 {
        assert_eq!(try_once(&mut throttle, "eve", source(2), Outcome::Wrong, now), None);
    }
}

#[test]
fn many_at_once_are_no_way_around() {
    let mut throttle = Throttle::new(RULES);
    let now = seconds(1);
    let verdicts: Vec<Verdict> = (0..1000).map(|_| throttle.begin("ada", source(1), now)).collect();
    let checked = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Check(_))).count();
    assert_eq!(checked, AT_ONCE as usize);
    // From a thousand addresses: a burst, then in turns, the rest refused.
    let mut throttle = Throttle::new(RULES);
    let verdicts: Vec<Verdict> = (0..1000).map(|n| throttle.begin("ada", source(n), now)).collect();
    let at_once = verdicts.iter().filter(|verdict| **verdict == Verdict::Check(Duration::ZERO)).count();
    let refused = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Refuse(_))).count();
    assert!(at_once <= 1 + BURST as usize && refused >= 960, "{at_once} at once, {refused} refused");
    // A thousand names from one address likewise.
    let mut throttle = Throttle::new(RULES);
    let names: Vec<Verdict> = (0..1000).map(|n| throttle.begin(&format!("u{n}"), source(1), now)).collect();
    assert!(names.iter().filter(|verdict| matches!(verdict, Verdict::Refuse(_))).count() >= 960);
}

#[test]
fn one_customer_of_ipv6_is_one_source() {
    let of = |text: &str| Source::from(text.parse::<IpAddr>().unwrap());
    assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
    assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
}

#[derive(Debug, Clone)]
struct Try {
    user: u8,
    from: u8,
    right: bool,
    after: u64,
}

fn tries() -> impl Strategy<Value = Vec<Try>> {
    let one = (0..6_u8, 0..6_u8, prop::bool::weighted(0.1), 0..4_u64)
        .prop_map(|(user, from, right, after)| Try { user, from, right, after });
    prop::collection::vec(one, 0..400)
}

proptest! {
    /// Whatever all others do, elsewhere and at the same address: who was right there before is checked at once.
    #[test]
    fn nobody_is_locked_out_by_others(tries in tries()) {
        let mut throttle = Throttle::new(RULES);
        let mut now = seconds(1);
        throttle.note_good("victim", source(0));
        for t in tries {
            now += seconds(t.after);
            // User 0 is the victim, whom others try from everywhere but address 0.
            let user = if t.user == 0 { "victim".to_owned() } else { format!("u{}", t.user) };
            let from = source(u32::from(if t.user == 0 { t.from + 1 } else { t.from }));
            let outcome = if t.right && t.user != 0 { Outcome::Right } else { Outcome::Wrong };
            try_once(&mut throttle, &user, from, outcome, now);
            prop_assert_eq!(throttle.refused_for(Some("victim"), source(0), now), None);
            prop_assert_eq!(throttle.begin("victim", source(0), now), Verdict::Check(Duration::ZERO));
            throttle.end("victim", source(0), Outcome::Right, now);
        }
    }

    /// A wait that is told is true: it is never longer than the limit, and after it the try is checked.
    #[test]
    fn the_time_to_retry_is_true(tries in tries()) {
        let mut throttle = Throttle::new(RULES);
        let mut now = seconds(1);
        for t in tries {
            now += seconds(t.after);
            let user = format!("u{}", t.user);
            let from = source(u32::from(t.from));
            let outcome = if t.right { Outcome::Right } else { Outcome::Wrong };
            if let Some(wait) = try_once(&mut throttle, &user, from, outcome, now) {
                prop_assert!(wait <= RULES.max_delay, "{wait:?}");
                let mut later = now + wait;
                // Spaced turns may have been taken by then; each look tells the truth of its moment.
                for _ in 0..3 {
                    match throttle.refused_for(Some(&user), from, later) {
                        Some(more) => later += more,
                        None => break,
                    }
                }
                prop_assert_eq!(throttle.refused_for(Some(&user), from, later), None);
            }
        }
    }

    /// One pair is never checked more often than its rules say, however the tries are spread.
    #[test]
    fn guessing_is_slow(gaps in prop::collection::vec(0..700_u64, 1..500)) {
        let mut throttle = Throttle::new(RULES);
        let mut now = seconds(1);
        let mut checked = 0_u32;
        for gap in gaps {
            now += Duration::from_millis(gap);
            if try_once(&mut throttle, "ada", source(1), Outcome::Wrong, now).is_none() {
                checked += 1;
            }
        }
        // free + log2 of the time in seconds + the try at the end.
        let most = RULES.free + 64 - now.as_secs().leading_zeros() + 1;
        prop_assert!(checked <= most, "{checked} checked in {now:?}");
    }

    /// Memory has a limit whatever comes.
    #[test]
    fn memory_is_bounded(seed in any::<u32>()) {
        let mut throttle = Throttle { pairs: Recent::new(64), sources: Recent::new(64), users: Recent::new(64), good: Recent::new(64), ..Throttle::new(RULES) };
        for n in 0..2000_u32 {
            let from = source(n.wrapping_mul(seed | 1));
            let outcome = if n % 3 == 0 { Outcome::Right } else { Outcome::Wrong };
            try_once(&mut throttle, &format!("u{n}"), from, outcome, seconds(u64::from(n)));
            prop_assert!(throttle.pairs.len() <= 64 && throttle.sources.len() <= 64);
            prop_assert!(throttle.users.len() <= 64 && throttle.good.len() <= 64);
        }
    }
}
