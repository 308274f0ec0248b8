use std::io::{Read, Write};
use std::sync::Arc;

use proptest::prelude::*;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::{AlertDescription, ClientConfig, ClientConnection, ServerConfig, ServerConnection};

use super::super::pins::{OwnKey, SEED};
use super::*;

fn name() -> ServerName<'static> {
    ServerName::try_from("127.0.0.1").unwrap()
}

/// Of sides that know each other.
fn configs() -> (Arc<ClientConfig>, Arc<ServerConfig>) {
    let [one, other] = [1, 2].map(|seed| OwnKey::from_seed(&[seed; SEED]).unwrap());
    (Arc::new(one.client(other.public()).unwrap()), Arc::new(other.server(one.public()).unwrap()))
}

type Both = (Handshake<UnbufferedClientConnection>, Handshake<UnbufferedServerConnection>);

/// Until one of them fails, or both are done.
fn shake_hands((client, server): &mut Both) -> Result<(), Error> {
    loop {
        let done = client.advance();
        server.incoming().extend(client.take_outgoing());
        let other_done = server.advance();
        client.incoming().extend(server.take_outgoing());
        if done? & other_done? {
            return Ok(());
        }
    }
}

fn connect((client_config, server_config): (Arc<ClientConfig>, Arc<ServerConfig>)) -> (Session, Session) {
    let mut both = (client(client_config, name()).unwrap(), server(server_config).unwrap());
    shake_hands(&mut both).unwrap();
    (both.0.finish().unwrap(), both.1.finish().unwrap())
}

fn connected() -> (Session, Session) {
    connect(configs())
}

/// Moves what one has said, in pieces, and returns what the other has heard.
fn carry(from: &mut Session, to: &mut Session, piece: usize) -> Vec<u8> {
    let mut heard = Vec::new();
    while !from.outgoing().is_empty() {
        let now = from.outgoing().len().min(piece);
        to.incoming(now).extend_from_slice(&from.outgoing()[..now]);
        from.sent(now);
        while let Some(Opened::Data(data)) = to.open().unwrap() {
            assert!(!data.is_empty());
            heard.extend_from_slice(data);
        }
        to.rest();
    }
    heard
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect()
}

#[test]
fn what_is_said_is_heard_both_ways_whatever_its_length() {
    let (mut one, mut other) = connected();
    for length in [1, 2, 16_383, 16_384, 16_385, 65_532, 65_536, 200_000] {
        let said = bytes(length);
        one.seal(said.chunks(length.div_ceil(3))).unwrap();
        assert_eq!(carry(&mut one, &mut other, 5_000), said);
        other.seal([&[][..], &said]).unwrap();
        assert_eq!(carry(&mut other, &mut one, 1 << 20), said);
    }
    one.seal([&[][..], &[]]).unwrap();
    assert!(one.outgoing().is_empty(), "nothing is said by nothing");
    one.say_farewell();
    other.incoming(100).extend_from_slice(one.outgoing());
    assert_eq!(other.open().unwrap(), Some(Opened::Farewell));
}

#[test]
fn full_frames_fill_their_records() {
    let (mut one, _) = connected();
    one.seal([&[0; 4][..], &bytes(4 * MOST_PLAIN - 4)]).unwrap();
    assert_eq!(one.outgoing().len(), records::sealed_length(4 * MOST_PLAIN));
    assert_eq!(records::sealed_length(4 * MOST_PLAIN), 4 * (MOST_PLAIN + 22));
}

#[test]
fn what_comes_with_the_handshake_is_heard_first() {
    let (client_config, server_config) = configs();
    let mut both = (client(client_config, name()).unwrap(), server(server_config).unwrap());
    // The client is done one step before the server, and speaks at once.
    while !both.0.advance().unwrap() {
        both.1.incoming().extend(both.0.take_outgoing());
        both.1.advance().unwrap();
        both.0.incoming().extend(both.1.take_outgoing());
    }
    let mut client = both.0.finish().unwrap();
    client.seal([&b"at "[..], b"once"]).unwrap();
    client.seal([&b"and "[..], b"more"]).unwrap();
    let said = client.outgoing().to_vec();
    client.sent(said.len());
    // All but the end of the second record.
    let (now, later) = said.split_at(said.len() - 3);
    both.1.incoming().extend_from_slice(now);
    assert!(both.1.advance().unwrap());
    let mut server = both.1.finish().unwrap();
    assert_eq!(server.open().unwrap(), Some(Opened::Data(b"at once")), "as it came");
    assert_eq!(server.open().unwrap(), None);
    server.incoming(10).extend_from_slice(later);
    assert_eq!(server.open().unwrap(), Some(Opened::Data(b"and more")));
}

