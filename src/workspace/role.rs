//! Which gateway's word counts, and how work is told to stop.

use tokio::sync::watch;

use crate::handover::Heir;

/// What this process is among the gateways of its cluster.
#[derive(Debug, Clone)]
pub(super) enum Role {
    /// It decides: book, ledger and engines are its own.
    Owner,
    /// A new one is taking over; nothing may change until it is clear whether it has.
    HandingOver,
    /// It serves out its connections and asks the owner for everything else.
    Elder(Heir),
}

/// The role, and the bell that rings when it changes.
#[derive(Debug)]
pub(super) struct Roles(watch::Sender<Role>);

impl Roles {
    pub(super) fn owner() -> Self {
        Self(watch::Sender::new(Role::Owner))
    }

    /// Does what only the owner does, or says whose it is. A change of roles waits for it and it for them.
    pub(super) fn as_owner<T>(&self, act: impl FnOnce() -> T) -> Result<T, Role> {
        match &*self.0.borrow() {
            Role::Owner => Ok(act()),
            other => Err(other.clone()),
        }
    }

    pub(super) fn change(&self, role: Role) {
        self.0.send_replace(role);
    }

    /// Waits until it is clear who is the owner: another, or (`None`) this process.
    pub(super) async fn heir(&self) -> Option<Heir> {
        let mut role = self.0.subscribe();
        let settled = role.wait_for(|role| !matches!(role, Role::HandingOver)).await;
        match settled.as_deref() {
            Ok(Role::Elder(heir)) => Some(heir.clone()),
            _ => None,
        }
    }
}

/// A flag that tasks wait for, and that can be taken back.
#[derive(Debug, Clone)]
pub(super) struct Flag(watch::Sender<bool>);

impl Flag {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    pub(super) fn cancel(&self) {
        self.0.send_replace(true);
    }

    /// For tasks that begin from here on.
    pub(super) fn reset(&self) {
        self.0.send_replace(false);
    }

    pub(super) fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    pub(super) async fn cancelled(&self) {
        let _ = self.0.subscribe().wait_for(|cancelled| *cancelled).await;
    }
}
