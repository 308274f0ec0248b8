//! Text in columns of a terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns a text takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// The text in exactly so many columns: cut with `…`, or filled with blanks.
pub(super) fn fit(text: &str, columns: usize) -> String {
    let mut out = cut(text, columns);
    let missing = columns.saturating_sub(width(&out));
    out.extend(std::iter::repeat_n(' ', missing));
    out
}

/// The text in at most so many columns, `…` where it was cut.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let Some(room) = columns.checked_sub(1) else { return String::new() };
    let (head, _) = split_at(text, room);
    format!("{head}…")
}

/// Lines of at most so many columns, broken between words where there are any.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && width(&line) + 1 + width(word) > columns {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        while width(&line) > columns {
            let (head, tail) = split_at(&line, columns);
            if head.is_empty() {
                return lines;
            }
            let (head, tail) = (head.to_owned(), tail.to_owned());
            lines.push(head);
            line = tail;
        }
    }
    lines.push(line);
    lines
}

/// The same for a line in two columns: its blanks stay, and what does not fit goes on below the second column.
/// Where there is no room for two, in one.
pub(super) fn wrap_lead(text: &str, columns: usize, lead: usize) -> Vec<String> {
    if width(text) <= columns {
        return vec![text.to_owned()];
    }
    let (head, tail) = split_at(text, lead);
    if tail.is_empty() || columns < lead * 2 || !head.ends_with(' ') {
        return wrap(text, columns);
    }
    let indent = " ".repeat(lead);
    let lines = wrap(tail, columns.saturating_sub(lead)).into_iter().enumerate();
    lines
        .map(|(index, line)| if index == 0 { format!("{head}{line}") } else { format!("{indent}{line}") })
        .collect()
}

/// The longest beginning that fits, and the rest.
fn split_at(text: &str, columns: usize) -> (&str, &str) {
    let mut used = 0;
    for (at, char) in text.char_indices() {
        used += char.width().unwrap_or(0);
        if used > columns {
            return text.split_at_checked(at).unwrap_or((text, ""));
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_fits() {
        assert_eq!(fit("été", 5), "été  ");
        assert_eq!(fit("machine", 4), "mac…");
        assert_eq!(fit("日本語", 4), "日… ");
        assert_eq!(fit("abc", 0), "");
        assert_eq!(cut("abc", 3), "abc");
    }

    #[test]
    fn text_wraps() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("", 3), [""]);
        assert!(wrap("日本", 1).is_empty());
        assert!(wrap("a", 0).is_empty());
    }
}
