use std::collections::{BTreeMap, BTreeSet};

use crate::guard::RepetitionGuard;
use crate::{AgentError, MessageId, SessionId};

/// Signs that the turn fails, or would never end.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Errors that the session reported since the prompt is known.
    pub(super) errors: Vec<AgentError>,
    /// Another prompt has taken over: later errors of the session are not those of the turn.
    pub(super) are_complete: bool,
    /// Answers that events have reported. A look may find the answers after an error before the
    /// error is reported.
    pub(super) heard: BTreeSet<MessageId>,
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
