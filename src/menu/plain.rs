//! The menu as numbered lines: for readers that speak, and for terminals that know nothing else.
//!
//! Nothing is said twice, and nothing by itself but how far a start is: news waits until Enter asks for it.

use super::keys::Key;
use super::model::{Begun, Event, Model, Place};
use super::palette::{Palette, plain_text};
use super::sheet::Sheet;
use super::view::sheet;
use crate::text::Say;
use crate::text::mine::Mine;

/// Wide enough that nothing is cut or broken: the terminal wraps.
pub(super) const COLUMNS: usize = 240;
const LONGEST_LINE: usize = 16 * 1024;

/// What has been said, and the line that is being typed.
#[derive(Debug)]
pub struct Plain {
    palette: Palette,
    /// Of the page that was said last: it is said again only when this changes.
    said: Option<Said>,
    /// The steps of a start that were said.
    steps: Vec<String>,
    typed: Vec<u8>,
    takes_text: bool,
    /// A carriage return has ended a line: a line feed after it is the same key.
    after_return: bool,
    echo: Vec<u8>,
}

/// What tells a page from another: not the times on it.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    place: std::mem::Discriminant<Place>,
    heading: String,
    notice: Vec<String>,
    hint: Option<String>,
    help: bool,
    keys: Option<usize>,
}

impl Plain {
    pub(super) fn new(palette: Palette) -> Self {
        Self {
            palette,
            said: None,
            steps: Vec::new(),
            typed: Vec::new(),
            takes_text: false,
            after_return: false,
            echo: Vec::new(),
        }
    }

    /// What is new to say.
    pub(super) fn show(&mut self, model: &Model) -> Vec<u8> {
        self.takes_text = model.takes_text();
        let mut bytes = std::mem::take(&mut self.echo);
        let sheet = sheet(model, COLUMNS);
        let said = Said {
            place: std::mem::discriminant(&model.place),
            heading: if model.is_in_progress() { String::new() } else { sheet.heading.clone() },
            notice: sheet.notice.clone(),
            hint: sheet.hint.clone(),
            help: model.help.is_some(),
            keys: model.keys.as_ref().map(Vec::len),
        };
        let mut text = String::new();
        if self.said.as_ref() != Some(&said) {
            self.steps.clear();
            self.typed.clear();
            page(model, &sheet, &mut text);
            self.said = Some(said);
        }
        if let Place::Progress { .. } = &model.place {
            self.tell_steps(&sheet, &mut text);
        }
        bytes.extend_from_slice(plain_text(self.palette, &text).replace('\n', "\r\n").as_bytes());
        bytes
    }

    /// Each step once: its figures are for the eye.
    fn tell_steps(&mut self, sheet: &Sheet, text: &mut String) {
        for row in &sheet.rows {
            let words = spoken(row.to_string().trim_start_matches([' ', '✓', '▸']));
            let head = words.split([':', ',']).next().unwrap_or_default().to_owned();
            if !self.steps.contains(&head) {
                self.steps.push(head);
                text.push_str(&words);
                text.push('\n');
            }
        }
    }

