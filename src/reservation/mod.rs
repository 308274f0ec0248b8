//! The core: who holds which slot until when. Pure rules, and the handle that everybody shares.
//!
//! No russh, axum, bollard, clock or file here; time comes as an argument.
//!
//! ```text
//!            claim            activate          begin_end             finish
//!   (free) ───────▶ Starting ─────────▶ Active ──────────▶ Ending(reason) ───────▶ Ended(reason)
//!                      │                                       ▲                       ▲
//!                      ├───────────────── begin_end ───────────┘                       │
//!                      └──────────────── finish (a start that failed) ─────────────────┘
//! ```

mod book;
mod desk;
mod lifecycle;
pub mod names;
mod refusal;
pub mod view;

pub use book::{Book, Claim, Claimed, MachinePlan, Picture, SlotPlan, Target};
pub use desk::Desk;
pub use lifecycle::{Cause, EndReason, Ended, Reservation, State};
pub use names::{MachineName, NameError, ReservationId, SlotId, UserName};
pub use refusal::Refusal;
