//! The room as others see it: a text in, a [`Config`] or every problem out.

mod example;
mod limits;
mod refusals;
mod reports;
mod web;

use std::path::Path;

use super::{Config, ConfigErrors};

/// The least that a file must say.
const MINIMAL: &str = r#"
[cluster]
name = "lab"
[container]
image = "ubuntu:24.04"
[[machine]]
name = "gpu1"
[[machine.slot]]
gpus = ["0"]
"#;

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    Config::parse(text, Path::new("/etc/clusteria/clusteria.toml"))
}

/// Each problem as `line: message`.
fn problems(text: &str) -> Vec<String> {
    let errors = parse(text).expect_err("a refusal");
    let line = |problem: &super::Problem| problem.position.map_or(0, |position| position.line);
    errors.problems().iter().map(|problem| format!("{}: {}", line(problem), problem.message)).collect()
}

/// The minimal file with `line` added to `[section]`, which is made if need be.
fn with(section: &str, line: &str) -> String {
    let header = format!("{section}\n");
    if MINIMAL.contains(&header) {
        MINIMAL.replace(&header, &format!("{section}\n{line}\n"))
    } else {
        format!("{MINIMAL}{section}\n{line}\n")
    }
}

/// The minimal file with `line` instead of the one that sets the same key.
fn instead(old: &str, new: &str) -> String {
    assert!(MINIMAL.contains(old), "{old}");
    MINIMAL.replace(old, new)
}

/// `text` is refused, once, with a message that says `word`.
fn refused(text: &str, word: &str) {
    let found = problems(text);
    assert_eq!(found.len(), 1, "{text}\n{found:#?}");
    assert!(found[0].contains(word), "{word:?} is not in {found:#?}");
    assert!(!found[0].starts_with("0:"), "no line: {found:#?}");
}