    /// Lines typed become what they mean.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> Vec<Event> {
        bytes.iter().filter_map(|&byte| self.byte(byte)).collect()
    }

    fn byte(&mut self, byte: u8) -> Option<Event> {
        let same_key = std::mem::take(&mut self.after_return) && byte == b'\n';
        match byte {
            b'\n' if same_key => return None,
            b'\r' | b'\n' => {
                self.after_return = byte == b'\r';
                self.echo.extend_from_slice(b"\r\n");
                let line = String::from_utf8_lossy(&std::mem::take(&mut self.typed)).into_owned();
                return Some(self.meaning(line));
            }
            0x03 | 0x04 => return Some(Event::Key(Key::CtrlC)),
            0x15 => while self.erase() {},
            // With nothing to erase it is no text either.
            0x08 | 0x7f => drop(self.erase()),
            0x20.. if self.typed.len() < LONGEST_LINE => {
                self.typed.push(byte);
                if byte.is_ascii() {
                    self.echo.push(byte);
                }
            }
            _ => {}
        }
        None
    }

    /// Takes the last character back, from the screen too where it was shown. Whether there was one.
    fn erase(&mut self) -> bool {
        let is_inside_character = |byte: &u8| matches!(byte, 0x80..=0xbf);
        while self.typed.pop_if(|byte| is_inside_character(byte)).is_some() {}
        let last = self.typed.pop();
        if last.is_some_and(|byte| byte.is_ascii()) {
            self.echo.extend_from_slice(b"\x08 \x08");
        }
        last.is_some()
    }

    fn meaning(&mut self, line: String) -> Event {
        // Whatever it comes to, the page is said again.
        self.said = None;
        if self.takes_text {
            return if line.trim().is_empty() { Event::Key(Key::Escape) } else { Event::Text(line) };
        }
        let word = line.trim();
        if let Ok(number) = word.parse::<usize>() {
            return Event::Choose(number.wrapping_sub(1));
        }
        match word.chars().next() {
            None => Event::Key(Key::Pasted('\n')),
            Some('b') => Event::Key(Key::Escape),
            // What leads through a screen's rows has no meaning here.
            Some('/') => Event::Key(Key::Pasted('/')),
            Some(char) => Event::Key(Key::Char(char)),
        }
    }

    pub(super) fn leave(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.echo);
        bytes.extend_from_slice(b"\r\n");
        bytes
    }
}

fn page(model: &Model, sheet: &Sheet, text: &mut String) {
    text.push('\n');
    if model.help.is_none() {
        for line in &sheet.notice {
            say(text, line);
        }
        sheet.summary.iter().for_each(|line| say(text, line));
    }
    say(text, &sheet.heading);
    sheet.facts.iter().for_each(|line| say(text, &spoken(&line.to_string())));
    if !model.is_in_progress() && !model.takes_text() {
        for (index, row) in sheet.rows.iter().enumerate() {
            let words = match sheet.numbered {
                // Without the mark of the cursor and its own number.
                true => {
                    let row: String = row.spans.iter().skip(1).map(|span| span.content.as_ref()).collect();
                    format!("{}. {}", index.saturating_add(1), spoken(&row))
                }
                false => row.to_string().trim_end().to_owned(),
            };
            say(text, &words);
            for line in sheet.below.get(index).into_iter().flatten() {
                say(text, &format!("   {}", spoken(&line.to_string())));
            }
        }
    }
    sheet.hint.iter().for_each(|hint| say(text, hint));
    let prompt = match (&model.place, &model.ask) {
        (Place::Progress { begun: Begun::Here, .. }, _) => {
            return say(text, &Mine::PlainBusy.say(model.lang));
        }
        (Place::Progress { begun: Begun::Elsewhere, .. }, _) => {
            return say(text, &Mine::PlainAwaits.say(model.lang));
        }
        (Place::Paste(_), _) => Mine::PlainText,
        (_, Some(_)) => return text.push_str("> "),
        (Place::Keys, None) => {
            say(text, &sheet.keys.join(", "));
            Mine::PlainPrompt
        }
        _ => Mine::PlainPrompt,
    };
    text.push_str(&prompt.say(model.lang));
}

fn say(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// Columns become a sentence; dots are said in words beside them.
fn spoken(row: &str) -> String {
    let row = without_bars(row).replace(['●', '○'], " ");
    let parts = row.split("  ").map(str::trim).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(", ")
}

/// Each with the blank behind it: what it shows is said in words beside it.
fn without_bars(row: &str) -> String {
    let mut after_bar = false;
    let mut kept = String::new();
    for char in row.chars() {
        let is_bar = matches!(char, '█' | '░');
        if !(is_bar || after_bar && char == ' ') {
            kept.push(char);
        }
        after_bar = is_bar;
    }
    kept
}
