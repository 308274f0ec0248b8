//! What a client is asked to do. The adapters get it as JSON; the command lines are made from the same words.

use serde_json::{Map, Value, json};

/// One request to a client.
#[derive(Debug, Clone)]
pub struct Ask {
    words: Map<String, Value>,
}

impl Ask {
    fn new(way: &str) -> Self {
        Self { words: Map::new() }.with("do", way)
    }

    /// A command without a terminal.
    pub fn exec(command: &str) -> Self {
        Self::new("session").with("command", command)
    }

    /// A shell without a terminal.
    pub fn shell() -> Self {
        Self::new("session")
    }

    /// A command on a terminal.
    pub fn terminal(command: &str) -> Self {
        Self::exec(command).with("term", "vt220").with("columns", 101).with("rows", 31)
    }

    /// A local port to a port in the container.
    pub fn local(listen: u16, port: u16) -> Self {
        Self::new("local").with("listen", listen).with("to_host", "localhost").with("to_port", port)
    }

    /// A port in the container to a local one.
    pub fn remote(port_there: u16, port_here: u16) -> Self {
        Self::new("remote").with("port_there", port_there).with("to_port", port_here)
    }

    pub fn socks(listen: u16) -> Self {
        Self::new("socks").with("listen", listen)
    }

    /// Standard input and output to a port in the container.
    pub fn stdio(port: u16) -> Self {
        Self::new("stdio").with("to_host", "localhost").with("to_port", port)
    }

    pub fn unix_local(here: &str, there: &str) -> Self {
        Self::new("unix-local").with("path_here", here).with("path_there", there)
    }

    pub fn unix_remote(there: &str, here: &str) -> Self {
        Self::new("unix-remote").with("path_there", there).with("path_here", here)
    }

    /// A command on another server, through this one.
    pub fn jump(port: u16, command: &str) -> Self {
        Self::new("jump").with("to_host", "127.0.0.1").with("to_port", port).with("command", command)
    }

    /// The same command many times over one connection.
    pub fn channels(count: usize, command: &str) -> Self {
        Self::new("channels").with("count", count).with("command", command)
    }

    /// Steps of one SFTP session: see the adapters for their words.
    pub fn sftp(steps: &[&[&str]]) -> Self {
        Self::new("sftp").with("steps", json!(steps))
    }

    /// One side starts with a colon: the container's.
    pub fn scp(from: &str, to: &str) -> Self {
        Self::new("scp").with("from", from).with("to", to)
    }

    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.words.insert(key.to_owned(), value.into());
        self
    }

    pub fn env(self, name: &str, value: &str) -> Self {
        self.with("env", json!({ name: value }))
    }

    pub fn way(&self) -> &str {
        self.words["do"].as_str().unwrap()
    }

    pub fn has(&self, key: &str) -> bool {
        self.words.contains_key(key)
    }

    pub fn text(&self, key: &str) -> &str {
        self.words.get(key).and_then(Value::as_str).unwrap_or_else(|| panic!("no {key} in {self:?}"))
    }

    pub fn number(&self, key: &str) -> u64 {
        self.words.get(key).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {key} in {self:?}"))
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.words.get(key)
    }

    pub fn steps(&self) -> Vec<Vec<String>> {
        serde_json::from_value(self.words["steps"].clone()).unwrap()
    }

    pub fn json(&self) -> String {
        Value::from(self.words.clone()).to_string()
    }
}
