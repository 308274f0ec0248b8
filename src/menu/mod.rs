//! The menu: `Event → update → Action`, drawn to bytes.

mod keys;

pub use keys::{Key, KeyDecoder};
