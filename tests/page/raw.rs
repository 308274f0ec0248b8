//! A client that says what browsers would not.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// One request on a connection of its own. Names in `headers` come in addition to `Host`.
pub fn ask(url: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(70))).unwrap();
    let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        head += &format!("Host: {address}\r\n");
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("Content-Length: {}\r\n\r\n", body.len());
    stream.write_all((head + body).as_bytes()).unwrap();
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{method} {path}: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = BTreeMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        let all: &mut String = headers.entry(name.to_ascii_lowercase()).or_default();
        // What came more than once stands line by line.
        *all = if all.is_empty() { value.to_owned() } else { format!("{all}\n{value}") };
    }
    Answer { status, headers, body: body.to_owned() }
}

/// A browser's cookie, and the token of its forms.
#[derive(Debug, Clone)]
pub struct Visitor {
    pub cookie: String,
    pub token: String,
}

impl Visitor {
    pub fn new(url: &str) -> Self {
        let page = ask(url, "GET", "/", &[], "");
        let cookie = cookie_of(&page);
        Self { token: token_in(&page.body), cookie }
    }

    pub fn sign_in(url: &str, user: &str) -> Self {
        Self::sign_in_with(url, user, &format!("pw-{user}"))
    }

    pub fn sign_in_with(url: &str, user: &str, password: &str) -> Self {
        let mut visitor = Self::new(url);
        let done = visitor.post(url, "/sign-in", &format!("user={user}&password={password}"));
        assert_eq!(done.status, 303, "{done:?}");
        let before = visitor.cookie.clone();
        visitor.cookie = cookie_of(&done);
        assert_ne!(before, visitor.cookie, "another secret at each sign-in");
        visitor.token = token_in(&visitor.get(url, "/").body);
        visitor
    }

    pub fn get(&self, url: &str, path: &str) -> Answer {
        ask(url, "GET", path, &[("Cookie", &self.cookie)], "")
    }

    pub fn post(&self, url: &str, path: &str, fields: &str) -> Answer {
        let body = format!("token={}&{fields}", self.token);
        let form = "application/x-www-form-urlencoded";
        let headers = [("Cookie", self.cookie.as_str()), ("Content-Type", form), ("Origin", url)];
        ask(url, "POST", path, &headers, &body)
    }
}

/// A browser's way by the button into JupyterLab: its cookies there, the pass first, and the ticket's address that gave it.
pub fn enter_lab(page: &str, who: &Visitor) -> (String, String) {
    let (browser, ticket) = ask_ticket(page, who);
    let (origin, path) = split(&ticket);
    let entered = ask(&origin, "GET", &path, &[("Cookie", &browser)], "");
    assert_eq!((entered.status, entered.headers["refresh"].as_str()), (200, "0; url=/lab"), "{entered:?}");
    (format!("{}; {browser}", cookie_of(&entered)), ticket)
}

/// As far as a ticket that is not yet redeemed, and the cookie that it is for.
pub fn ask_ticket(page: &str, who: &Visitor) -> (String, String) {
    let sent = who.post(page, "/jupyter", "");
    assert_eq!(sent.status, 200, "{sent:?}");
    let (origin, path) = split(sent.headers["refresh"].strip_prefix("0; url=").unwrap());
    let opened = ask(&origin, "GET", &path, &[], "");
    assert_eq!(opened.status, 303, "{opened:?}");
    let (back, path) = split(&opened.headers["location"]);
    assert_eq!(back, page, "back to where they came from");
    let given = who.get(page, &path);
    assert_eq!(given.status, 303, "{given:?}");
    (cookie_of(&opened), given.headers["location"].clone())
}

/// Origin and path.
pub fn split(url: &str) -> (String, String) {
    let at = url[7..].find('/').unwrap() + 7;
    (url[..at].to_owned(), url[at..].to_owned())
}

fn cookie_of(answer: &Answer) -> String {
    answer.headers["set-cookie"].split(';').next().unwrap().to_owned()
}

fn token_in(page: &str) -> String {
    page.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}
