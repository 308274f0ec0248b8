//! A try that the throttle has let through: it always ends, and one that is cut off counts as wrong.

use super::throttle::{Outcome, Source};
use super::{Attempt, Authenticator, Denial, Why};

pub(super) struct Guard {
    auth: Authenticator,
    name: String,
    source: Source,
    /// Charged in the throttle, and not ended yet.
    open: bool,
}

impl Guard {
    pub(super) fn throttled(auth: &Authenticator, name: String, source: Source) -> Self {
        Self { auth: auth.clone(), name, source, open: true }
    }

    /// For what cannot be guessed. A right one makes the address good all the same.
    pub(super) fn unthrottled(auth: &Authenticator, who: Attempt<'_>) -> Self {
        let (name, source) = (super::short(who.name), who.peer.ip().into());
        Self { auth: auth.clone(), name, source, open: false }
    }

    pub(super) fn is_good(&self) -> bool {
        self.auth.inner.throttle().is_good(&self.name, self.source)
    }

    pub(super) fn right(mut self) {
        self.open = false;
        self.end(Outcome::Right);
    }

    pub(super) fn neither(mut self) {
        if std::mem::take(&mut self.open) {
            self.end(Outcome::Neither);
        }
    }

    /// Ends it as wrong, for a reason that only administrators are told.
    pub(super) fn wrong(self, reason: &'static str) -> Why {
        Why(Denial::Wrong, reason)
    }

    fn end(&self, outcome: Outcome) {
        self.auth.inner.end(&self.name, self.source, outcome);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.open {
            self.end(Outcome::Wrong);
        }
    }
}
