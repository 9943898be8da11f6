use crate::AgentError;

/// Errors of turns that have ended, known from messages, whose `session.error` is still to come.
///
/// The event names no message. Without this, the next turn would take over the error.
#[derive(Debug, Default)]
pub(super) struct LateErrors(Vec<AgentError>);

impl LateErrors {
    pub(super) fn expect(&mut self, errors: impl Iterator<Item = AgentError>) {
        self.0.extend(errors);
    }

    pub(super) fn contains(&self, error: &AgentError) -> bool {
        self.0.iter().any(|late| late.name == error.name && late.message == error.message)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