#[test]
fn another_key_is_refused_by_either_side_and_the_other_hears_why() {
    let stranger = OwnKey::from_seed(&[3; SEED]).unwrap();
    let (client_config, server_config) = configs();
    let known = OwnKey::from_seed(&[2; SEED]).unwrap().public();
    let as_stranger = Arc::new(stranger.client(known).unwrap());
    let mut both = (client(as_stranger, name()).unwrap(), server(server_config).unwrap());
    assert!(matches!(shake_hands(&mut both), Err(Error::InvalidCertificate(_))));
    // The client took itself to be through; the first that it hears is why it is not.
    let mut client_side = both.0.finish().unwrap();
    assert!(matches!(client_side.open(), Err(Error::AlertReceived(_))), "{:?}", client_side.open());

    let expected = OwnKey::from_seed(&[1; SEED]).unwrap().public();
    let as_stranger = Arc::new(stranger.server(expected).unwrap());
    let mut both = (client(client_config, name()).unwrap(), server(as_stranger).unwrap());
    assert!(both.0.advance().is_ok());
    both.1.incoming().extend(both.0.take_outgoing());
    assert!(!both.1.advance().unwrap());
    both.0.incoming().extend(both.1.take_outgoing());
    assert!(matches!(both.0.advance(), Err(Error::InvalidCertificate(_))));
    both.1.incoming().extend(both.0.take_outgoing());
    assert!(matches!(both.1.advance(), Err(Error::AlertReceived(_))));
}

#[test]
fn a_changed_bit_anywhere_is_noticed() {
    let (mut one, _) = connected();
    one.seal([&b"forty-two"[..], b"!"]).unwrap();
    let sealed = one.outgoing().to_vec();
    for place in 0..sealed.len() * 8 {
        let (mut same, mut other) = connected();
        same.seal([&b"forty-two"[..], b"!"]).unwrap();
        let mut changed = same.outgoing().to_vec();
        changed[place / 8] ^= 1 << (place % 8);
        other.incoming(changed.len()).extend_from_slice(&changed);
        // A longer length waits for what never comes, a shorter one does not fit.
        assert!(!matches!(other.open(), Ok(Some(_))), "bit {place}");
    }
}

#[test]
fn records_are_opened_once_and_in_their_order() {
    let (mut one, mut other) = connected();
    one.seal([&b"one"[..]]).unwrap();
    let first = one.outgoing().to_vec();
    one.sent(first.len());
    one.seal([&b"two"[..]]).unwrap();
    other.incoming(100).extend_from_slice(one.outgoing());
    assert_eq!(other.open().unwrap_err(), Error::DecryptError, "out of order");
    let (mut one, mut other) = connected();
    one.seal([&b"one"[..]]).unwrap();
    let first = one.outgoing().to_vec();
    other.incoming(100).extend([first.clone(), first].concat());
    assert_eq!(other.open().unwrap(), Some(Opened::Data(b"one")));
    assert_eq!(other.open().unwrap_err(), Error::DecryptError, "said again");
}

#[test]
fn keys_are_renewed_when_they_have_been_used_enough() {
    let (mut one, mut other) = connected();
    one.sealer = at_its_end(one.sealer);
    other.opener = at_its_end(other.opener);
    for _ in 0..3 {
        one.seal([&b"on"[..], b"ward"]).unwrap();
        assert_eq!(carry(&mut one, &mut other, 7), b"onward");
    }
    assert_eq!((one.sealer.used(), other.opener.used()), (3, 3));
    // Hardly used, they are not.
    one.renew().unwrap();
    other.incoming(100).extend_from_slice(one.outgoing());
    assert!(other.open().is_err());
}

