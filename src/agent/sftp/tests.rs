use proptest::prelude::*;

use super::*;
use crate::wire::put_bytes;

fn packet(kind: u8, id: u32, rest: &[u8]) -> Vec<u8> {
    let mut body = vec![kind];
    body.extend(id.to_be_bytes());
    body.extend(rest);
    let mut packet = Vec::new();
    put_bytes(&mut packet, &body);
    packet
}

/// The answers to these packets, without their lengths.
fn talk(packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut output = Vec::new();
    serve(packets.concat().as_slice(), &mut output).unwrap();
    let mut fields = Fields::new(&output);
    std::iter::from_fn(|| fields.bytes().map(<[u8]>::to_vec)).collect()
}

fn status_of(answer: &[u8]) -> u32 {
    assert_eq!(answer[0], 101, "{answer:?}");
    u32::from_be_bytes(answer[5..9].try_into().unwrap())
}

fn string(bytes: &[u8]) -> Vec<u8> {
    let mut field = Vec::new();
    put_bytes(&mut field, bytes);
    field
}

#[test]
fn a_file_is_written_read_and_renamed_onto_nothing_only() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| string(folder.path().join(name).to_str().unwrap().as_bytes());
    std::fs::write(folder.path().join("there"), "x").unwrap();
    let no_attributes = 0_u32.to_be_bytes();
    let open = |flags: u32| [&at("f")[..], &flags.to_be_bytes(), &no_attributes].concat();
    let handle = string(&1_u32.to_be_bytes());
    let offset = 3_u64.to_be_bytes();
    let answers = talk(&[
        packet(request::INIT, 3, &[]),
        packet(request::OPEN, 1, &open(1 | 2 | 8 | 16)),
        packet(request::WRITE, 2, &[&handle[..], &offset, &string(b"tail")].concat()),
        packet(request::READ, 3, &[&handle[..], &0_u64.to_be_bytes(), &100_u32.to_be_bytes()].concat()),
        packet(request::READ, 4, &[&handle[..], &7_u64.to_be_bytes(), &100_u32.to_be_bytes()].concat()),
        packet(request::CLOSE, 5, &handle),
        packet(request::CLOSE, 6, &handle),
        packet(request::RENAME, 7, &[at("f"), at("there")].concat()),
        packet(request::RENAME, 8, &[at("f"), at("g")].concat()),
        packet(request::EXTENDED, 9, &[string(b"posix-rename@openssh.com"), at("g"), at("there")].concat()),
        packet(request::EXTENDED, 10, &string(b"no-such@example.org")),
        packet(99, 11, &[]),
    ]);
    assert_eq!(answers[0][..5], [2, 0, 0, 0, 3]);
    assert_eq!(answers[1][0], 102);
    assert_eq!(status_of(&answers[2]), 0);
    assert_eq!(answers[3], [&[103, 0, 0, 0, 3][..], &string(b"\0\0\0tail")].concat());
    let statuses: Vec<u32> = answers[4..].iter().map(|a| status_of(a)).collect();
    assert_eq!(statuses, [1, 0, 2, 4, 0, 0, 8, 8]);
    assert_eq!(std::fs::read(folder.path().join("there")).unwrap(), b"\0\0\0tail");
}

#[test]
fn what_breaks_the_protocol_ends_it() {
    for odd in [&[0_u8, 0, 0, 0][..], &[0xff; 8], &[0, 0, 0, 9, 1], &[0, 0, 0, 1, 3]] {
        assert!(serve(odd, Vec::new()).is_err(), "{odd:?}");
    }
}

proptest! {
    /// Whatever a client sends (here about paths that do not exist), there is one answer for each request.
    #[test]
    fn odd_packets_are_answered(kind in 3..=20_u8, rest in proptest::collection::vec(any::<u8>(), 0..64)) {
        // Nothing that begins with these bytes names a file that exists.
        let rest = [&[0, 0, 0, 5][..], b"\xff/\xff/\xff", &rest].concat();
        prop_assert_eq!(talk(&[packet(kind, 7, &rest)]).len(), 1);
    }
}
