//! What is wrong with a file, said all at once.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Everything wrong with one configuration file, in the file's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    origin: PathBuf,
    problems: Vec<Problem>,
}

/// One thing wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where; nowhere when a whole section is missing or the file cannot be read.
    pub position: Option<Position>,
    /// What, and what to write instead; one line without control characters.
    pub message: String,
}

/// A place in the file, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

impl ConfigErrors {
    /// The problems, sorted by line; at least one.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    pub(super) fn unreadable(origin: &Path, error: &std::io::Error) -> Self {
        let message = one_line(&format!("cannot be read: {error}"));
        Self { origin: origin.to_owned(), problems: vec![Problem { position: None, message }] }
    }

    /// `bytes` are text up to `valid` only.
    pub(super) fn not_utf8(origin: &Path, bytes: &[u8], valid: usize) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let message = "not TOML: the file is not UTF-8 from here on".to_owned();
        let problem = Problem { position: Some(position(&text, valid)), message };
        Self { origin: origin.to_owned(), problems: vec![problem] }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = one_line(&self.origin.to_string_lossy());
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            match problem.position {
                Some(Position { line, column }) => write!(f, "{origin}:{line}:{column}: ")?,
                None => write!(f, "{origin}: ")?,
            }
            f.write_str(&problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Bytes of the file.
pub(super) type Span = Range<usize>;

/// Gathers problems while a file is read.
pub(super) struct Problems<'t> {
    text: &'t str,
    /// Lines that are not TOML: what recovery made of them is not worth a second complaint.
    broken: Vec<usize>,
    found: RefCell<Vec<Problem>>,
}

impl<'t> Problems<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, broken: Vec::new(), found: RefCell::default() }
    }

    /// The text is not TOML here; only the first complaint about a line is kept.
    pub(super) fn syntax(&mut self, span: &Span, message: &str) {
        let position = position(self.text, span.start);
        if !self.broken.contains(&position.line) {
            self.broken.push(position.line);
            self.push(Some(position), &format!("not TOML: {message}"));
        }
    }

    /// Something is wrong here.
    pub(super) fn at(&self, span: &Span, message: &str) {
        let position = position(self.text, span.start);
        if !self.broken.contains(&position.line) {
            self.push(Some(position), message);
        }
    }

    /// Something is not in the file: no news when it may have been in a line that is not TOML.
    pub(super) fn missing(&self, span: Option<&Span>, message: &str) {
        if self.broken.is_empty() {
            self.push(span.map(|span| position(self.text, span.start)), message);
        }
    }

    /// The value if nothing is wrong.
    pub(super) fn settle<T>(self, value: T, origin: &Path) -> Result<T, ConfigErrors> {
        let mut problems = self.found.into_inner();
        if problems.is_empty() {
            return Ok(value);
        }
        problems.sort();
        problems.dedup();
        Err(ConfigErrors { origin: origin.to_owned(), problems })
    }

    fn push(&self, position: Option<Position>, message: &str) {
        self.found.borrow_mut().push(Problem { position, message: one_line(message) });
    }
}

/// Messages repeat what the file says: an escape sequence in there must not reach a terminal.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

fn position(text: &str, offset: usize) -> Position {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    Position { line, column }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_from_one() {
        assert_eq!(position("", 0), Position { line: 1, column: 1 });
        assert_eq!(position("é = 1\nab", 7), Position { line: 2, column: 1 });
        assert_eq!(position("é = 1\nab", 3), Position { line: 1, column: 3 });
        assert_eq!(position("a\n", 99), Position { line: 2, column: 1 });
    }

    #[test]
    fn a_problem_is_one_harmless_line() {
        let problems = Problems::new("x");
        problems.at(&(0..1), "a\nb\x1b[31m");
        let errors = problems.settle((), Path::new("c.toml")).unwrap_err();
        assert_eq!(errors.to_string(), "c.toml:1:1: a\\nb\\u{1b}[31m");
    }
}