/// As if it had protected so many records.
fn at_its_end(mut protection: Protection) -> Protection {
    protection.set_used(MOST_RECORDS);
    protection
}

#[test]
fn who_says_nothing_again_and_again_is_cut_off_and_told() {
    let (mut one, mut other) = connected();
    let nothing = |one: &mut Session, times: usize| {
        for _ in 0..times {
            one.say(APPLICATION_DATA, &[]);
        }
    };
    for _ in 0..3 {
        nothing(&mut one, MOST_EMPTY);
        one.seal([&b"a word"[..]]).unwrap();
        assert_eq!(carry(&mut one, &mut other, 1 << 16), b"a word");
    }
    nothing(&mut one, MOST_EMPTY + 1);
    other.incoming(4000).extend_from_slice(one.outgoing());
    assert!(other.open().is_err());
    one.incoming(100).extend_from_slice(other.outgoing());
    assert_eq!(one.open().unwrap_err(), Error::AlertReceived(AlertDescription::UnexpectedMessage));
    assert!(one.outgoing().len() < 4000, "who was told does not tell");
}

#[test]
fn tampering_is_told() {
    let (mut one, mut other) = connected();
    one.seal([&b"a word"[..]]).unwrap();
    let mut changed = one.outgoing().to_vec();
    *changed.last_mut().unwrap() ^= 1;
    other.incoming(100).extend(changed);
    assert_eq!(other.open().unwrap_err(), Error::DecryptError);
    one.incoming(100).extend_from_slice(other.outgoing());
    assert_eq!(one.open().unwrap_err(), Error::AlertReceived(AlertDescription::BadRecordMac));
}

#[test]
fn a_farewell_may_be_announced_and_other_kinds_are_refused() {
    let (mut one, mut other) = connected();
    one.say(ALERT, &[1, 90]);
    one.say_farewell();
    other.incoming(100).extend_from_slice(one.outgoing());
    assert_eq!(other.open().unwrap(), Some(Opened::Farewell));
    for (kind, word) in [(HANDSHAKE, &[4, 0, 0, 0][..]), (ALERT, &[2][..]), (20, &[1][..]), (0, &[][..])] {
        let (mut one, mut other) = connected();
        one.say(kind, word);
        other.incoming(100).extend_from_slice(one.outgoing());
        assert!(other.open().is_err(), "{kind}");
    }
}

/// rustls itself at the other end: the same records, and its own renewal of keys.
#[test]
fn rustls_understands_us_and_we_it() {
    let (client_config, server_config) = configs();
    let mut theirs = ServerConnection::new(server_config).unwrap();
    let mut ours = client(client_config, name()).unwrap();
    loop {
        let done = ours.advance().unwrap();
        feed(&mut theirs, &ours.take_outgoing());
        theirs.write_tls(ours.incoming()).unwrap();
        if done && !theirs.is_handshaking() {
            break;
        }
    }
    let mut ours = ours.finish().unwrap();
    for round in 0..3000 {
        ours.seal([&b"question "[..], round.to_string().as_bytes()]).unwrap();
        feed(&mut theirs, ours.outgoing());
        ours.sent(ours.outgoing().len());
        let mut heard = [0; 100];
        let length = theirs.reader().read(&mut heard).unwrap();
        assert_eq!(heard[..length], *format!("question {round}").as_bytes());
        if round == 1500 {
            theirs.refresh_traffic_keys().unwrap();
        }
        theirs.writer().write_all(b"answer").unwrap();
        theirs.write_tls(ours.incoming(100)).unwrap();
        assert_eq!(ours.open().unwrap(), Some(Opened::Data(b"answer")));
        if round == 2900 {
            ours.renew().unwrap();
        }
    }
    theirs.send_close_notify();
    theirs.write_tls(ours.incoming(100)).unwrap();
    assert_eq!(ours.open().unwrap(), Some(Opened::Farewell));
    ours.say_farewell();
    feed(&mut theirs, ours.outgoing());
    assert_eq!(theirs.reader().read(&mut [0]).unwrap(), 0);
}

