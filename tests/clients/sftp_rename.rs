//! SFTP: a rename never replaces a file; OpenSSH's own posix-rename does.

use super::ask::Ask;
use super::behaviour::Behaviour;
use super::place::Case;

pub const BEHAVIOUR: Behaviour =
    Behaviour { title: "sftp: rename refuses to replace, posix-rename replaces, remove", lacks: &[], check };

fn check(case: &Case) {
    let [one, two, three, none] = ["one", "two", "three", "none"].map(|name| case.remote(name));
    case.place.look(&format!("echo 1 > {one}; echo 2 > {two}"));
    if case.client.name() == "libssh" {
        // Its rename is posix-rename where the server has that.
        case.run(&Ask::sftp(&[&["rename", &one, &two]])).success();
        assert_eq!(case.place.look(&format!("cat {two}; ls {}", case.there)), "1\ntwo\n");
        return;
    }
    case.run(&Ask::sftp(&[&["refused", "rename", &one, &two], &["rename", &one, &three]])).success();
    assert_eq!(case.place.look(&format!("cat {two} {three}; ls {}", case.there)), "2\n1\nthree\ntwo\n");
    case.run(&Ask::sftp(&[&["refused", "remove", &none], &["refused", "rmdir", &none]])).success();
    if ["PuTTY", "libssh2"].contains(&case.client.name()) {
        // These only know the rename of SFTP itself.
        case.run(&Ask::sftp(&[&["remove", &three]])).success();
        assert_eq!(case.place.look(&format!("cat {two}; ls {}", case.there)), "2\ntwo\n");
    } else {
        case.run(&Ask::sftp(&[&["replace", &three, &two]])).success();
        assert_eq!(case.place.look(&format!("cat {two}; ls {}", case.there)), "1\ntwo\n");
    }
}

#[test]
fn every_client() {
    BEHAVIOUR.run();
}
