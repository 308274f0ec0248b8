//! The room of the matrix: who the clients are, what they are asked, and one file for each behaviour.

mod ask;
mod behaviour;
mod client;
mod dropbear;
mod openssh;
mod place;
mod program;
mod putty;
mod sshd;
mod table;
mod talk;

mod agent;
mod channels;
mod compare;
mod editors;
mod environment;
mod exec;
mod input;
mod jump;
mod keepalive;
mod local_forward;
mod login;
mod modes;
mod rekeying;
mod remote_forward;
mod scp;
mod sftp_files;
mod sftp_folder;
mod sftp_rename;
mod sftp_space;
mod sftp_tree;
mod shell;
mod signal;
mod socks;
mod stdio_forward;
mod terminal;
mod tools;
mod unix_local;
mod unix_remote;
mod window_change;
mod x11;

use behaviour::Behaviour;

/// The rows of the table in docs/clients.md, in its order.
const BEHAVIOURS: &[&Behaviour] = &[
    &login::PASSWORD,
    &login::INTERACTIVE,
    &exec::BEHAVIOUR,
    &input::BEHAVIOUR,
    &shell::BEHAVIOUR,
    &environment::BEHAVIOUR,
    &signal::BEHAVIOUR,
    &terminal::BEHAVIOUR,
    &modes::BEHAVIOUR,
    &window_change::BEHAVIOUR,
    &sftp_files::BEHAVIOUR,
    &sftp_tree::BEHAVIOUR,
    &sftp_rename::BEHAVIOUR,
    &sftp_folder::BEHAVIOUR,
    &sftp_space::BEHAVIOUR,
    &scp::MODERN,
    &scp::LEGACY,
    &local_forward::BEHAVIOUR,
    &remote_forward::FIXED,
    &remote_forward::CHOSEN,
    &socks::BEHAVIOUR,
    &stdio_forward::BEHAVIOUR,
    &jump::BEHAVIOUR,
    &unix_local::BEHAVIOUR,
    &unix_remote::BEHAVIOUR,
    &agent::BEHAVIOUR,
    &x11::BEHAVIOUR,
    &channels::BEHAVIOUR,
    &keepalive::BEHAVIOUR,
    &rekeying::BEHAVIOUR,
];
