//! What terminals send.

use super::*;

fn keys(bytes: &[u8]) -> Vec<Key> {
    KeyDecoder::new().feed(bytes)
}

#[test]
fn arrows_in_all_dialects() {
    assert_eq!(keys(b"\x1b[A\x1bOB\x1b[1;5C\x1bO5D"), [Key::Up, Key::Down, Key::Right, Key::Left]);
    assert_eq!(
        keys(b"\x1b[H\x1b[4~\x1b[5~\x1b[6~\x1b[Z"),
        [Key::Home, Key::End, Key::PageUp, Key::PageDown, Key::BackTab]
    );
    assert_eq!(keys(b"\x1bOM\x1bOq"), [Key::Enter, Key::Char('1')]);
}

#[test]
fn plain_keys() {
    assert_eq!(
        keys(b"q\t\x7f\x08\x03\x04"),
        [Key::Char('q'), Key::Tab, Key::Backspace, Key::Backspace, Key::CtrlC, Key::CtrlD]
    );
    assert_eq!(keys(b"\r\n"), [Key::Enter], "one key, whoever wrote it so");
    assert_eq!(keys(b"\r\r\n\n"), [Key::Enter, Key::Enter, Key::Enter]);
}

#[test]
fn a_lone_escape_is_told_after_a_pause() {
    let mut decoder = KeyDecoder::new();
    assert_eq!(decoder.feed(b"\x1b"), []);
    assert_eq!(decoder.flush(), [Key::Escape]);
    assert_eq!(decoder.flush(), []);
    assert_eq!(decoder.feed(b"\x1bq"), [Key::Escape, Key::Char('q')]);
    assert_eq!(decoder.feed(b"\x1b\x1b[A"), [Key::Escape, Key::Up]);
}

#[test]
fn nothing_in_a_sequence_chooses() {
    let silent: [&[u8]; 7] = [
        b"\x1b]11;rgb:1c1c/1c1c/1c1c\x1b\\",
        b"\x1b]11;rgb:1c1c/1c1c/1c1c\x07",
        b"\x1bP1$r0m\x1b\\",
        b"\x1b[?1;2c",
        b"\x1b[<0;1;1m\x1b[<35;4;4M\x1b[<0;1M\x1b[<0;0;0M",
        b"\x1b[M 11",
        b"\x1b[15~\x1b[[A\x1b[3~\x1b[99999999999999999999~",
    ];
    for bytes in silent {
        let mut decoder = KeyDecoder::new();
        assert_eq!(decoder.feed(bytes), [], "{bytes:?}");
        assert_eq!(decoder.feed(b"x"), [Key::Char('x')], "{bytes:?}");
    }
}

#[test]
fn nobody_is_locked_in() {
    for bytes in [&b"\x1b[200~"[..], b"\x1b]", b"\x1b[1;", b"\x1bO", b"\x1bP\x1b", b"\xe2\x97"] {
        let mut decoder = KeyDecoder::new();
        decoder.feed(bytes);
        decoder.flush();
        assert_eq!(decoder.feed(b"\x03").last(), Some(&Key::CtrlC), "{bytes:?}");
    }
}

#[test]
fn characters_of_several_bytes() {
    assert_eq!(keys("é●🦀".as_bytes()), [Key::Char('é'), Key::Char('●'), Key::Char('🦀')]);
    assert_eq!(keys(b"\xc0\xaf\xe0\x80\xaf\xed\xa0\x80\xc2\x9bx\xff\xe2q"), [Key::Char('x'), Key::Char('q')]);
}

#[test]
fn a_paste_is_marked_as_such() {
    let pasted: Vec<Key> = "1\nq[A2".chars().map(Key::Pasted).collect();
    assert_eq!(keys(b"\x1b[200~1\rq\x1b[A2\x1b[201~"), [&pasted[..3], &pasted[4..]].concat());
    let mut decoder = KeyDecoder::new();
    decoder.feed(b"\x1b[200~a\x1b[20");
    assert_eq!(decoder.feed(b"1~q"), [Key::Char('q')]);
}

#[test]
fn the_mouse_points() {
    assert_eq!(keys(b"\x1b[<0;5;3M\x1b[<0;5;3m"), [Key::Click { column: 4, row: 2 }]);
    assert_eq!(keys(b"\x1b[<64;1;1M\x1b[<65;1;1M"), [Key::WheelUp, Key::WheelDown]);
    assert_eq!(keys(b"\x1b[<0;99999999;70000M"), [Key::Click { column: u16::MAX - 1, row: u16::MAX - 1 }]);
}
