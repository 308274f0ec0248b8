//! The core: who holds which slot until when. Pure rules, and the handle that everybody shares.
//!
//! No russh, axum, bollard, clock or file here; time comes as an argument.

pub mod names;
pub mod view;

pub use names::{MachineName, NameError, ReservationId, SlotId, UserName};
