//! clusteria: the SSH front door of a small GPU cluster.
//!
//! # The life of a connection
//!
//! ```text
//! TcpStream → ssh::listener → auth → Identity → ssh::landing (or menu) → Destination
//!           → reservation → Lease → engine → Container → bridge → AgentLink → channels pumped both ways
//! ```
//!
//! Each type can only be made by the step before it. ARCHITECTURE.md has the map and the invariants.

pub mod agent;
pub mod app;
pub mod audit;
pub mod auth;
pub mod bridge;
pub mod charter;
pub mod cli;
mod complaint;
pub mod config;
pub mod connect;
pub mod doctor;
pub mod engine;
pub mod error_chain;
pub mod firewall;
pub mod frontdoor;
pub mod handover;
pub mod languages;
pub mod menu;
pub mod reservation;
pub mod ssh;
pub mod store;
pub mod telemetry;
pub mod text;
pub mod web;
pub mod wire;
pub mod workspace;
