//! What a run said and did, gathered event by event.

mod fallback;
mod step;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Add;

use crate::part::{
    FinishReason, PartKey, ReasoningPart, StepFinish, TextOrigin, TextPart, Tokens, ToolPart,
};
use crate::run_event::{RunEvent, RunEventKind};
use crate::{AgentError, MessageId, PartId, SessionId};

use fallback::Fallback;
use step::Pieces;
pub use step::{Step, StepRole};

/// The result of a run, complete as far as the run came.
///
/// Adding an event costs the same however much came before it. A part that is told twice counts once, with what was
/// said last. Nothing in here keeps a chunk of the stream alive.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    session: Option<SessionId>,
    steps: Vec<Step>,
    tools: Vec<ToolPart>,
    errors: Vec<AgentError>,
    tail: Tail,
    fallback: Fallback,
    step_of_message: BTreeMap<MessageId, usize>,
    place_of_part: BTreeMap<PartId, Place>,
}

/// Where a part was put.
#[derive(Clone, Copy, Debug)]
enum Place {
    Finish,
    Reasoning { step: usize, piece: usize },
    Text { step: usize, piece: usize },
    Tool { tool: usize },
}

/// How the events so far would end, were they all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tail {
    /// The model's answer is finished.
    Answered,
    /// An error came after the last answer.
    Failed,
    /// Nothing of the model came yet.
    #[default]
    Nothing,
    /// A step began and did not finish.
    StepOpen,
    /// The model called tools; their results were to be answered.
    ToolsCalled,
}

impl Answer {
    /// An answer to which nothing was added yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what an event says. The order is that of the stream.
    pub fn apply(&mut self, event: &RunEvent) {
        if self.session.is_none() {
            self.session.clone_from(&event.session);
        }
        match &event.kind {
            RunEventKind::Error(error) => {
                self.errors.push(AgentError::clone(error).detach());
                self.tail = Tail::Failed;
            }
            RunEventKind::Reasoning(part) => self.apply_reasoning(part),
            RunEventKind::StepFinish(part) => self.apply_finish(part),
            RunEventKind::StepStart(part) => {
                self.step(&part.key);
                self.tail = Tail::StepOpen;
            }
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
        }
    }

