//! A newer gateway takes over from a running one: an upgrade, or a changed configuration, cuts nobody off.
//!
//! ```text
//!  heir (new)                          elder (runs)
//!    inherit ───────────────────────▶
//!            ◀─────────────────────── offer, with the listening descriptors
//!    … opens everything else; whatever fails here, the elder has noticed nothing
//!    take    ───────────────────────▶ stops accepting and lays down what only one may do
//!            ◀─────────────────────── estate: what its book holds, which starts are under way
//!    taken   ───────────────────────▶ (or nothing in time: the elder goes on as before)
//!            ◀─────────────────────── yours: from here on the heir is the owner
//! ```
//!
//! Between *take* and *yours* clients wait in the listening sockets' queues, which belong to both: none is refused.
//! Afterwards the elder serves out its connections. Its book is a copy that the owner keeps up to date
//! ([`Heir::follow`]); what changes anything is asked of the owner, at the same path, whoever that is by then.
//! Starts that were under way end in the elder, which tells the owner what came of them; ends are begun anew.
//!
//! Every conversation is lines of JSON over one socket in `[store] runtime`, root's alone.

mod bequeath;
mod descriptors;
mod heir;
mod inherit;
mod serve;
mod talk;
mod wire;

use std::path::{Path, PathBuf};

pub use bequeath::{Bequest, adopt};
pub use heir::{Followed, Follower, Heir};
pub use inherit::{InheritError, Inheritance, reload};
pub use serve::{Request, Server, Socket};
pub use talk::TalkError;
pub use wire::{Asked, Estate, Fate, Place, Waits};

/// The socket's name in `[store] runtime`.
const NAME: &str = "gateway.sock";

/// Where the owner listens.
#[must_use]
pub fn path(runtime: &Path) -> PathBuf {
    runtime.join(NAME)
}
