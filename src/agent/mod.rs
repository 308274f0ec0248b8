//! The agent: PID 1 of every container, and the protocol it speaks with the gateway.

pub mod protocol;
