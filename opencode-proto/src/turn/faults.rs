use std::collections::BTreeMap;

use crate::guard::RepetitionGuard;
use crate::{AgentError, SessionId};

/// Signs that the turn fails, or would never end.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Errors that the session reported since the prompt is known.
    pub(super) errors: Vec<AgentError>,
    /// Number of errors that another call of the model followed.
    pub(super) recovered: usize,
    /// Last failure that each session reported, with the number of messages at that time.
    pub(super) reported: BTreeMap<SessionId, (AgentError, usize)>,
    /// Guards against endless repetition, one for each session.
    pub(super) guards: BTreeMap<SessionId, RepetitionGuard>,
}

impl Faults {
    /// Forgets an error that the session reported, and that is part of an answer to a later prompt.
    pub(super) fn forget(&mut self, error: &AgentError) {
        let Some(place) = self.errors.iter().rposition(|known| known.is_same_failure(error)) else {
            return;
        };
        self.errors.remove(place);
        if place < self.recovered {
            self.recovered -= 1;
        }
    }
}
