//! A cluster with its page.

use serde_json::json;

use crate::common::browser::Browser;
use crate::common::{Cluster, Plan, free_port};
use crate::raw::Visitor;

pub struct Site {
    pub cluster: Cluster,
    pub url: String,
    pub jupyter: String,
    pub metrics: String,
}

impl Site {
    pub fn start(plan: Plan) -> Self {
        let mut site = Self::prepare(plan);
        site.cluster.start_gateway();
        site
    }

    pub fn start_with_charter(plan: Plan) -> Self {
        let mut site = Self::prepare(plan);
        std::fs::write(site.cluster.path("charter.md"), "Be good to each other.\n").unwrap();
        let config = std::fs::read_to_string(site.cluster.config()).unwrap();
        let config = config.replace("[cluster]\n", "[cluster]\ncharter = \"charter.md\"\n");
        std::fs::write(site.cluster.config(), config).unwrap();
        site.cluster.start_gateway();
        site
    }

    /// With more in its configuration, after what it is made with.
    pub fn prepare(mut plan: Plan) -> Self {
        let [page, jupyter, metrics] = [(); 3].map(|()| format!("127.0.0.1:{}", free_port()));
        plan.more += &format!(
            "[web]\nlisten = [\"{page}\"]\njupyter = [\"{jupyter}\"]\n[metrics]\nlisten = \"{metrics}\"\n"
        );
        let http = |address: &str| format!("http://{address}");
        let cluster = Cluster::prepare(&plan);
        Self { cluster, url: http(&page), jupyter: http(&jupyter), metrics: http(&metrics) }
    }

    pub fn open(&self, browser: &mut Browser, path: &str) {
        browser.ask(&json!({ "command": "open", "url": format!("{}{path}", self.url) }));
    }

    pub fn sign_in(&self, browser: &mut Browser, user: &str, password: &str) {
        self.sign_in_in(browser, user, password, ["University username", "Password", "Sign in"]);
    }

    pub fn sign_in_in(&self, browser: &mut Browser, user: &str, password: &str, words: [&str; 3]) {
        let [name, secret, button] = words;
        self.open(browser, "/sign-in");
        browser.ask(&json!({ "command": "fill", "fields": { name: user, secret: password } }));
        browser.ask(&json!({ "command": "submit", "words": button }));
        let form = browser.ask(&json!({ "command": "count", "selector": "#password" }));
        assert_eq!(form["count"], 0, "{user} is not in");
    }

    /// axe-core finds nothing.
    pub fn inspect(&self, browser: &mut Browser) {
        let verdict = browser.ask(&json!({ "command": "inspect" }));
        assert_eq!(verdict["violations"], json!([]), "{verdict:#}");
    }

    /// The same in both languages; what is shown has these words in English and these in French.
    pub fn inspect_in_both(&self, browser: &mut Browser, words: [&str; 2]) {
        self.inspect(browser);
        for (language, words) in ["Français", "English"].into_iter().zip(words.into_iter().rev()) {
            browser.ask(&json!({ "command": "press", "words": language }));
            browser.ask(&json!({ "command": "see", "words": words }));
            self.inspect(browser);
        }
    }
}

/// The code of now (RFC 6238), by the tool that the tests have.
pub fn code(secret: &str) -> String {
    let script = "import sys,base64,hmac,time,struct\n\
                  k=base64.b32decode(sys.argv[1]);d=hmac.new(k,struct.pack('>Q',int(time.time())//30),'sha1').digest()\n\
                  o=d[-1]&15;print('%06d'%((struct.unpack('>I',d[o:o+4])[0]&0x7fffffff)%1000000))";
    let output = std::process::Command::new("python3").args(["-c", script, secret.trim()]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A token of theirs, as a header has it.
pub fn token(site: &Site, who: &Visitor) -> String {
    let made = who.post(&site.url, "/tokens", "label=test");
    assert_eq!(made.status, 201, "{made:?}");
    let token = made.body.split("clusteria_").nth(1).unwrap().split('<').next().unwrap();
    format!("Bearer clusteria_{token}")
}