/// The other way round: an agent of ours and rustls as who calls.
#[test]
fn rustls_may_call() {
    let (client_config, server_config) = configs();
    let mut theirs = ClientConnection::new(client_config, name()).unwrap();
    let mut ours = server(server_config).unwrap();
    theirs.writer().write_all(b"early").unwrap();
    loop {
        theirs.write_tls(ours.incoming()).unwrap();
        let done = ours.advance().unwrap();
        let mut said: &[u8] = &ours.take_outgoing();
        while !said.is_empty() {
            theirs.read_tls(&mut said).unwrap();
            theirs.process_new_packets().unwrap();
        }
        if done {
            break;
        }
    }
    let mut ours = ours.finish().unwrap();
    assert_eq!(ours.open().unwrap(), Some(Opened::Data(b"early")));
}

fn feed(theirs: &mut ServerConnection, mut said: &[u8]) {
    while !said.is_empty() {
        theirs.read_tls(&mut said).unwrap();
        theirs.process_new_packets().unwrap();
    }
}

#[test]
fn an_idle_connection_keeps_no_large_buffers() {
    let (mut one, mut other) = connected();
    one.seal([&[][..], &bytes(1 << 20)]).unwrap();
    carry(&mut one, &mut other, 1 << 16);
    one.rest();
    for session in [&one, &other] {
        assert!(session.incoming.capacity() <= KEPT && session.outgoing.capacity() <= KEPT);
    }
}

/// One side's flights reach the other in pieces of this size, with one bit of all that is said another one.
fn shake_hands_badly(piece: usize, changed: Option<usize>) -> Result<(), Error> {
    let (client_config, server_config) = configs();
    let mut both = (client(client_config, name()).unwrap(), server(server_config).unwrap());
    let mut bits = 0;
    let (mut done, mut other_done) = (false, false);
    for _ in 0..4 {
        done |= both.0.advance()?;
        for part in change(both.0.take_outgoing(), changed, &mut bits).chunks(piece) {
            both.1.incoming().extend(part);
            other_done |= both.1.advance()?;
        }
        for part in change(both.1.take_outgoing(), changed, &mut bits).chunks(piece) {
            both.0.incoming().extend(part);
            done |= both.0.advance()?;
        }
    }
    if done && other_done { Ok(()) } else { Err(Error::HandshakeNotComplete) }
}

fn change(mut said: Vec<u8>, changed: Option<usize>, bits: &mut usize) -> Vec<u8> {
    if let Some(byte) = changed.and_then(|bit| said.get_mut((bit / 8).wrapping_sub(*bits / 8))) {
        *byte ^= 1 << (changed.unwrap() % 8);
    }
    *bits += said.len() * 8;
    said
}

proptest! {
    #[test]
    fn a_handshake_may_come_in_pieces(piece in 1..3000_usize) {
        prop_assert_eq!(shake_hands_badly(piece, None), Ok(()));
    }

    /// A version or a random of another value may pass where nothing is signed yet; nothing panics.
    #[test]
    fn a_changed_handshake_does_no_harm(piece in 1..3000_usize, bit in 0..12_000_usize) {
        let _ = shake_hands_badly(piece, Some(bit));
    }

    #[test]
    fn garbage_is_an_error_or_not_enough(garbage in proptest::collection::vec(any::<u8>(), 0..40_000)) {
        let (_, mut other) = connected();
        other.incoming(garbage.len()).extend_from_slice(&garbage);
        prop_assert!(!matches!(other.open(), Ok(Some(_))));
        let (_, server_config) = configs();
        let mut stranger = server(server_config).unwrap();
        stranger.incoming().extend_from_slice(&garbage);
        prop_assert!(!matches!(stranger.advance(), Ok(true)));
    }

    #[test]
    fn whatever_is_said_is_heard_however_it_is_cut(
        said in proptest::collection::vec((0..40_000_usize, 0..40_000_usize), 1..6), piece in 1..70_000_usize
    ) {
        let (mut one, mut other) = connected();
        let mut expected = Vec::new();
        for (first, second) in said {
            let (first, second) = (bytes(first), bytes(second));
            one.seal([&first[..], &second]).unwrap();
            expected.extend([first, second].concat());
        }
        prop_assert_eq!(carry(&mut one, &mut other, piece), expected);
    }
}
