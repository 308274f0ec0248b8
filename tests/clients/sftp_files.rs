//! SFTP: a file there and back, each way also resumed in the middle.

use std::fs;

use super::ask::Ask;
use super::behaviour::Behaviour;
use super::exec::sum_here;
use super::place::Case;
use crate::common::big_file;

pub const BEHAVIOUR: Behaviour = Behaviour { title: "sftp: put, get, and both resumed", lacks: &[], check };

const SIZE: u64 = 5_000_000;

fn check(case: &Case) {
    let whole = big_file(&case.here, SIZE);
    let whole = whole.to_str().unwrap();
    let (there, half, back, part) =
        (case.remote("there"), case.remote("half"), case.local("back"), case.local("part"));
    case.run(&Ask::sftp(&[&["put", whole, &there], &["get", &there, &back]])).success();
    assert_eq!(sum_here(whole), sum_here(&back));
    assert_eq!(sum_here(whole), case.place.look(&format!("sha256sum < {there}")));

    case.place.look(&format!("head -c 1234567 {there} > {half}"));
    fs::write(&part, &fs::read(whole).unwrap()[..2_345_678]).unwrap();
    case.run(&Ask::sftp(&[&["resume-put", whole, &half], &["resume-get", &there, &part]])).success();
    assert_eq!(sum_here(whole), sum_here(&part), "a resumed download");
    assert_eq!(sum_here(whole), case.place.look(&format!("sha256sum < {half}")), "a resumed upload");
}

#[test]
fn every_client() {
    BEHAVIOUR.run();
}
