use super::attempt::{REFUSAL_TIME, due};
use super::*;
use crate::config::{Throttle as ThrottleRules, Totp, TotpRequired};
use crate::store::KeyRecord;

fn rules() -> Rules {
    let text = "[cluster]\nname = \"lab\"\n[container]\nimage = \"a:1\"\n[[machine]]\nname = \"gpu1\"\n[[machine.slot]]\n";
    crate::config::Config::parse(text, std::path::Path::new("/c.toml")).unwrap().auth
}

fn who(name: &str) -> Attempt<'_> {
    Attempt { name, peer: "192.0.2.1:4711".parse().unwrap(), method: "test" }
}

struct Fixture {
    auth: Authenticator,
    ledger: Ledger,
    _folder: tempfile::TempDir,
}

fn fixture(rules: &Rules) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&folder.path().join("l.db")).unwrap();
    let hash = password::hash("right").unwrap();
    for name in ["ada", "off", "old"] {
        ledger.add_user(&name.parse().unwrap(), Some(&hash), Timestamp::now()).unwrap();
    }
    ledger.add_user(&"bob".parse().unwrap(), None, Timestamp::now()).unwrap();
    ledger.set_disabled(&"off".parse().unwrap(), true).unwrap();
    ledger.set_expires(&"old".parse().unwrap(), Some(Timestamp::now())).unwrap();
    let auth = Authenticator::new(ledger.clone(), rules, Audit::default()).unwrap();
    Fixture { auth, ledger, _folder: folder }
}

fn is_in(login: &Login, name: &str) -> bool {
    matches!(login, Login::In(identity, _) if identity.user().as_str() == name)
}

#[tokio::test]
async fn only_the_right_password_of_the_right_user_opens() {
    let f = fixture(&rules());
    assert!(is_in(&f.auth.password(who("ada"), "right").await, "ada"));
    for (name, password) in [
        ("ada", "wrong"),
        ("ada", ""),
        ("bob", ""),
        ("bob", "nobody has this password"),
        ("eve", "nobody has this password"),
        ("off", "right"),
        ("old", "right"),
        ("../ada", "right"),
        ("ADA", "right"),
    ] {
        let began = Instant::now();
        assert!(matches!(f.auth.password(who(name), password).await, Login::Out(Denial::Wrong)), "{name}");
        assert!(began.elapsed() >= REFUSAL_TIME);
    }
}

#[tokio::test]
async fn a_reservations_password_opens_beside_the_accounts_own_until_it_ends() {
    use crate::reservation::{Reservation, ReservationId, State};
    let f = fixture(&rules());
    let now = Timestamp::now();
    let reservation = |user: &str| Reservation {
        id: ReservationId::new(),
        user: user.parse().unwrap(),
        slot: "gpu1/1".parse().unwrap(),
        started: now,
        deadline: now + Duration::from_secs(3600),
        state: State::Active,
    };
    let lent = ReservationPassword::generate().unwrap();
    let (adas, offs) = (reservation("ada"), reservation("off"));
    for one in [&adas, &offs] {
        f.ledger.note_reservation(one).unwrap();
        f.ledger.set_reservation_password(&one.id, &lent.hash().unwrap(), None).unwrap();
    }
    let by_lent = f.auth.password(who("ada"), lent.reveal()).await;
    assert!(is_in(&by_lent, "ada"));
    assert!(matches!(by_lent, Login::In(_, Checked::Reservation(id, _)) if id == adas.id));
    let by_own = f.auth.password(who("ada"), "right").await;
    assert!(is_in(&by_own, "ada") && matches!(by_own, Login::In(_, Checked::Account(Some(_)))));
    for name in ["bob", "off"] {
        assert!(matches!(f.auth.password(who(name), lent.reveal()).await, Login::Out(_)), "{name}");
    }
    f.ledger.forget_reservation_password(&adas.id).unwrap();
    assert!(matches!(f.auth.password(who("ada"), lent.reveal()).await, Login::Out(Denial::Wrong)));
    assert!(is_in(&f.auth.password(who("ada"), "right").await, "ada"));
}

