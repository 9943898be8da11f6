use std::borrow::Cow;
use std::ops::Add;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::attempt::{AbandonedAttempt, AttemptNo, Attempts};
use crate::part::{FinishReason, PartKey, StepFinish, Tokens};
use crate::{MessageId, PartId};

/// One step of a run: an assistant message, with all attempts of the model at it.
///
/// ```
/// use opencode_proto::{Answer, FinishReason, RunEvent};
///
/// let lines = [
///     r#"{"type":"text","part":{"messageID":"msg_1","text":"I will look."}}"#,
///     r#"{"type":"step_finish","part":{"messageID":"msg_1","reason":"tool-calls"}}"#,
///     r#"{"type":"text","part":{"messageID":"msg_2","text":"Done."}}"#,
/// ];
/// let mut answer = Answer::new();
/// for line in lines {
///     answer.apply(&RunEvent::decode(line.into()));
/// }
/// let [first, last] = answer.steps() else { panic!() };
/// assert_eq!(first.finish().unwrap(), &FinishReason::TOOL_CALLS);
/// assert_eq!((last.text().as_ref(), last.finish()), ("Done.", None));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Step {
    message: Option<MessageId>,
    pub(super) role: StepRole,
    pub(super) attempts: Attempts,
    pub(super) text: Pieces,
    pub(super) reasoning: Pieces,
    finishes: Vec<AttemptFinish>,
}

/// End of an attempt that the model finished.
#[derive(Clone, Debug)]
struct AttemptFinish {
    reason: FinishReason,
    tokens: Tokens,
    cost: f64,
}

/// Role of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StepRole {
    /// The step answers the prompt.
    #[default]
    Answer,
    /// The step summarizes a conversation that no longer fits into the model's context.
    Summary,
}

impl Step {
    pub(super) fn new(message: Option<MessageId>, role: StepRole) -> Self {
        Self { message, role, ..Self::default() }
    }

    /// Returns the id of the message, where the version of OpenCode names one.
    pub fn message(&self) -> Option<&MessageId> {
        self.message.as_ref()
    }

    /// Returns the role of the step.
    pub fn role(&self) -> StepRole {
        self.role
    }

    /// Returns the text of the message, without that of abandoned attempts.
    pub fn text(&self) -> Cow<'_, str> {
        self.text.join(&self.attempts)
    }

    /// Returns the reasoning before and between the text, without that of abandoned attempts.
    pub fn reasoning(&self) -> Cow<'_, str> {
        self.reasoning.join(&self.attempts)
    }

    /// Returns the abandoned attempts with text or reasoning, in order.
    pub fn abandoned(&self) -> Vec<AbandonedAttempt> {
        let attempt = |attempt| AbandonedAttempt {
            text: self.text.of(attempt),
            reasoning: self.reasoning.of(attempt),
        };
        self.attempts.abandoned().map(attempt).filter(|attempt| !attempt.is_empty()).collect()
    }

    /// Abandons the attempt of a text.
    pub(super) fn abandon_text(&mut self, piece: usize) {
        self.attempts.abandon_unfinished(self.text.0[piece].attempt);
    }

    /// Abandons the attempt of a reasoning.
    pub(super) fn abandon_reasoning(&mut self, piece: usize) {
        self.attempts.abandon_unfinished(self.reasoning.0[piece].attempt);
    }

    /// Returns the parts of the attempt that a `step-start` would abandon.
    pub(super) fn unfinished_parts(&self) -> Vec<PartId> {
        let Some(attempt) = self.attempts.started() else { return Vec::new() };
        let pieces = self.reasoning.0.iter().chain(&self.text.0);
        pieces
            .filter(|piece| piece.attempt == attempt)
            .filter_map(|piece| piece.id.clone())
            .collect()
    }

    /// Returns the tokens of all finished attempts.
    pub fn tokens(&self) -> Tokens {
        self.finishes.iter().map(|finish| finish.tokens).sum()
    }

    /// Returns the price of all finished attempts, in US dollars.
    pub fn cost(&self) -> f64 {
        self.finishes.iter().map(|finish| finish.cost).fold(0.0, Add::add)
    }

    /// Returns the model's reason to stop; `None` for a step without an end.
    pub fn finish(&self) -> Option<&FinishReason> {
        self.finishes.last().map(|finish| &finish.reason)
    }

    /// Adds the end of an attempt. A message can have several, each of which is paid for.
    pub(super) fn finish_with(&mut self, part: &StepFinish) -> usize {
        self.attempts.finish();
        self.finishes.push(part.into());
        self.finishes.len() - 1
    }

    pub(super) fn finish_again(&mut self, finish: usize, part: &StepFinish) {
        self.finishes[finish] = part.into();
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut step = serializer.serialize_struct("Step", 8)?;
        step.serialize_field("messageID", &self.message)?;
        step.serialize_field("role", &self.role)?;
        step.serialize_field("text", &self.text())?;
        step.serialize_field("reasoning", &self.reasoning())?;
        step.serialize_field("tokens", &self.tokens())?;
        step.serialize_field("cost", &self.cost())?;
        step.serialize_field("finish", &self.finish())?;
        step.serialize_field("abandoned", &self.abandoned())?;
        step.end()
    }
}

impl From<&StepFinish> for AttemptFinish {
    fn from(part: &StepFinish) -> Self {
        Self { reason: part.reason.clone(), tokens: part.tokens, cost: part.cost }
    }
}

/// The parts of one kind in a message, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces(Vec<Piece>);

#[derive(Clone, Debug)]
struct Piece {
    id: Option<PartId>,
    attempt: AttemptNo,
    text: String,
}

impl Pieces {
    pub(super) fn push(&mut self, key: &PartKey, attempt: AttemptNo, text: Cow<'_, str>) -> usize {
        self.0.push(Piece { id: key.part.clone(), attempt, text: text.into_owned() });
        self.0.len() - 1
    }

    pub(super) fn replace(&mut self, piece: usize, text: &str) {
        text.clone_into(&mut self.0[piece].text);
    }

    fn join(&self, attempts: &Attempts) -> Cow<'_, str> {
        let pieces = self.0.iter().filter(|piece| !attempts.is_abandoned(piece.attempt));
        join(pieces.map(|piece| Cow::Borrowed(piece.text.as_str())))
    }

    fn of(&self, attempt: AttemptNo) -> String {
        let pieces = self.0.iter().filter(|piece| piece.attempt == attempt);
        pieces.map(|piece| piece.text.as_str()).collect()
    }
}

/// Joins without a separator. One piece alone is not copied.
pub(crate) fn join<'a>(pieces: impl Iterator<Item = Cow<'a, str>>) -> Cow<'a, str> {
    let mut pieces = pieces.filter(|piece| !piece.is_empty());
    let mut joined = pieces.next().unwrap_or_default();
    for piece in pieces {
        joined.to_mut().push_str(&piece);
    }
    joined
}
