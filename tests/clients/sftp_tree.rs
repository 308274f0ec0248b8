//! SFTP: folders, links, permissions and times. What a client cannot ask is left out of its steps.

use super::ask::Ask;
use super::behaviour::Behaviour;
use super::place::Case;

pub const BEHAVIOUR: Behaviour =
    Behaviour { title: "sftp: folders, links, permissions, times", lacks: &[], check };

const THEN: &str = "1000000000";

fn check(case: &Case) {
    let file = case.local("file");
    std::fs::write(&file, "twelve bytes").unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    std::fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
    let [folder, gone, there, link] =
        ["folder", "gone", "folder/file", "folder/link"].map(|name| case.remote(name));
    let has_links = case.client.name() != "PuTTY";
    let own_times = !["OpenSSH", "dbclient", "PuTTY"].contains(&case.client.name());
    let put = if own_times { vec!["put", &file, &there] } else { vec!["put", "-p", &file, &there] };
    let put: Vec<&str> = if has_links { put } else { vec!["put", &file, &there] };
    let mut steps: Vec<Vec<&str>> = vec![
        vec!["pwd"],
        vec!["mkdir", &folder],
        vec!["mkdir", &gone],
        put,
        vec!["chmod", "640", &there],
        vec!["rmdir", &gone],
    ];
    // The binding of libssh gives times in a unit that its library does not take.
    let sets_times = own_times && case.client.name() != "libssh";
    if sets_times {
        steps.push(vec!["times", &there, THEN]);
    }
    if has_links {
        steps.push(vec!["symlink", "file", &link]);
    }
    if has_links {
        steps.push(vec!["stat", &there]);
    }
    if own_times {
        steps.push(vec!["readlink", &link]);
    }
    let steps: Vec<&[&str]> = steps.iter().map(Vec::as_slice).collect();
    let ran = case.run(&Ask::sftp(&steps)).success();
    assert!(ran.stdout.contains("/home/ada"), "sftp starts in the home: {}", ran.stdout);
    let seen = case.place.look(&format!("cd {folder}; stat -c '%a %s %Y %U' file; readlink link; ls .."));
    let time = if sets_times || (has_links && !own_times) { THEN } else { seen.split(' ').nth(2).unwrap() };
    let target = if has_links { "file\n" } else { "" };
    assert_eq!(seen, format!("640 12 {time} ada\n{target}folder\n"), "{ran:?}");
    if own_times {
        let said = ran.stdout.contains(&format!("640 12 {time}\n"));
        assert!(said && ran.stdout.trim_end().ends_with("file"), "{}", ran.stdout);
    }
}

#[test]
fn every_client() {
    BEHAVIOUR.run();
}
