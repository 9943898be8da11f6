use std::borrow::Cow;

use crate::MessageId;
use crate::part::{FinishReason, StepFinish, Tokens};

/// One call of the model: an assistant message.
#[derive(Clone, Debug, Default)]
pub struct Step {
    message: Option<MessageId>,
    pub(super) role: StepRole,
    pub(super) text: Pieces,
    pub(super) reasoning: Pieces,
    tokens: Tokens,
    cost: f64,
    finish: Option<FinishReason>,
}

/// What a step was for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StepRole {
    /// To answer the prompt.
    #[default]
    Answer,
    /// To summarise the conversation when it no longer fitted the model's context.
    Summary,
}

impl Step {
    pub(super) fn new(message: MessageId) -> Self {
        Self { message: Some(message), ..Self::default() }
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
        self.tokens
    }

    /// What it cost, in US dollars.
    pub fn cost(&self) -> f64 {
        self.cost
    }

    /// Why the model stopped; `None` when it was not seen to.
    pub fn finish(&self) -> Option<&FinishReason> {
        self.finish.as_ref()
    }

    /// A message can finish more than once: each attempt of the model that came to its end is paid for.
    pub(super) fn finish_with(&mut self, part: &StepFinish) {
        self.tokens += part.tokens;
        self.cost += part.cost;
        self.finish = Some(part.reason.clone());
    }
}

/// The parts of one kind in a message, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces(Vec<String>);

impl Pieces {
    pub(super) fn push(&mut self, text: &str) -> usize {
        self.0.push(text.to_owned());
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
pub(super) fn join<'a>(pieces: impl Iterator<Item = Cow<'a, str>>) -> Cow<'a, str> {
    let mut pieces = pieces.filter(|piece| !piece.is_empty());
    let mut joined = pieces.next().unwrap_or_default();
    for piece in pieces {
        joined.to_mut().push_str(&piece);
    }
    joined
}
