use std::sync::{Mutex, MutexGuard, PoisonError};

use opencode_config::ModelRef;
use opencode_proto::{TurnEnd, TurnOutcome};

/// Keeps a session usable after a prompt for a model that does not exist: OpenCode remembers that model for the session
/// and takes it for every later prompt that names none.
#[derive(Debug)]
pub(crate) struct ModelGuard {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// One that is known to be there, or was asked for.
    good: Option<ModelRef>,
    is_poisoned: bool,
}

impl ModelGuard {
    pub(crate) fn new(good: Option<ModelRef>) -> Self {
        Self { state: Mutex::new(State { good, is_poisoned: false }) }
    }

    /// Whether a prompt has to name its model, and the one it can name, if that is known.
    pub(crate) fn advice(&self) -> Option<Option<ModelRef>> {
        let state = self.lock();
        state.is_poisoned.then(|| state.good.clone())
    }

    /// Learns from how a turn went. `asked`: the model that its prompt named.
    pub(crate) fn learn(&self, asked: Option<&ModelRef>, outcome: &TurnOutcome) {
        let mut state = self.lock();
        if let Some(model) = outcome.answers().last().and_then(|answer| answer.model.clone()) {
            // An answer, if only an error of the provider's, comes from a model that is there.
            state.good = Some(model);
            state.is_poisoned = false;
        } else if let (Some(asked), TurnEnd::AgentError(error)) = (asked, &outcome.end)
            && error.message.contains("odel not found")
        {
            state.is_poisoned = true;
            if state.good.as_ref() == Some(asked) {
                state.good = None;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
