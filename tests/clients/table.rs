//! The table in docs/clients.md is the one that the tests follow.

use std::fmt::Write as _;

use super::BEHAVIOURS;
use super::client::CLIENTS;

const PAGE: &str = include_str!("../../docs/clients.md");

fn matrix() -> String {
    let mut text = String::from("| |");
    for client in CLIENTS {
        write!(text, " {} |", client.name()).unwrap();
    }
    write!(text, "\n|---|{}\n", ":-:|".repeat(CLIENTS.len())).unwrap();
    let mut reasons: Vec<&str> = Vec::new();
    for behaviour in BEHAVIOURS {
        write!(text, "| {} |", behaviour.title).unwrap();
        for client in CLIENTS {
            let mark = behaviour.lack(client.name()).map_or("✓".to_owned(), |reason| {
                let known = reasons.iter().position(|known| *known == reason);
                let place = known.unwrap_or_else(|| {
                    reasons.push(reason);
                    reasons.len() - 1
                });
                (place + 1).to_string()
            });
            write!(text, " {mark} |").unwrap();
        }
        text.push('\n');
    }
    text.push('\n');
    for (number, reason) in reasons.iter().enumerate() {
        writeln!(text, "{}. {reason}", number + 1).unwrap();
    }
    text
}

#[test]
fn the_table_in_the_docs_is_what_the_tests_run() {
    let matrix = matrix();
    assert!(PAGE.contains(&matrix), "docs/clients.md should have this table:\n\n{matrix}");
}
