//! SFTP: a folder of 2,000 files is listed whole.

use super::ask::Ask;
use super::behaviour::Behaviour;
use super::place::Case;

pub const BEHAVIOUR: Behaviour =
    Behaviour { title: "sftp: a folder of 2,000 files listed", lacks: &[], check };

fn check(case: &Case) {
    let folder = case.remote("many");
    case.place.look(&format!("mkdir {folder}; cd {folder}; seq -f file-%05g 2000 | xargs touch"));
    let ran = case.run(&Ask::sftp(&[&["list", &folder]])).success();
    // Programs print the names, our scripts count them.
    let names = ran.stdout.matches("file-").count();
    assert!(names == 2000 || ran.stdout.trim() == "2000", "{names} names: {:.300}", ran.stdout);
}

#[test]
fn every_client() {
    BEHAVIOUR.run();
}
