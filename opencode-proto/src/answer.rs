//! The answer of a run, gathered event by event.

mod attempt;
mod fallback;
mod step;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::mem;
use std::ops::Add;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::part::{
    FinishReason, PartKey, ReasoningPart, StepFinish, StepStart, TextOrigin, TextPart, Tokens,
    ToolPart,
};
use crate::run_event::{AttemptAbandoned, RunEvent, RunEventKind};
use crate::{AgentError, ErrorName, MessageId, PartId, SessionId};

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

    /// Adds an event. Events are to come in the order of the stream.
    pub fn apply(&mut self, event: &RunEvent) {
        if self.session.is_none() {
            self.session.clone_from(&event.session);
        }
        match &event.kind {
            RunEventKind::AttemptAbandoned(abandoned) => {
                for part in &abandoned.parts {
                    match self.place_of_part.get(part) {
                        Some(PartPlace::Reasoning { step, piece }) => {
                            self.steps[*step].abandon_reasoning(*piece);
                        }
                        Some(PartPlace::Text { step, piece }) => {
                            self.steps[*step].abandon_text(*piece);
                        }
                        Some(
                            PartPlace::Finish { .. } | PartPlace::Noted | PartPlace::Tool { .. },
                        )
                        | None => {}
                    }
                }
            }
            RunEventKind::Error(error) => {
                if !self.is_repeated(error) {
                    self.errors.push(error.detach());
                    self.failed_step = self.steps.len();
                }
                self.tail = Tail::Failed;
                // The next step, if any, is a summary. OpenCode's own text between summary and
                // answer does not always show that: in a session with earlier prompts, OpenCode
                // repeats the prompt without such a text.
                if error.name == ErrorName::CONTEXT_OVERFLOW {
                    self.next_role = StepRole::Summary;
                }
            }
            RunEventKind::Reasoning(part) => self.apply_reasoning(part),
            RunEventKind::StepFinish(part) => self.apply_finish(part),
            RunEventKind::StepStart(part) => self.apply_start(part),
            RunEventKind::Text(part) => self.apply_text(part),
            RunEventKind::ToolUse(part) => self.apply_tool(part),
            RunEventKind::Diagnostic(_)
            | RunEventKind::Malformed { .. }
            | RunEventKind::Notice(_)
            | RunEventKind::Unknown { .. } => {
                if self.steps.is_empty() {
                    self.fallback.add(event);
                }
            }
            // The whole part follows.
            RunEventKind::TextDelta(_) => {}
        }
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

    /// Returns whether OpenCode reports the last failure again: some failures are printed twice.
    fn is_repeated(&self, error: &AgentError) -> bool {
        self.tail == Tail::Failed
            && self.failed_step == self.steps.len()
            && self.errors.last().is_some_and(|last| last.is_same_failure(error))
    }

    /// Returns whether the last step has no text, and no other output takes the place of a text.
    pub(crate) fn is_empty(&self) -> bool {
        self.steps.last().is_some_and(|step| step.text().is_empty())
    }

    /// Returns the void parts if this event, which is not applied yet, repeats a call of the model.
    pub(crate) fn abandoned_by(&self, event: &RunEvent) -> Option<AttemptAbandoned> {
        let RunEventKind::StepStart(StepStart { key }) = &event.kind else { return None };
        let message = key.message.as_ref()?;
        if self.place(key).is_some() {
            return None;
        }
        let step = *self.step_of_message.get(message)?;
        let parts = self.steps[step].unfinished_parts();
        (!parts.is_empty()).then(|| AttemptAbandoned { message: Some(message.clone()), parts })
    }

    /// Sets the cause of errors that came with a reference only.
    pub(crate) fn resolve(&mut self, reference: &str, cause: &str) {
        for error in &mut self.errors {
            if error.reference.as_deref() == Some(reference) {
                error.cause = Some(cause.to_owned());
            }
        }
    }

    /// Returns the likely text of a run without a known event.
    fn likely_text(&self) -> &str {
        if self.steps.is_empty() { self.fallback.text() } else { "" }
    }

    fn answering_steps(&self) -> impl DoubleEndedIterator<Item = &Step> {
        self.steps.iter().filter(|step| step.role() == StepRole::Answer)
    }

    fn apply_start(&mut self, part: &StepStart) {
        if !self.is_new(&part.key) {
            return;
        }
        let step = self.step(&part.key);
        self.tail = Tail::StepOpen;
        let attempts = &mut self.steps[step].attempts;
        // Without a message, another call of the model is as likely as another attempt.
        if part.key.message.is_some() || attempts.started().is_none() {
            attempts.start();
        }
    }

    fn apply_text(&mut self, part: &TextPart) {
        match part.origin {
            TextOrigin::Continuation => {
                if self.is_new(&part.key)
                    && let Some(summary) = self.steps.last_mut()
                {
                    summary.role = StepRole::Summary;
                    // Until this event the summary looked like an answer.
                    if self.tail == Tail::Answered {
                        self.tail = Tail::StepOpen;
                    }
                }
            }
            TextOrigin::Synthetic => {}
            TextOrigin::Model => {
                let text = part.text.to_str();
                if let Some(PartPlace::Text { step, piece }) = self.place(&part.key) {
                    return self.steps[step].text.replace(piece, &text);
                }
                let step = self.step(&part.key);
                let attempt = self.steps[step].attempts.current();
                let piece = self.steps[step].text.push(&part.key, attempt, text);
                self.put(&part.key, PartPlace::Text { step, piece });
            }
        }
    }

    fn apply_reasoning(&mut self, part: &ReasoningPart) {
        let text = part.text.to_str();
        if let Some(PartPlace::Reasoning { step, piece }) = self.place(&part.key) {
            return self.steps[step].reasoning.replace(piece, &text);
        }
        let step = self.step(&part.key);
        let attempt = self.steps[step].attempts.current();
        let piece = self.steps[step].reasoning.push(&part.key, attempt, text);
        self.put(&part.key, PartPlace::Reasoning { step, piece });
    }

    fn apply_tool(&mut self, part: &ToolPart) {
        // OpenCode prints a result again when it hides the result from the model, also one of an
        // earlier run.
        if part.state.is_under_way() || part.state.time().compacted_ms.is_some() {
            return;
        }
        if let Some(PartPlace::Tool { tool }) = self.place(&part.key) {
            self.tools[tool] = part.detach();
            return;
        }
        self.step(&part.key);
        self.put(&part.key, PartPlace::Tool { tool: self.tools.len() });
        self.tools.push(part.detach());
    }

    fn apply_finish(&mut self, part: &StepFinish) {
        if let Some(PartPlace::Finish { step, finish }) = self.place(&part.key) {
            // The tail is that of later events.
            return self.steps[step].finish_again(finish, part);
        }
        let step = self.step(&part.key);
        let finish = self.steps[step].finish_with(part);
        self.put(&part.key, PartPlace::Finish { step, finish });
        self.tail = match &part.reason {
            // The error behind the summary stands until the model has answered.
            _ if self.steps[step].role == StepRole::Summary => Tail::Failed,
            reason if reason.expects_more() => Tail::ToolsCalled,
            reason if reason.is_answer() => Tail::Answered,
            // The error of this finish may come before or after.
            _ if self.tail == Tail::Failed => Tail::Failed,
            _ => Tail::Answered,
        };
    }

    fn place(&self, key: &PartKey) -> Option<PartPlace> {
        self.place_of_part.get(key.part.as_ref()?).copied()
    }

    fn put(&mut self, key: &PartKey, place: PartPlace) {
        if let Some(id) = &key.part {
            self.place_of_part.insert(id.clone(), place);
        }
    }

    /// Returns whether a part without content comes for the first time.
    fn is_new(&mut self, key: &PartKey) -> bool {
        let is_known = matches!(self.place(key), Some(PartPlace::Noted));
        self.put(key, PartPlace::Noted);
        !is_known
    }

    /// Returns the step of a part. Parts of old versions name no message: they belong to the open
    /// step.
    fn step(&mut self, key: &PartKey) -> usize {
        let known = match &key.message {
            Some(message) => self.step_of_message.get(message).copied(),
            None => {
                let open = self.steps.last().is_some_and(|step| step.finish().is_none());
                open.then(|| self.steps.len() - 1)
            }
        };
        known.unwrap_or_else(|| self.begin_step(key.message.clone()))
    }

    fn begin_step(&mut self, message: Option<MessageId>) -> usize {
        let index = self.steps.len();
        if let Some(message) = &message {
            self.step_of_message.insert(message.clone(), index);
        }
        self.steps.push(Step::new(message, mem::take(&mut self.next_role)));
        index
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
