use std::mem;

use super::{Answer, PartPlace, Step, StepRole, Tail};
use crate::part::{PartKey, ReasoningPart, StepFinish, StepStart, TextOrigin, TextPart, ToolPart};
use crate::run_event::{AttemptAbandoned, RunEvent, RunEventKind};
use crate::{AgentError, ErrorName, MessageId};

impl Answer {
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

    /// Returns whether OpenCode reports the last failure again: some failures are printed twice.
    fn is_repeated(&self, error: &AgentError) -> bool {
        self.tail == Tail::Failed
            && self.failed_step == self.steps.len()
            && self.errors.last().is_some_and(|last| last.is_same_failure(error))
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
