//! The client matrix: every behaviour of SSH that people rely on, with every client that has it, and the same
//! commands beside OpenSSH's own server. `tests/run clients` installs what it needs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

// Its files are one for each behaviour; a folder of the same name as this file cannot be found by name.
#[path = "clients/mod.rs"]
mod matrix;
