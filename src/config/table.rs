//! Tables whose keys are taken out one by one: what remains was unknown.

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::errors::{Problems, Span};
use super::sections::section_with;
use super::suggest::nearest;
use super::value::Value;

/// What one section may say.
pub(super) struct Section {
    /// As it is written: `[ssh]`, `[[machine]]`; empty for the file itself.
    pub(super) title: &'static str,
    /// Its key in the table around it.
    pub(super) key: &'static str,
    /// The keys its reader knows.
    pub(super) keys: &'static [&'static str],
    /// Keys of a later version: refused as such, not as typing mistakes.
    pub(super) later: &'static [&'static str],
}

/// One table while it is read.
pub(super) struct Table<'p, 't> {
    section: &'static Section,
    span: Option<Span>,
    entries: DeTable<'t>,
    /// Stands for something else than a table, already reported: then nothing in it is missing.
    stand_in: bool,
    problems: &'p Problems<'t>,
}

impl<'p, 't> Table<'p, 't> {
    pub(super) fn root(section: &'static Section, entries: DeTable<'t>, problems: &'p Problems<'t>) -> Self {
        Self { section, span: None, entries, stand_in: false, problems }
    }

    /// The value of `key`, if the file has it.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Value<'p, 't>> {
        debug_assert!(self.section.keys.contains(&key), "{} does not list {key}", self.section.title);
        let (name, value) = self.entries.remove_entry(key)?;
        Some(self.value(&name, value))
    }

    /// The value of `key`, which the file must have.
    pub(super) fn required(&mut self, key: &'static str, example: &str) -> Option<Value<'p, 't>> {
        let value = self.take(key);
        if value.is_none() {
            self.missing(&format!("{} is required, like {key} = {example}", self.place(key)));
        }
        value
    }

    /// Something that should be in this table is not.
    pub(super) fn missing(&self, message: &str) {
        if !self.stand_in {
            self.problems.missing(self.span.as_ref(), message);
        }
    }

    /// Reads the section `[key]`; an absent one is read as empty, so that defaults have one place.
    pub(super) fn section<T>(
        &mut self,
        section: &'static Section,
        read: impl FnOnce(&mut Table<'p, 't>) -> T,
    ) -> T {
        let table = match self.take(section.key) {
            Some(value) => value.into_table(section),
            None => Table { stand_in: self.stand_in, ..Table::root(section, DeTable::new(), self.problems) },
        };
        table.read(read)
    }

    /// Reads every `[[key]]` in order.
    pub(super) fn sections<T>(
        &mut self,
        section: &'static Section,
        mut read: impl FnMut(&mut Table<'p, 't>) -> T,
    ) -> Vec<T> {
        let Some(value) = self.take(section.key) else { return Vec::new() };
        let tables = value.into_tables(section);
        tables.into_iter().map(|table| table.read(&mut read)).collect()
    }

    pub(super) fn read<T>(mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let result = read(&mut self);
        for (key, value) in std::mem::take(&mut self.entries) {
            self.unknown(&key, &value);
        }
        result
    }

    fn value(&self, name: &Spanned<DeString<'t>>, value: Spanned<DeValue<'t>>) -> Value<'p, 't> {
        Value {
            place: self.place(name.get_ref()),
            at: name.span(),
            span: value.span(),
            content: value.into_inner(),
            problems: self.problems,
        }
    }

    fn place(&self, key: &str) -> String {
        match self.section.title {
            "" => format!("[{key}]"),
            title => format!("{title} {key}"),
        }
    }

    fn unknown(&self, name: &Spanned<DeString<'t>>, value: &Spanned<DeValue<'t>>) {
        let key = name.get_ref().as_ref();
        // A table's own span is its header; its key's span lies inside of it.
        let span = if is_section(value.get_ref()) { value.span() } else { name.span() };
        let message = if self.section.later.contains(&key) {
            format!("{} is not supported by this version of clusteria", self.title_of(key, value.get_ref()))
        } else {
            self.unknown_message(key, value.get_ref())
        };
        self.problems.at(&span, &message);
    }

    fn title_of(&self, key: &str, value: &DeValue<'t>) -> String {
        match self.section.key {
            "" => format!("[{key}]"),
            section if is_section(value) => format!("[{section}.{key}]"),
            _ => self.place(key),
        }
    }

    fn unknown_message(&self, key: &str, value: &DeValue<'t>) -> String {
        let what = match (self.section.title, is_section(value)) {
            ("", true) => format!("[{key}]: unknown section"),
            ("", false) => format!("{key}: unknown key outside of any section"),
            (title, _) => format!("{title} {key}: unknown key"),
        };
        let hint = match (nearest(key, self.section.keys.iter().copied()), section_with(key)) {
            (Some(near), _) => format!("did you mean {near}?"),
            (None, Some(title)) => format!("it belongs in {title}"),
            (None, None) => format!("known here: {}", self.section.keys.join(", ")),
        };
        format!("{what}; {hint}")
    }
}

impl<'p, 't> Value<'p, 't> {
    /// The table behind `[section]`; anything else is reported, and an empty one stands in.
    pub(super) fn into_table(self, section: &'static Section) -> Table<'p, 't> {
        let (entries, stand_in) = match self.content {
            DeValue::Table(entries) => (entries, false),
            _ => {
                let title = section.title;
                self.problems.at(&self.span, &format!("{title} is one table: write {title}, once"));
                (DeTable::new(), true)
            }
        };
        Table { section, span: Some(self.span), entries, stand_in, problems: self.problems }
    }

    fn into_tables(self, section: &'static Section) -> Vec<Table<'p, 't>> {
        let problems = self.problems;
        let DeValue::Array(items) = self.content else {
            let title = section.title;
            problems.at(&self.span, &format!("{title} is a list: write {title}, with two brackets"));
            return vec![Table {
                stand_in: true,
                span: Some(self.span),
                ..Table::root(section, DeTable::new(), problems)
            }];
        };
        let item = |item: Spanned<DeValue<'t>>| Value {
            place: self.place.clone(),
            at: item.span(),
            span: item.span(),
            content: item.into_inner(),
            problems,
        };
        items.into_iter().map(|content| item(content).into_table(section)).collect()
    }
}

fn is_section(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::Table(_) => true,
        DeValue::Array(items) => items.iter().any(|item| item.get_ref().is_table()),
        _ => false,
    }
}
