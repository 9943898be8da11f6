use opencode_config::ModelRef;

use crate::AgentError;

/// Keeps a session usable after a prompt for a model that does not exist: OpenCode remembers that
/// model for the session and uses it for every later prompt that names none.
#[derive(Debug)]
pub(super) struct ModelGuard {
    /// A model that exists, or was asked for when the session was created.
    good: Option<ModelRef>,
    is_poisoned: bool,
}

/// Advice to a prompt that names no model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ModelAdvice {
    /// The session's own model can be used.
    Unneeded,
    /// The prompt has to name a model, and the configured one is the only one left.
    Configured,
    /// The prompt has to name this model.
    Name(ModelRef),
}

impl ModelGuard {
    pub(super) fn new(good: Option<ModelRef>) -> Self {
        Self { good, is_poisoned: false }
    }

    pub(super) fn advice(&self) -> ModelAdvice {
        match (self.is_poisoned, &self.good) {
            (false, _) => ModelAdvice::Unneeded,
            (true, Some(model)) => ModelAdvice::Name(model.clone()),
            (true, None) => ModelAdvice::Configured,
        }
    }

    pub(super) fn learn(
        &mut self,
        asked: Option<&ModelRef>,
        used: Option<&ModelRef>,
        error: Option<&AgentError>,
    ) {
        if let Some(used) = used {
            // An answer, if only an error of the provider's, comes from a model that exists.
            self.good = Some(used.clone());
            self.is_poisoned = false;
        } else if let Some(asked) = asked
            && error.is_some_and(AgentError::is_model_not_found)
        {
            self.is_poisoned = true;
            if self.good.as_ref() == Some(asked) {
                self.good = None;
            }
        }
    }
}
