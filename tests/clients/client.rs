//! The clients: each turns an [`Ask`] into a command line.

use std::path::Path;
use std::process::Command;

use super::ask::Ask;
use super::dropbear::Dropbear;
use super::openssh::OpenSsh;
use super::place::Place;
use super::putty::Putty;

pub trait Client: Sync {
    fn name(&self) -> &'static str;

    /// The program that does this. Only asked what the behaviour's table says it has.
    fn command(&self, place: &Place, ask: &Ask) -> Command;

    /// Takes the size and the modes of the terminal it runs on, instead of being told.
    fn wants_terminal(&self) -> bool {
        false
    }
}

pub const CLIENTS: &[&dyn Client] = &[
    &OpenSsh,
    &Dropbear,
    &Putty,
    &Script { name: "paramiko", file: "with_paramiko.py", modules: "" },
    &Script { name: "asyncssh", file: "with_asyncssh.py", modules: "" },
    &Script { name: "libssh2", file: "with_libssh2.py", modules: "" },
    &Script { name: "libssh", file: "with_libssh.py", modules: "" },
    &Script { name: "ssh2 1.14", file: "with_ssh2.js", modules: "ssh2-1.14.0" },
    &Script { name: "ssh2 1.17", file: "with_ssh2.js", modules: "ssh2-1.17.0" },
];

/// Where tests/clients/install puts what it fetches.
pub use crate::common::cache as installed;

/// A library, driven by a script of ours.
struct Script {
    name: &'static str,
    file: &'static str,
    /// The folder of this version of a package, for node.
    modules: &'static str,
}

impl Client for Script {
    fn name(&self) -> &'static str {
        self.name
    }

    fn command(&self, place: &Place, ask: &Ask) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/adapters").join(self.file);
        let mut command = if self.file.ends_with(".js") {
            let mut node = Command::new("node");
            node.env("NODE_PATH", installed().join(self.modules).join("node_modules"));
            node
        } else {
            Command::new(installed().join("venv/bin/python"))
        };
        let mut ask = ask.clone().with("host", "127.0.0.1").with("user", "ada");
        if !ask.has("port") {
            ask = ask.with("port", place.port());
        }
        if !ask.has("password") {
            ask = ask.with("key", place.cluster.path("ada.key").to_str().unwrap());
        }
        // Byte code beside the sources would be litter in the repository.
        command.env("PYTHONDONTWRITEBYTECODE", "1").arg(script).arg(ask.json());
        command
    }
}
