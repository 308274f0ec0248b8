//! The methods, one file each: every one admits the try, checks the credential, and lets `attempt` finish it.

mod certificate;
mod code;
mod key;
mod password;
mod tailnet;
