//! One value of the file: read as what it should be, or reported.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeValue;

use super::errors::{Problems, Span};
use super::words::{self, quoted};

/// A value and where it stands. Every reader gives `None` after it reported why.
pub(super) struct Value<'p, 't> {
    /// What messages call it: `[ssh] listen`.
    pub(super) place: String,
    /// What messages point at: its key, or itself in a list.
    pub(super) at: Span,
    /// Where it stands itself.
    pub(super) span: Span,
    pub(super) content: DeValue<'t>,
    pub(super) problems: &'p Problems<'t>,
}

impl<'p, 't> Value<'p, 't> {
    /// Reports that the value will not do.
    pub(super) fn refuse(&self, why: impl Display) {
        self.problems.at(&self.at, &format!("{}: {why}", self.place));
    }

    /// Reports something that only follows from other parts of the file.
    pub(super) fn refuse_unless_broken(&self, why: impl Display) {
        self.problems.missing(Some(&self.at), &format!("{}: {why}", self.place));
    }

    pub(super) fn is_table(&self) -> bool {
        self.content.is_table()
    }

    pub(super) fn text(&self) -> Option<&str> {
        self.expect(self.content.as_str(), "a string")
    }

    pub(super) fn flag(&self) -> Option<bool> {
        self.expect(self.content.as_bool(), "true or false")
    }

    /// A string that `check` accepts.
    pub(super) fn checked<T, E: Display>(&self, check: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        check(self.text()?).map_err(|why| self.refuse(why)).ok()
    }

    /// A path on this host; relative ones are relative to `folder`.
    pub(super) fn path(&self, folder: &Path) -> Option<PathBuf> {
        self.checked(|text| {
            if text.is_empty() || text.contains(char::is_control) {
                return Err(format!("{} is not a path", quoted(text)));
            }
            // Collected, so that `./hostkeys` and `a//b` lose what means nothing.
            Ok(folder.join(text).components().collect())
        })
    }

    /// One line of text for people.
    pub(super) fn line(&self, longest: usize) -> Option<String> {
        self.checked(|text| match text.chars().count() {
            _ if text.contains(char::is_control) => {
                Err("it must be one line without control characters".to_owned())
            }
            0 => Err("it is empty; leave the key out instead".to_owned()),
            length if length > longest => Err(format!("it has {length} characters; at most {longest}")),
            _ => Ok(text.to_owned()),
        })
    }

    pub(super) fn duration(&self, allowed: RangeInclusive<Duration>) -> Option<Duration> {
        self.no_bare_number(r#"like "30s", "5m", "8h""#)?;
        self.checked(|text| {
            let time = words::duration(text).ok_or_else(|| {
                format!(r#"{} is not a duration; write it like "30s", "5m", "8h""#, quoted(text))
            })?;
            within(time, allowed, words::show_duration)
        })
    }

    pub(super) fn size(&self, allowed: RangeInclusive<u64>) -> Option<u64> {
        self.no_bare_number(r#"like "8GiB", "512MiB""#)?;
        self.checked(|text| {
            let bytes = words::size(text).ok_or_else(|| {
                let units = "KiB, MiB, GiB, TiB or KB, MB, GB, TB";
                format!(r#"{} is not a size; write it like "8GiB" ({units})"#, quoted(text))
            })?;
            within(bytes, allowed, words::show_size)
        })
    }

    /// A whole number.
    pub(super) fn whole(&self, allowed: RangeInclusive<u64>) -> Option<u64> {
        let number = self.expect(self.content.as_integer(), "a whole number")?;
        let read = i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX);
        let allowed = i128::from(*allowed.start())..=i128::from(*allowed.end());
        let number =
            within(read, allowed, |number| number.to_string()).map_err(|why| self.refuse(why)).ok()?;
        u64::try_from(number).ok()
    }

    /// A number, with or without a fraction.
    pub(super) fn number(&self, allowed: RangeInclusive<f64>) -> Option<f64> {
        let text = match &self.content {
            DeValue::Float(number) => Some(number.as_str()),
            DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str()),
            _ => None,
        };
        let number = self.expect(text, "a number")?.parse::<f64>().unwrap_or(f64::NAN);
        within(number, allowed, |number| number.to_string()).map_err(|why| self.refuse(why)).ok()
    }

    /// The values in a list.
    pub(super) fn list(self) -> Option<Vec<Value<'p, 't>>> {
        self.expect(self.content.as_array(), "a list, like [\"…\", \"…\"]")?;
        let (place, problems) = (self.place, self.problems);
        let DeValue::Array(items) = self.content else { return None };
        let value = |item: toml::Spanned<DeValue<'t>>| Value {
            place: place.clone(),
            at: item.span(),
            span: item.span(),
            content: item.into_inner(),
            problems,
        };
        Some(items.into_iter().map(value).collect())
    }

    /// The values in a list that must have some.
    pub(super) fn non_empty_list(self, why: &str) -> Option<Vec<Value<'p, 't>>> {
        if self.content.as_array().is_some_and(|items| items.is_empty()) {
            self.refuse(format!("the list is empty; {why}"));
        }
        self.list()
    }

    /// The entries of a table whose keys are free, sorted by key.
    pub(super) fn entries(self) -> Option<Vec<(String, Value<'p, 't>)>> {
        self.expect(self.content.as_table(), "a table, like { NAME = \"value\" }")?;
        let DeValue::Table(entries) = self.content else { return None };
        let value = |name: &toml::Spanned<toml::de::DeString<'t>>, value: toml::Spanned<DeValue<'t>>| Value {
            place: format!("{}.{name}", self.place),
            at: name.span(),
            span: value.span(),
            content: value.into_inner(),
            problems: self.problems,
        };
        Some(
            entries
                .into_iter()
                .map(|(name, content)| (name.get_ref().to_string(), value(&name, content)))
                .collect(),
        )
    }

    fn expect<T>(&self, found: Option<T>, wanted: &str) -> Option<T> {
        if found.is_none() {
            let kind = match &self.content {
                DeValue::Integer(_) => "an integer",
                DeValue::Array(_) => "a list",
                DeValue::Boolean(_) => "true or false",
                DeValue::String(_) => "a string",
                DeValue::Float(_) => "a float",
                DeValue::Datetime(_) => "a date",
                DeValue::Table(_) => "a table",
            };
            self.refuse(format!("it must be {wanted}, not {kind}"));
        }
        found
    }

    fn no_bare_number(&self, example: &str) -> Option<()> {
        if let DeValue::Integer(_) | DeValue::Float(_) = self.content {
            self.refuse(format!("a bare number does not say its unit; write it {example}"));
            return None;
        }
        Some(())
    }
}

/// NaN is in no range.
fn within<T: PartialOrd + Copy>(
    value: T,
    allowed: RangeInclusive<T>,
    show: impl Fn(T) -> String,
) -> Result<T, String> {
    if allowed.contains(&value) {
        return Ok(value);
    }
    let (low, high) = (show(*allowed.start()), show(*allowed.end()));
    if low == high {
        return Err(format!("{} is out of range; it must be {low}", show(value)));
    }
    Err(format!("{} is out of range; it must be between {low} and {high}", show(value)))
}