    /// The answer: the text of the last message that has any.
    ///
    /// Text that OpenCode wrote itself and summaries of a compaction are not part of it. When the run printed nothing
    /// that is known to be text, this is what looks most like it, so that a program meant for people to read is not
    /// answered with nothing.
    pub fn text(&self) -> Cow<'_, str> {
        self.answering_steps()
            .rev()
            .map(Step::text)
            .find(|text| !text.is_empty())
            .unwrap_or_else(|| Cow::Borrowed(self.fallback.text()))
    }

    /// All text of all messages in order, joined without a separator. Otherwise as [`text`](Self::text).
    pub fn full_text(&self) -> Cow<'_, str> {
        match step::join(self.answering_steps().map(Step::text)) {
            text if text.is_empty() => Cow::Borrowed(self.fallback.text()),
            text => text,
        }
    }

    /// All that the model let see of its thinking, in order, joined without a separator. Empty unless the run was
    /// started with `--thinking`.
    pub fn reasoning(&self) -> Cow<'_, str> {
        step::join(self.answering_steps().map(Step::reasoning))
    }

    /// The calls of the model, in order: one per assistant message, also when OpenCode had to try it several times.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The tool calls that ended, in the order in which they did.
    pub fn tools(&self) -> &[ToolPart] {
        &self.tools
    }

    /// What all steps used together.
    pub fn tokens(&self) -> Tokens {
        self.steps.iter().map(Step::tokens).sum()
    }

    /// What all steps cost together, in US dollars.
    pub fn cost(&self) -> f64 {
        self.steps.iter().map(Step::cost).fold(0.0, Add::add)
    }

    /// The errors that were reported, recovered ones included.
    pub fn errors(&self) -> &[AgentError] {
        &self.errors
    }

    /// The error that the run did not recover from: the last one, when no answer came after it.
    pub fn fatal_error(&self) -> Option<&AgentError> {
        self.errors.last().filter(|_| self.tail == Tail::Failed)
    }

    /// Why the model stopped the last time it did.
    pub fn finish(&self) -> Option<&FinishReason> {
        self.steps.iter().rev().find_map(Step::finish)
    }

    /// The session of the run.
    pub fn session(&self) -> Option<&SessionId> {
        self.session.as_ref()
    }

    pub(crate) fn tail(&self) -> Tail {
        self.tail
    }

    /// Sets the cause of errors that were told by a reference only.
    pub(crate) fn resolve(&mut self, reference: &str, cause: &str) {
        for error in &mut self.errors {
            if error.reference.as_deref() == Some(reference) {
                error.cause = Some(cause.to_owned());
            }
        }
    }

    fn answering_steps(&self) -> impl DoubleEndedIterator<Item = &Step> {
        self.steps.iter().filter(|step| step.role() == StepRole::Answer)
    }

    fn apply_text(&mut self, part: &TextPart) {
        match part.origin {
            TextOrigin::Continuation => {
                if let Some(summary) = self.steps.last_mut() {
                    summary.role = StepRole::Summary;
                }
            }
            TextOrigin::Synthetic => {}
            TextOrigin::Model => {
                let text = part.text.to_str();
                let place = self.piece(&part.key, |step| &mut step.text, &text);
                if let Some((id, step, piece)) = place {
                    self.place_of_part.insert(id, Place::Text { step, piece });
                }
            }
        }
    }

    fn apply_reasoning(&mut self, part: &ReasoningPart) {
        let text = part.text.to_str();
        let place = self.piece(&part.key, |step| &mut step.reasoning, &text);
        if let Some((id, step, piece)) = place {
            self.place_of_part.insert(id, Place::Reasoning { step, piece });
        }
    }

    /// Puts `text` where the part was put before, or adds it to its step. Returns the place of a part that is new.
    fn piece(
        &mut self,
        key: &PartKey,
        pieces: fn(&mut Step) -> &mut Pieces,
        text: &str,
    ) -> Option<(PartId, usize, usize)> {
        let known = key.part.as_ref().and_then(|id| self.place_of_part.get(id)).copied();
        if let Some(Place::Reasoning { step, piece } | Place::Text { step, piece }) = known {
            pieces(&mut self.steps[step]).replace(piece, text);
            return None;
        }
        let step = self.step(key);
        let piece = pieces(&mut self.steps[step]).push(text);
        Some((key.part.clone()?, step, piece))
    }

    fn apply_tool(&mut self, part: &ToolPart) {
        let tool = ToolPart { state: part.state.detach(), ..part.clone() };
        let known = part.key.part.as_ref().and_then(|id| self.place_of_part.get(id)).copied();
        if let Some(Place::Tool { tool: known }) = known {
            self.tools[known] = tool;
            return;
        }
        self.step(&part.key);
        if let Some(id) = &part.key.part {
            self.place_of_part.insert(id.clone(), Place::Tool { tool: self.tools.len() });
        }
        self.tools.push(tool);
    }

    fn apply_finish(&mut self, part: &StepFinish) {
        if let Some(id) = &part.key.part
            && self.place_of_part.insert(id.clone(), Place::Finish).is_some()
        {
            return;
        }
        let step = self.step(&part.key);
        self.steps[step].finish_with(part);
        self.tail = match &part.reason {
            reason if reason.expects_more() => Tail::ToolsCalled,
            reason if reason.is_answer() => Tail::Answered,
            // The error that belongs to it may have come before or may follow.
            _ if self.tail == Tail::Failed => Tail::Failed,
            _ => Tail::Answered,
        };
    }

    /// The step a part belongs to. Parts of old versions name no message: they belong to the step that is open.
    fn step(&mut self, key: &PartKey) -> usize {
        let Some(message) = &key.message else {
            let open = self.steps.last().is_some_and(|step| step.finish().is_none());
            if !open {
                self.steps.push(Step::default());
            }
            return self.steps.len() - 1;
        };
        *self.step_of_message.entry(message.clone()).or_insert_with(|| {
            self.steps.push(Step::new(message.clone()));
            self.steps.len() - 1
        })
    }
}

#[cfg(test)]
mod tests;
