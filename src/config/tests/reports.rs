//! Everything at once, each with its line.

use std::path::Path;

use proptest::prelude::*;

use super::{MINIMAL, problems};
use crate::config::Config;

#[test]
fn six_mistakes_are_reported_together_with_their_lines() {
    let text = r#"[cluster]
name = "Lab"

[ssh]
login_grace = "30 parsecs"
lisen = ["127.0.0.1:2222"]

[web]
listen = "127.0.0.1:8080"

[reservation]
lifetime = "1h"
warnings = ["30m", "2h"]
auto_reserve = "yes"

[container]

[[machine]]
name = "gpu1"
[[machine.slot]]
gpus = ["0"]
"#;
    let errors = Config::parse(text, Path::new("clusteria.toml")).unwrap_err().to_string();
    let lines: Vec<&str> = errors.lines().collect();
    let expected = [
        r#"clusteria.toml:2:1: [cluster] name: "Lab" is not a cluster name: "#,
        r#"clusteria.toml:5:1: [ssh] login_grace: "30 parsecs" is not a duration; write it like "30s", "5m", "8h""#,
        "clusteria.toml:6:1: [ssh] lisen: unknown key; did you mean listen?",
        "clusteria.toml:9:1: [web] listen: it must be a list, like",
        "clusteria.toml:13:20: [reservation] warnings: a warning at 2h never comes: the lifetime is 1h",
        "clusteria.toml:14:1: [reservation] auto_reserve: it must be true or false, not a string",
        "clusteria.toml:16:1: [container] image is required, like image = ",
    ];
    assert_eq!(lines.len(), expected.len(), "{errors}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}\n{expected}");
    }
}

#[test]
fn what_is_not_toml_is_reported_with_its_line_and_the_rest_is_still_read() {
    let text = r#"[cluster]
name = "lab"
motd = "never closed
[ssh]
keepalive = 30 s
login_grace = "soon"
[reservation]
lifetime = 8h
[reservation]
grace = "5s"
[container]
image = "ubuntu:24.04"
image = "ubuntu:22.04"
[[machine]]
name = "gpu1"
[[machine.slot]]
"#;
    let found = problems(text);
    let lines: Vec<&str> = found.iter().filter_map(|line| line.split(':').next()).collect();
    assert_eq!(lines, ["3", "5", "6", "8", "9", "13"], "{found:#?}");
    for line in ["3", "5", "8", "9", "13"] {
        assert!(found.iter().any(|found| found.starts_with(&format!("{line}: not TOML: "))), "{found:#?}");
    }
}

#[test]
fn what_may_be_in_a_broken_line_is_not_called_missing() {
    let found = problems(&MINIMAL.replace("name = \"gpu1\"", "name = gpu1"));
    assert_eq!(found.len(), 1, "{found:#?}");
    let found = problems(&MINIMAL.replace("[cluster]", "[cluster"));
    assert_eq!(found.len(), 1, "{found:#?}");
}

#[test]
fn an_empty_file_misses_what_is_required() {
    let found = problems("");
    let missing = ["[[machine]] is missing", "[cluster] name is required", "[container] image is required"];
    assert_eq!(found.len(), missing.len(), "{found:#?}");
    for (found, missing) in found.iter().zip(missing) {
        assert!(found.starts_with(&format!("0: {missing}")), "{found}");
    }
}

#[test]
fn files_that_cannot_be_read_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clusteria.toml");
    let message = Config::load(&path).unwrap_err().to_string();
    assert!(message.starts_with(&format!("{}: cannot be read: ", path.display())), "{message}");
    std::fs::write(&path, b"[cluster]\nname = \"\xff\"\n").unwrap();
    let message = Config::load(&path).unwrap_err().to_string();
    assert!(message.ends_with(":2:9: not TOML: the file is not UTF-8 from here on"), "{message}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Cut, doubled and spoilt: an answer, and lines that exist, but never a panic.
    #[test]
    fn no_text_panics(start in 0_usize..5000, end in 0_usize..5000, spoil in "[\\[\\]{}\"'=.,#a1\n\\x00é]{0,6}") {
        const EXAMPLE: &str = include_str!("../../../config/clusteria.example.toml");
        let example = EXAMPLE.replace("\n#", "\n");
        let cut = |at: usize| example.get(..at).unwrap_or(&example);
        let rest = example.get(end..).unwrap_or_default();
        for text in [format!("{}{spoil}{rest}", cut(start)), format!("{EXAMPLE}{spoil}{rest}")] {
            let Err(errors) = super::parse(&text) else { continue };
            prop_assert!(!errors.problems().is_empty());
            prop_assert_eq!(errors.to_string().lines().count(), errors.problems().len());
            let last = text.matches('\n').count() + 1;
            prop_assert!(errors.problems().iter().all(|p| p.position.is_none_or(|p| p.line <= last)));
        }
    }
}
