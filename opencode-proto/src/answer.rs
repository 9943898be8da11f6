//! What a run said and did, gathered event by event.

mod fallback;
mod step;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::mem;
use std::ops::Add;

use crate::part::{
    FinishReason, PartKey, ReasoningPart, StepFinish, TextOrigin, TextPart, Tokens, ToolPart,
};
use crate::run_event::{RunEvent, RunEventKind};
use crate::{AgentError, ErrorName, MessageId, PartId, SessionId};

use fallback::Fallback;
pub(crate) use step::join;
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
    /// What the next step to begin is for.
    next_role: StepRole,
    fallback: Fallback,
    step_of_message: BTreeMap<MessageId, usize>,
    place_of_part: BTreeMap<PartId, Place>,
}

/// Where a part was put.
#[derive(Clone, Copy, Debug)]
enum Place {
    Finish {
        step: usize,
        finish: usize,
    },
    /// It holds nothing that could change: that it was told is all there is to know.
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
    /// A step began, or was to begin, and did not finish.
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
                self.errors.push(error.detach());
                self.tail = Tail::Failed;
                // If anything comes after it at all, then first a summary. What OpenCode says itself between summary
                // and answer cannot tell: it says nothing when it repeats the prompt, in a session with earlier ones.
                if error.name == ErrorName::CONTEXT_OVERFLOW {
                    self.next_role = StepRole::Summary;
                }
            }
            RunEventKind::Reasoning(part) => self.apply_reasoning(part),
            RunEventKind::StepFinish(part) => self.apply_finish(part),
            RunEventKind::StepStart(part) => {
                if self.is_new(&part.key) {
                    self.step(&part.key);
                    self.tail = Tail::StepOpen;
                }
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
            // The whole part follows.
            RunEventKind::TextDelta(_) => {}
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
            .unwrap_or_else(|| Cow::Borrowed(self.likely_text()))
    }

    /// All text of all messages in order, joined without a separator. Otherwise as [`text`](Self::text).
    pub fn full_text(&self) -> Cow<'_, str> {
        match join(self.answering_steps().map(Step::text)) {
            text if text.is_empty() => Cow::Borrowed(self.likely_text()),
            text => text,
        }
    }

    /// All that the model let see of its thinking, in order, joined without a separator. Empty unless the run was
    /// started with `--thinking`.
    pub fn reasoning(&self) -> Cow<'_, str> {
        join(self.answering_steps().map(Step::reasoning))
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

    /// What may be text, in a run of which nothing is known.
    fn likely_text(&self) -> &str {
        if self.steps.is_empty() { self.fallback.text() } else { "" }
    }

    fn answering_steps(&self) -> impl DoubleEndedIterator<Item = &Step> {
        self.steps.iter().filter(|step| step.role() == StepRole::Answer)
    }

    fn apply_text(&mut self, part: &TextPart) {
        match part.origin {
            TextOrigin::Continuation => {
                if self.is_new(&part.key)
                    && let Some(summary) = self.steps.last_mut()
                {
                    summary.role = StepRole::Summary;
                    // The summary looked like an answer until now.
                    if self.tail == Tail::Answered {
                        self.tail = Tail::StepOpen;
                    }
                }
            }
            TextOrigin::Synthetic => {}
            TextOrigin::Model => {
                let text = part.text.to_str();
                if let Some(Place::Text { step, piece }) = self.place(&part.key) {
                    return self.steps[step].text.replace(piece, &text);
                }
                let step = self.step(&part.key);
                let piece = self.steps[step].text.push(text);
                self.put(&part.key, Place::Text { step, piece });
            }
        }
    }

    fn apply_reasoning(&mut self, part: &ReasoningPart) {
        let text = part.text.to_str();
        if let Some(Place::Reasoning { step, piece }) = self.place(&part.key) {
            return self.steps[step].reasoning.replace(piece, &text);
        }
        let step = self.step(&part.key);
        let piece = self.steps[step].reasoning.push(text);
        self.put(&part.key, Place::Reasoning { step, piece });
    }

    fn apply_tool(&mut self, part: &ToolPart) {
        // OpenCode tells a result again when it hides it from the model, perhaps that of an earlier run.
        if part.state.is_under_way() || part.state.time().compacted_ms.is_some() {
            return;
        }
        if let Some(Place::Tool { tool }) = self.place(&part.key) {
            self.tools[tool] = part.detach();
            return;
        }
        self.step(&part.key);
        self.put(&part.key, Place::Tool { tool: self.tools.len() });
        self.tools.push(part.detach());
    }

    fn apply_finish(&mut self, part: &StepFinish) {
        if let Some(Place::Finish { step, finish }) = self.place(&part.key) {
            // What came since then is what the tail is about.
            return self.steps[step].finish_again(finish, part);
        }
        let step = self.step(&part.key);
        let finish = self.steps[step].finish_with(part);
        self.put(&part.key, Place::Finish { step, finish });
        self.tail = match &part.reason {
            // The error that made it necessary stands until the model has answered.
            _ if self.steps[step].role == StepRole::Summary => Tail::Failed,
            reason if reason.expects_more() => Tail::ToolsCalled,
            reason if reason.is_answer() => Tail::Answered,
            // The error that belongs to it may have come before or may follow.
            _ if self.tail == Tail::Failed => Tail::Failed,
            _ => Tail::Answered,
        };
    }

    fn place(&self, key: &PartKey) -> Option<Place> {
        self.place_of_part.get(key.part.as_ref()?).copied()
    }

    fn put(&mut self, key: &PartKey, place: Place) {
        if let Some(id) = &key.part {
            self.place_of_part.insert(id.clone(), place);
        }
    }

    /// Whether a part that holds nothing is told for the first time.
    fn is_new(&mut self, key: &PartKey) -> bool {
        let told = matches!(self.place(key), Some(Place::Noted));
        self.put(key, Place::Noted);
        !told
    }

    /// The step a part belongs to. Parts of old versions name no message: they belong to the step that is open.
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

#[cfg(test)]
mod tests;
