use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Holds a reply until the test opens it. Clones are the same gate; it stays open.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Closed,
    Open,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets everything pass that waits, and everything that comes later.
    pub fn open(&self) {
        *self.lock() = State::Open;
        self.state.1.notify_all();
    }

    /// Blocks until the gate is open or `given_up` says so; [`Self::nudge`] makes it look again.
    pub(crate) fn wait(&self, given_up: impl Fn() -> bool) {
        let mut state = self.lock();
        while *state == State::Closed && !given_up() {
            state = self.state.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(crate) fn nudge(&self) {
        // Under the lock, or a waiter that has just looked would miss it.
        let _state = self.lock();
        self.state.1.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
