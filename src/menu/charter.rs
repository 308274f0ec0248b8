//! The charter as a screen: a text that scrolls, and two answers.

use ratatui::Frame;
use ratatui::text::Line;

use super::keys::Key;
use super::palette::{Palette, plain_text};
use super::plain;
use super::sheet::Sheet;
use super::wrap::wrap;
use crate::reservation::UserName;
use crate::text::menu::Menu;
use crate::text::{Lang, Say, printable};

/// Rows of a page: the page does not know the screen's height.
const PAGE: usize = 10;

/// What a key came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// They go on reading.
    Stay,
    /// They accept.
    Accept,
    /// They leave without.
    Leave,
}

/// The charter and where its reader stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CharterPage {
    title: String,
    lines: Vec<String>,
    lang: Lang,
    /// Rows above the screen, as far as the last picture had so many.
    first: usize,
    rows: usize,
}

impl CharterPage {
    /// From its beginning.
    #[must_use]
    pub fn new(cluster: &str, user: &UserName, text: &str, lang: Lang) -> Self {
        let lines = text.lines().map(printable).collect();
        Self { title: format!("{} · {user}", printable(cluster)), lines, lang, first: 0, rows: 0 }
    }

    /// Takes in a key. Only its own key accepts: not Enter, which is pressed without reading.
    pub fn press(&mut self, key: Key) -> Turn {
        match key {
            Key::Char('a' | 'A') => return Turn::Accept,
            Key::Char('q' | 'Q') | Key::Escape | Key::CtrlC | Key::CtrlD => return Turn::Leave,
            Key::Down | Key::Char('j') => self.first += 1,
            Key::Up | Key::Char('k') => self.first = self.first.saturating_sub(1),
            Key::PageDown | Key::Char(' ') | Key::Enter => self.first += PAGE,
            Key::PageUp | Key::Backspace => self.first = self.first.saturating_sub(PAGE),
            Key::Home => self.first = 0,
            Key::End => self.first = usize::MAX,
            _ => {}
        }
        self.first = self.first.min(self.rows.saturating_sub(1));
        Turn::Stay
    }

    /// All of it as lines, for who wants no screen: nothing scrolls there.
    #[must_use]
    pub fn lines(&self, palette: Palette) -> Vec<u8> {
        let heading = Menu::CharterHeading.say(self.lang);
        let text = self.lines.iter().flat_map(|line| wrap(line, plain::COLUMNS));
        let above = [self.title.clone(), String::new(), heading, String::new()];
        let keys = [Menu::KeyAccept, Menu::KeyRefuse].map(|key| key.say(self.lang)).join(", ");
        let all = above.into_iter().chain(text).chain([String::new(), keys]);
        let said: String = all.flat_map(|line| [line, "\r\n".to_owned()]).collect();
        plain_text(palette, &said).into_bytes()
    }

    /// Draws it, in any size.
    pub fn view(&mut self, frame: &mut Frame) {
        let area = frame.area();
        if area.is_empty() {
            return;
        }
        let columns = usize::from(area.width);
        let rows: Vec<Line<'static>> =
            self.lines.iter().flat_map(|line| wrap(line, columns)).map(Line::raw).collect();
        // Title, heading and keys take six rows at most: the last page stays whole.
        let whole = usize::from(area.height).saturating_sub(8).max(1);
        self.rows = rows.len();
        self.first = self.first.min(self.rows.saturating_sub(whole));
        let sheet = Sheet {
            title: self.title.clone(),
            heading: Menu::CharterHeading.say(self.lang),
            top: self.first,
            rows,
            keys: [Menu::KeyAccept, Menu::KeyRefuse, Menu::KeyScroll].map(|key| key.say(self.lang)).to_vec(),
            ..Sheet::default()
        };
        sheet.draw(area, frame.buffer_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::menu::Screen;

    fn page(lines: usize) -> CharterPage {
        let text: Vec<String> = (1..=lines).map(|n| format!("article {n}")).collect();
        CharterPage::new("lab", &"ada".parse().unwrap(), &text.join("\n"), Lang::En)
    }

    fn shown(page: &mut CharterPage) -> String {
        let mut screen = Screen::new(40, 12, Palette::for_terminal("dumb", "C.UTF-8", true));
        screen.enter();
        String::from_utf8(screen.show(|frame| page.view(frame))).unwrap()
    }

    #[test]
    fn in_lines_all_of_it_is_there_and_paragraphs_stay_apart() {
        let text: Vec<String> = (1..=300).map(|n| format!("article {n}\n\nand é {n}")).collect();
        let page = CharterPage::new("lab", &"ada".parse().unwrap(), &text.join("\n\n"), Lang::En);
        let lines = |locale| {
            let palette = Palette { escapes: false, ..Palette::for_terminal("xterm", locale, false) };
            String::from_utf8(page.lines(palette)).unwrap()
        };
        let said = lines("C.UTF-8");
        assert!(said.starts_with("lab · ada\r\n\r\nPlease read and accept"), "{said}");
        assert!(said.contains("article 1\r\n\r\nand é 1\r\n\r\narticle 2\r\n"), "{said}");
        assert!(said.ends_with("and é 300\r\n\r\na accept, q leave\r\n"), "{said}");
        let ascii = lines("C");
        assert!(ascii.is_ascii() && ascii.contains("and e 300\r\n"), "{ascii}");
        assert!(!said.contains('\x1b'));
    }

    #[test]
    fn it_scrolls_and_only_its_key_accepts() {
        let mut page = page(50);
        let first = shown(&mut page);
        assert!(first.contains("article 1\r\n") && first.contains("a accept"), "{first}");
        for key in [Key::Enter, Key::Char(' '), Key::Down] {
            assert_eq!(page.press(key), Turn::Stay);
        }
        let later = shown(&mut page);
        assert!(later.contains("article 22") && !later.contains("article 1\r\n"), "{later}");
        page.press(Key::End);
        assert!(shown(&mut page).contains("article 50"));
        page.press(Key::Home);
        assert!(shown(&mut page).contains("article 1\r\n"));
        assert_eq!(page.press(Key::Char('a')), Turn::Accept);
        assert_eq!(page.press(Key::CtrlC), Turn::Leave);
    }
}
