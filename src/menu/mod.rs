//! The menu: `Event → update → Action`, drawn to bytes.
