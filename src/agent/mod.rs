//! The agent: PID 1 of every container, and the protocol it speaks with the gateway.
//!
//! Plain threads, no runtime: it must run in an empty container and cost nearly nothing. One thread
//! listens, one reaps, one keeps the deadline, and each conversation about a process has its own.
//! A shell on a terminal outlives its conversation (`shells`).

pub mod protocol;

mod accepted;
mod account;
mod clock;
mod descriptors;
mod dial;
pub mod door;
mod end;
mod idle;
mod jupyter;
pub mod lanes;
mod listen;
mod modes;
mod own_path;
pub mod pins;
pub mod probe;
mod pty;
mod reaper;
mod relay;
mod rights;
mod run;
pub mod secure;
mod serve;
pub mod sftp;
mod shells;
mod spawn;
mod terminals;
mod tls;
pub mod usage;
mod x11;

pub use run::{RunError, run};
