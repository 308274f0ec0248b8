//! The core: who holds which slot until when, and who waits for one. Pure rules, and the handle that everybody shares.
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
mod clock;
mod desk;
mod lifecycle;
pub mod names;
mod plan;
mod queue;
mod refusal;
pub mod view;

pub use book::{Adopted, Book, Claim, Claimed, Picture};
pub use clock::Moment;
pub use desk::Desk;
pub use lifecycle::{Cause, EndReason, Ended, Reservation, State};
pub use names::{MachineName, NameError, ReservationId, SlotId, UserName};
pub use plan::{MachinePlan, SlotPlan, Target};
pub use queue::{Hold, Missed, Queue, Times, Waiting};
pub use refusal::Refusal;
