use std::borrow::Cow;
use std::ops::Add;

use crate::MessageId;
use crate::part::{FinishReason, StepFinish, Tokens};

/// One call of the model: an assistant message.
#[derive(Clone, Debug, Default)]
pub struct Step {
    message: Option<MessageId>,
    pub(super) role: StepRole,
    pub(super) text: Pieces,
    pub(super) reasoning: Pieces,
    finishes: Vec<Finish>,
}

/// One attempt of the model that came to its end.
#[derive(Clone, Debug)]
struct Finish {
    reason: FinishReason,
    tokens: Tokens,
    cost: f64,
}

/// What a step was for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StepRole {
    /// To answer the prompt.
    #[default]
    Answer,
    /// To summarise the conversation when it no longer fitted the model's context.
    Summary,
}

impl Step {
    pub(super) fn new(message: Option<MessageId>, role: StepRole) -> Self {
        Self { message, role, ..Self::default() }
    }

    /// The message, where the version of OpenCode names it.
    pub fn message(&self) -> Option<&MessageId> {
        self.message.as_ref()
    }

    /// What the step was for.
    pub fn role(&self) -> StepRole {
        self.role
    }

    /// The text of the message.
    pub fn text(&self) -> Cow<'_, str> {
        self.text.join()
    }

    /// The reasoning before and between the text.
    pub fn reasoning(&self) -> Cow<'_, str> {
        self.reasoning.join()
    }

    /// What it used.
    pub fn tokens(&self) -> Tokens {
        self.finishes.iter().map(|finish| finish.tokens).sum()
    }

    /// What it cost, in US dollars.
    pub fn cost(&self) -> f64 {
        self.finishes.iter().map(|finish| finish.cost).fold(0.0, Add::add)
    }

    /// Why the model stopped; `None` when it was not seen to.
    pub fn finish(&self) -> Option<&FinishReason> {
        self.finishes.last().map(|finish| &finish.reason)
    }

    /// A message can finish more than once: each attempt of the model that came to its end is paid for.
    pub(super) fn finish_with(&mut self, part: &StepFinish) -> usize {
        self.finishes.push(part.into());
        self.finishes.len() - 1
    }

    pub(super) fn finish_again(&mut self, finish: usize, part: &StepFinish) {
        self.finishes[finish] = part.into();
    }
}

impl From<&StepFinish> for Finish {
    fn from(part: &StepFinish) -> Self {
        Self { reason: part.reason.clone(), tokens: part.tokens, cost: part.cost }
    }
}

/// The parts of one kind in a message, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces(Vec<String>);

impl Pieces {
    pub(super) fn push(&mut self, text: Cow<'_, str>) -> usize {
        self.0.push(text.into_owned());
        self.0.len() - 1
    }

    pub(super) fn replace(&mut self, piece: usize, text: &str) {
        text.clone_into(&mut self.0[piece]);
    }

    fn join(&self) -> Cow<'_, str> {
        join(self.0.iter().map(|piece| Cow::Borrowed(piece.as_str())))
    }
}

/// Joins without a separator; one piece alone is not copied.
pub(crate) fn join<'a>(pieces: impl Iterator<Item = Cow<'a, str>>) -> Cow<'a, str> {
    let mut pieces = pieces.filter(|piece| !piece.is_empty());
    let mut joined = pieces.next().unwrap_or_default();
    for piece in pieces {
        joined.to_mut().push_str(&piece);
    }
    joined
}
