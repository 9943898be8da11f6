//! Attempts of the model at one message.
//!
//! A provider can break off in the middle of an answer. OpenCode 1.18.33 then repeats the call
//! within the same message: each attempt that has begun is a `step-start`, only the last of them
//! has a `step-finish`, and the parts of the earlier attempts stay in the message. These parts are
//! no part of the answer.

use serde::Serialize;

/// Text and reasoning of an attempt that the provider broke off and OpenCode repeated.
///
/// ```
/// use opencode_proto::{Answer, RunEvent};
///
/// let lines = [
///     r#"{"type":"step_start","part":{"id":"prt_1","messageID":"msg_1"}}"#,
///     r#"{"type":"reasoning","part":{"id":"prt_2","messageID":"msg_1","text":"Forty."}}"#,
///     r#"{"type":"step_start","part":{"id":"prt_3","messageID":"msg_1"}}"#,
///     r#"{"type":"text","part":{"id":"prt_4","messageID":"msg_1","text":"It is 42."}}"#,
/// ];
/// let mut answer = Answer::new();
/// for line in lines {
///     answer.apply(&RunEvent::decode(line.into()));
/// }
/// assert_eq!((answer.text().as_ref(), answer.reasoning().as_ref()), ("It is 42.", ""));
/// assert_eq!(answer.steps()[0].abandoned()[0].reasoning, "Forty.");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AbandonedAttempt {
    /// Text of the attempt, joined without a separator.
    pub text: String,
    /// Reasoning of the attempt, joined without a separator.
    pub reasoning: String,
}

impl AbandonedAttempt {
    /// Returns whether the attempt broke off before the first text or reasoning.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty() && self.reasoning.is_empty()
    }
}

/// Attempts at one message, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempts(Vec<AttemptState>);

/// Index of an attempt among those of the message.
pub(crate) type AttemptNo = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AttemptState {
    Abandoned,
    Finished,
    /// A part came without a `step-start`, which may follow: deltas overtake the parts around them.
    Implied,
    Started,
}

impl Attempts {
    /// Returns the attempt that a new part belongs to.
    pub(crate) fn current(&mut self) -> AttemptNo {
        if !self.is_open() {
            self.0.push(AttemptState::Implied);
        }
        self.0.len() - 1
    }

    /// Takes a `step-start`. Returns the attempt that is abandoned by it.
    pub(crate) fn start(&mut self) -> Option<AttemptNo> {
        let abandoned = match self.0.last_mut() {
            Some(state @ AttemptState::Implied) => {
                *state = AttemptState::Started;
                return None;
            }
            Some(AttemptState::Started) => self.abandon(),
            Some(AttemptState::Abandoned | AttemptState::Finished) | None => None,
        };
        self.0.push(AttemptState::Started);
        abandoned
    }

    /// Takes a `step-finish`.
    pub(crate) fn finish(&mut self) {
        let current = self.current();
        self.0[current] = AttemptState::Finished;
    }

    /// Abandons an attempt that has no end.
    pub(crate) fn abandon_unfinished(&mut self, attempt: AttemptNo) {
        if let Some(state @ (AttemptState::Implied | AttemptState::Started)) =
            self.0.get_mut(attempt)
        {
            *state = AttemptState::Abandoned;
        }
    }

    /// Abandons the attempt that is open. Returns that attempt.
    pub(crate) fn abandon(&mut self) -> Option<AttemptNo> {
        let open = self.unfinished()?;
        self.0[open] = AttemptState::Abandoned;
        Some(open)
    }

    /// Returns the attempt that is open.
    pub(crate) fn unfinished(&self) -> Option<AttemptNo> {
        self.is_open().then(|| self.0.len() - 1)
    }

    /// Returns the attempt that a `step-start` would abandon.
    pub(crate) fn started(&self) -> Option<AttemptNo> {
        matches!(self.0.last(), Some(AttemptState::Started)).then(|| self.0.len() - 1)
    }

    pub(crate) fn is_abandoned(&self, attempt: AttemptNo) -> bool {
        self.0.get(attempt) == Some(&AttemptState::Abandoned)
    }

    /// Returns the abandoned attempts, in order.
    pub(crate) fn abandoned(&self) -> impl Iterator<Item = AttemptNo> {
        (0..self.0.len()).filter(|attempt| self.is_abandoned(*attempt))
    }

    fn is_open(&self) -> bool {
        matches!(self.0.last(), Some(AttemptState::Implied | AttemptState::Started))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_start_abandons_the_attempt_before() {
        let mut attempts = Attempts::default();
        assert_eq!((attempts.start(), attempts.current()), (None, 0));
        assert_eq!((attempts.started(), attempts.start()), (Some(0), Some(0)));
        assert_eq!(attempts.current(), 1);
        attempts.finish();
        assert_eq!((attempts.started(), attempts.start()), (None, None));
        assert_eq!(attempts.abandoned().collect::<Vec<_>>(), [0]);
        assert!(attempts.is_abandoned(0) && !attempts.is_abandoned(1) && !attempts.is_abandoned(9));
    }

    #[test]
    fn a_start_that_its_parts_overtook_abandons_nothing() {
        let mut attempts = Attempts::default();
        assert_eq!((attempts.current(), attempts.start(), attempts.current()), (0, None, 0));
        assert_eq!(attempts.start(), Some(0));
    }

    #[test]
    fn a_failed_attempt_is_abandoned_once() {
        let mut attempts = Attempts::default();
        assert_eq!(attempts.abandon(), None);
        attempts.start();
        assert_eq!((attempts.abandon(), attempts.abandon()), (Some(0), None));
        assert_eq!((attempts.start(), attempts.current()), (None, 1));
    }
}