#[tokio::test]
async fn a_key_opens_its_own_account_only() {
    let f = fixture(&rules());
    let key = |fingerprint: &str| KeyRecord {
        fingerprint: fingerprint.into(),
        line: String::new(),
        comment: String::new(),
        last_used: None,
    };
    f.ledger.add_key(&"ada".parse().unwrap(), &key("SHA256:k"), Timestamp::now()).unwrap();
    f.ledger.add_key(&"off".parse().unwrap(), &key("SHA256:o"), Timestamp::now()).unwrap();
    assert!(f.auth.key_is_known("ada", "SHA256:k").await);
    assert!(!f.auth.key_is_known("bob", "SHA256:k").await);
    for (name, key) in [("bob", "SHA256:k"), ("eve", "SHA256:k"), ("ada", "SHA256:o"), ("off", "SHA256:o")] {
        assert!(matches!(f.auth.verified_key(who(name), key).await, Login::Out(Denial::Wrong)), "{name}");
    }
    assert!(is_in(&f.auth.verified_key(who("ada"), "SHA256:k").await, "ada"));
    assert!(f.ledger.keys(&"ada".parse().unwrap()).unwrap()[0].last_used.is_some());
}

#[tokio::test]
async fn wrong_tries_wait_and_good_addresses_outlive_the_gateway() {
    let first_delay = Duration::from_secs(60);
    let rules = Rules { throttle: ThrottleRules { free: 2, first_delay, ..rules().throttle }, ..rules() };
    let f = fixture(&rules);
    assert!(is_in(&f.auth.password(who("ada"), "right").await, "ada"));
    let elsewhere = Attempt { peer: "192.0.2.2:1".parse().unwrap(), ..who("ada") };
    for _ in 0..2 {
        assert!(matches!(f.auth.password(elsewhere, "wrong").await, Login::Out(Denial::Wrong)));
    }
    let Login::Out(Denial::Later(wait)) = f.auth.password(elsewhere, "right").await else {
        panic!("not refused")
    };
    assert!(wait > Duration::from_secs(50) && wait <= first_delay);
    assert_eq!(f.auth.refused_for(Some("eve"), elsewhere.peer.ip()), None);
    assert!(f.auth.refused_for(Some("ada"), elsewhere.peer.ip()).is_some());
    // Where ada has been before nothing is held against her, and that is kept.
    assert!(is_in(&f.auth.password(who("ada"), "right").await, "ada"));
    let kept = || f.ledger.good_sources(9).unwrap() == [("ada".to_owned(), "192.0.2.1".to_owned())];
    while !kept() {
        tokio::task::yield_now().await;
    }
    let again = Authenticator::new(f.ledger.clone(), &rules, Audit::default()).unwrap();
    assert!(again.inner.throttle().is_good("ada", who("ada").peer.ip().into()));
}

#[tokio::test]
async fn a_second_factor_is_asked_for_made_and_taken_once() {
    let totp = Totp { required: TotpRequired::Everybody, after: vec![AuthMethod::Password] };
    let f = fixture(&Rules { totp, ..rules() });
    let now = || u64::try_from(Timestamp::now().as_second()).unwrap();
    let Login::Half(half) = f.auth.password(who("ada"), "right").await else { panic!("one was enough") };
    let secret = half.to_enrol().unwrap().to_owned();
    let code = |secret: &str, at: u64| totp::code(secret, at).unwrap();
    assert!(matches!(f.auth.code(who("ada"), half.clone(), "000").await, Login::Out(Denial::Wrong)));
    let right = code(&secret, now());
    assert!(is_in(&f.auth.code(who("ada"), half, &right).await, "ada"));
    // Enrolled: asked from now on, and no code works twice.
    let Login::Half(half) = f.auth.password(who("ada"), "right").await else { panic!("one was enough") };
    assert_eq!(half.to_enrol(), None);
    assert!(matches!(f.auth.code(who("ada"), half.clone(), &right).await, Login::Out(Denial::Wrong)));
    let next = code(&secret, now() + 30);
    assert!(is_in(&f.auth.code(who("ada"), half, &next).await, "ada"));
}

#[test]
fn refusals_are_due_at_the_ends_of_spans() {
    let began = Instant::now();
    let at = |ms| due(began, began + Duration::from_millis(ms)).duration_since(began).as_millis();
    assert_eq!([at(0), at(1), at(399), at(400), at(401), at(1000)], [400, 400, 400, 800, 800, 1200]);
}
