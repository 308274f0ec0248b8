//! How often somebody may try: pure, time is an argument.
//!
//! Three memories, all bounded:
//! - of a **user at an address**: after some wrong tries they wait, and each further one doubles the wait;
//! - of an **address**: names that have not failed there are let through, but only so many at a time;
//! - of a **user**: the same for addresses, so that guessing from everywhere is slow too.
//!
//! A user at an address from which they have logged in before is only held to the first, with a short wait:
//! what others do elsewhere, or to others there, never locks them out. Tries that are refused here are not checked, and
//! do not make the wait longer. A try is charged when it begins, so that many at once are no way around.

use std::net::IpAddr;
use std::time::Duration;

mod recent;

use recent::Recent;

use crate::config::Throttle as Rules;

/// What is remembered at most, of each kind; the oldest half goes first.
const MOST: usize = 32_768;
/// Tries of one user from one address that may be under way at once.
const AT_ONCE: u32 = 8;
/// The same where they have logged in before: an editor opens several connections.
const AT_ONCE_GOOD: u32 = 32;
/// The longest wait where they have logged in before.
const LONGEST_GOOD: Duration = Duration::from_secs(10);
/// Wrong tries from an address, or on a user from everywhere, before they are spaced out.
const BURST: u32 = 20;
/// Then one in so long.
const SPACING: Duration = Duration::from_secs(1);
/// A spaced try waits at most so long for its turn; beyond that it is refused.
const LONGEST_TURN: Duration = Duration::from_secs(10);

/// What to do with a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Check it, after this wait (mostly none).
    Check(Duration),
    /// Refuse it unchecked; it may be tried again after this time.
    Refuse(Duration),
}

/// What came of a try that was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was right.
    Right,
    /// It was wrong.
    Wrong,
    /// It could not be checked, or another factor is asked for.
    Neither,
}

/// An address as it counts: of IPv6 the network that one customer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source(IpAddr);

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => Self(IpAddr::V6((u128::from(v6) >> 64 << 64).into())),
            v4 => Self(v4),
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A user at an address.
#[derive(Debug, Clone, Default)]
struct Pair {
    wrong: u32,
    under_way: u32,
    free_at: Duration,
    last: Duration,
}

/// Tries spaced out: the time at which the next would be on time, ahead of now when there were many.
#[derive(Debug, Clone, Default)]
struct Spacing {
    next: Duration,
}

/// The memory. Times are measured from some moment that never changes.
#[derive(Debug)]
pub struct Throttle {
    rules: Rules,
    pairs: Recent<(String, Source), Pair>,
    sources: Recent<Source, Spacing>,
    users: Recent<String, Spacing>,
    good: Recent<(String, Source), ()>,
}

impl Throttle {
    /// Nothing is remembered yet.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            pairs: Recent::new(MOST),
            sources: Recent::new(MOST),
            users: Recent::new(MOST),
            good: Recent::new(MOST),
        }
    }

    /// Has this user logged in from there before?
    #[must_use]
    pub fn is_good(&self, user: &str, source: Source) -> bool {
        self.good.contains(&key(user, source))
    }

    /// Notes that this user has logged in from there.
    pub fn note_good(&mut self, user: &str, source: Source) {
        self.good.entry(key(user, source));
    }

    /// May this be tried? A try that is let through must be [`Throttle::end`]ed.
    pub fn begin(&mut self, user: &str, source: Source, now: Duration) -> Verdict {
        let is_good = self.is_good(user, source);
        let forget = self.rules.forget;
        let pair = self.pairs.entry(key(user, source));
        if now.saturating_sub(pair.last) > forget && pair.under_way == 0 {
            *pair = Pair::default();
        }
        if pair.free_at > now {
            return Verdict::Refuse(pair.free_at - now);
        }
        if pair.under_way >= if is_good { AT_ONCE_GOOD } else { AT_ONCE } {
            return Verdict::Refuse(self.rules.first_delay);
        }
        let wait = if is_good { Duration::ZERO } else { self.turn(user, source, now) };
        if wait > LONGEST_TURN {
            return Verdict::Refuse(wait - LONGEST_TURN);
        }
        let pair = self.pairs.entry(key(user, source));
        pair.under_way += 1;
        pair.last = now;
        if !is_good {
            self.sources.entry(source).take(now);
            self.users.entry(user.to_owned()).take(now);
        }
        Verdict::Check(wait)
    }

    /// How long a try must wait for its turn at its address and on its user.
    fn turn(&self, user: &str, source: Source, now: Duration) -> Duration {
        let of_source = self.sources.get(&source).map_or(Duration::ZERO, |spacing| spacing.wait(now));
        let of_user = self.users.get(&user.to_owned()).map_or(Duration::ZERO, |spacing| spacing.wait(now));
        of_source.max(of_user)
    }

    /// A try that was let through is over. A right one leaves nothing behind.
    pub fn end(&mut self, user: &str, source: Source, outcome: Outcome, now: Duration) {
        let is_good = self.is_good(user, source);
        let Rules { free, first_delay, max_delay, .. } = self.rules;
        let pair = self.pairs.entry(key(user, source));
        pair.under_way = pair.under_way.saturating_sub(1);
        pair.last = now;
        match outcome {
            Outcome::Wrong => {
                pair.wrong = pair.wrong.saturating_add(1);
                if let Some(doublings) = pair.wrong.checked_sub(free) {
                    let most = if is_good { max_delay.min(LONGEST_GOOD) } else { max_delay };
                    pair.free_at = now + doubled(first_delay, doublings).min(most);
                }
                return;
            }
            Outcome::Right => (pair.wrong, pair.free_at) = (0, Duration::ZERO),
            Outcome::Neither => {}
        }
        if !is_good {
            self.sources.entry(source).give_back();
            self.users.entry(user.to_owned()).give_back();
        }
        if outcome == Outcome::Right {
            self.note_good(user, source);
        }
    }

    /// How long this user, or anybody, at this address would be refused now: to be told before they try.
    #[must_use]
    pub fn refused_for(&self, user: Option<&str>, source: Source, now: Duration) -> Option<Duration> {
        let of_pair = user
            .and_then(|user| self.pairs.get(&key(user, source)).map(|pair| pair.free_at.saturating_sub(now)));
        let is_good = user.is_some_and(|user| self.is_good(user, source));
        let of_source = self.sources.get(&source).filter(|_| !is_good);
        let of_source = of_source.map(|spacing| spacing.wait(now).saturating_sub(LONGEST_TURN));
        of_pair.max(of_source).filter(|time| !time.is_zero())
    }
}

impl Spacing {
    fn wait(&self, now: Duration) -> Duration {
        self.next.saturating_sub(now + SPACING * BURST)
    }

    fn take(&mut self, now: Duration) {
        self.next = self.next.max(now) + SPACING;
    }

    fn give_back(&mut self) {
        self.next = self.next.saturating_sub(SPACING);
    }
}

fn key(user: &str, source: Source) -> (String, Source) {
    (user.to_owned(), source)
}

fn doubled(first: Duration, times: u32) -> Duration {
    first.saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
