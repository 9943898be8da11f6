use std::sync::Arc;

use crate::watched::Watched;

/// A gate that holds replies back until the test opens it for good. Clones are the same gate.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    state: Arc<Watched<GateState>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum GateState {
    #[default]
    Closed,
    Open,
}

impl Gate {
    /// Creates a closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the gate: everything that waits continues, and nothing waits any more.
    pub fn open(&self) {
        self.state.update(|state| *state = GateState::Open);
    }

    /// Blocks until the gate is open or `is_given_up` returns true, which [`Self::nudge`] makes
    /// this check again.
    pub(crate) fn wait(&self, is_given_up: impl Fn() -> bool) {
        self.state.wait(|state| (*state == GateState::Open || is_given_up()).then_some(()));
    }

    pub(crate) fn nudge(&self) {
        self.state.update(|_| ());
    }
}
