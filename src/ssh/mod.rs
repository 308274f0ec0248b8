//! SSH: the only user of russh. Ends the connection, decides who and where, and maps every channel
//! onto one conversation with the agent.

mod algorithms;
mod certificates;
mod channels;
mod charter_session;
mod connection;
mod copy;
mod forward;
mod holders;
mod host_key_proof;
pub mod host_keys;
mod in_flight;
mod inbox;
pub mod landing;
mod listener;
mod login;
mod menu_errands;
mod menu_session;
mod outgoing;
mod pump;
mod remote;
mod remote_forward;
mod seats;
mod session;
mod shell_session;
mod tcp;
mod typed;
mod visit;
mod waiting;

pub use listener::{Listeners, ServeError};
