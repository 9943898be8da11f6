//! The answer of a run, gathered event by event.

mod attempt;
mod fallback;
mod step;
mod update;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Add;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::part::{FinishReason, Tokens, ToolPart};
use crate::{AgentError, MessageId, PartId, SessionId};

pub use attempt::AbandonedAttempt;
pub(crate) use attempt::{AttemptNo, Attempts};
use fallback::Fallback;
pub(crate) use step::join;
pub use step::{Step, StepRole};

/// The result of a run, complete as far as the run came.
///
/// The cost of an event does not depend on the events before. A part that is sent twice counts
/// once, with the last content. Text and reasoning of an attempt that the provider broke off and
/// OpenCode repeated are kept apart ([`Step::abandoned`]). No value keeps a chunk of the stream
/// alive.
///
/// ```
/// use opencode_proto::{Answer, RunEvent};
///
/// let lines = [
///     r#"{"type":"step_start","sessionID":"ses_1","part":{"messageID":"msg_1"}}"#,
///     r#"{"type":"text","sessionID":"ses_1","part":{"messageID":"msg_1","text":"Hello!"}}"#,
///     r#"{"type":"step_finish","sessionID":"ses_1","part":{"messageID":"msg_1","reason":"stop",
///         "cost":0.25,"tokens":{"input":10,"output":2}}}"#,
/// ];
/// let mut answer = Answer::new();
/// for line in lines {
///     answer.apply(&RunEvent::decode(line.into()));
/// }
/// assert_eq!(answer.text(), "Hello!");
/// assert_eq!((answer.tokens().total, answer.cost()), (12, 0.25));
/// assert!(answer.fatal_error().is_none());
/// ```
///
/// `Serialize` writes session, text, reasoning, tokens, cost, finish, steps, tools and errors.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    session: Option<SessionId>,
    steps: Vec<Step>,
    tools: Vec<ToolPart>,
    errors: Vec<AgentError>,
    /// Number of steps at the last error.
    failed_step: usize,
    tail: Tail,
    /// Role of the next step to begin.
    next_role: StepRole,
    fallback: Fallback,
    step_of_message: BTreeMap<MessageId, usize>,
    place_of_part: BTreeMap<PartId, PartPlace>,
}

/// Place of a part in the answer.
#[derive(Clone, Copy, Debug)]
enum PartPlace {
    Finish {
        step: usize,
        finish: usize,
    },
    /// The part has no content that could change.
    Noted,
    Reasoning {
        step: usize,
        piece: usize,
    },
    Text {
        step: usize,
        piece: usize,
    },
    Tool {
        tool: usize,
    },
}

/// End of the events so far, were they all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tail {
    /// The model's answer is finished.
    Answered,
    /// An error came after the last answer.
    Failed,
    /// No event of the model came yet.
    #[default]
    Nothing,
    /// A step began, or was to begin, and did not finish.
    StepOpen,
    /// The model called tools, and has not answered their results.
    ToolsCalled,
}

impl Answer {
    /// Creates an answer without events.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the answer: the text of the last message that has any.
    ///
    /// Text that OpenCode wrote itself, summaries of a compaction and abandoned attempts are left
    /// out. A run without a known event is answered with the most likely text, so that output that
    /// is meant for people does not read as an empty answer.
    pub fn text(&self) -> Cow<'_, str> {
        self.answering_steps()
            .rev()
            .map(Step::text)
            .find(|text| !text.is_empty())
            .unwrap_or_else(|| Cow::Borrowed(self.likely_text()))
    }

    /// Returns the text of all messages in order, joined without a separator, with the exceptions
    /// of [`text`](Self::text).
    pub fn full_text(&self) -> Cow<'_, str> {
        match join(self.answering_steps().map(Step::text)) {
            text if text.is_empty() => Cow::Borrowed(self.likely_text()),
            text => text,
        }
    }

    /// Returns the visible reasoning of all messages in order, joined without a separator. A run
    /// without `--thinking` has none.
    pub fn reasoning(&self) -> Cow<'_, str> {
        join(self.answering_steps().map(Step::reasoning))
    }

    /// Returns the steps in order: one per assistant message.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Returns the ended tool calls in the order of their ends.
    pub fn tools(&self) -> &[ToolPart] {
        &self.tools
    }

    /// Returns the tokens of all steps.
    pub fn tokens(&self) -> Tokens {
        self.steps.iter().map(Step::tokens).sum()
    }

    /// Returns the price of all steps, in US dollars.
    pub fn cost(&self) -> f64 {
        self.steps.iter().map(Step::cost).fold(0.0, Add::add)
    }

    /// Returns the reported errors, with the ones that OpenCode recovered from. A failure that is
    /// reported twice counts once.
    pub fn errors(&self) -> &[AgentError] {
        &self.errors
    }

    /// Returns the error that the run did not recover from: the last one, if no answer follows.
    pub fn fatal_error(&self) -> Option<&AgentError> {
        self.errors.last().filter(|_| self.tail == Tail::Failed)
    }

    /// Returns the model's last reason to stop.
    pub fn finish(&self) -> Option<&FinishReason> {
        self.steps.iter().rev().find_map(Step::finish)
    }

    /// Returns the session of the run.
    pub fn session(&self) -> Option<&SessionId> {
        self.session.as_ref()
    }

    pub(crate) fn tail(&self) -> Tail {
        self.tail
    }

    /// Returns whether the last step has no text, and no other output takes the place of a text.
    pub(crate) fn is_empty(&self) -> bool {
        self.steps.last().is_some_and(|step| step.text().is_empty())
    }

    /// Returns the likely text of a run without a known event.
    fn likely_text(&self) -> &str {
        if self.steps.is_empty() { self.fallback.text() } else { "" }
    }

    fn answering_steps(&self) -> impl DoubleEndedIterator<Item = &Step> {
        self.steps.iter().filter(|step| step.role() == StepRole::Answer)
    }
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut answer = serializer.serialize_struct("Answer", 9)?;
        answer.serialize_field("sessionID", &self.session)?;
        answer.serialize_field("text", &self.text())?;
        answer.serialize_field("reasoning", &self.reasoning())?;
        answer.serialize_field("tokens", &self.tokens())?;
        answer.serialize_field("cost", &self.cost())?;
        answer.serialize_field("finish", &self.finish())?;
        answer.serialize_field("steps", &self.steps)?;
        answer.serialize_field("tools", &self.tools)?;
        answer.serialize_field("errors", &self.errors)?;
        answer.end()
    }
}

#[cfg(test)]
mod tests;
