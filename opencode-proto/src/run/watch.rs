//! Guards of a run while the process runs.

use std::time::Instant;

use crate::answer::Tail;
use crate::error::ErrorName;
use crate::guard::{Repetition, RepetitionGuard, ReplyContent, calls_again};
use crate::run_event::{RunEvent, RunEventKind};
use crate::watchdog::Watchdog;

/// What is watched while the process runs.
#[derive(Debug)]
pub(super) struct RunWatch {
    pub(super) deadlines: Watchdog,
    pub(super) guard: RepetitionGuard,
    pub(super) call: ModelCall,
    /// Since when the answer looks complete.
    pub(super) answered: Option<Instant>,
}

/// Progress of the current call of the model.
#[derive(Clone, Copy, Debug)]
pub(super) enum ModelCall {
    /// The model has called a tool.
    WithTools,
    /// The model has not called a tool.
    WithoutTools,
}

impl RunWatch {
    /// Counts what OpenCode would repeat without end.
    pub(super) fn count(
        &mut self,
        event: &RunEvent,
        tail: Tail,
        has_text: bool,
    ) -> Option<Repetition> {
        if tail == Tail::Answered {
            self.guard.handle_answer();
        }
        match &event.kind {
            RunEventKind::Error(error) if error.name == ErrorName::CONTEXT_OVERFLOW => {
                self.guard.handle_overflow()
            }
            RunEventKind::StepFinish(part) => {
                let call = std::mem::replace(&mut self.call, ModelCall::WithoutTools);
                match call {
                    ModelCall::WithoutTools if calls_again(&part.reason) => {
                        let content = ReplyContent::of(part.tokens.total, has_text);
                        self.guard.handle_unfinished(part.key.message.as_ref(), content)
                    }
                    ModelCall::WithTools | ModelCall::WithoutTools => {
                        self.guard.handle_progress();
                        None
                    }
                }
            }
            // OpenCode prints a result again when it hides the result from the model.
            RunEventKind::ToolUse(part)
                if part.state.is_over() && part.state.time().compacted_ms.is_none() =>
            {
                self.call = ModelCall::WithTools;
                self.guard.handle_call(part)
            }
            RunEventKind::AttemptAbandoned(_)
            | RunEventKind::Diagnostic(_)
            | RunEventKind::Error(_)
            | RunEventKind::Malformed { .. }
            | RunEventKind::Notice(_)
            | RunEventKind::Reasoning(_)
            | RunEventKind::StepStart(_)
            | RunEventKind::Text(_)
            | RunEventKind::TextDelta(_)
            | RunEventKind::ToolUse(_)
            | RunEventKind::Unknown { .. } => None,
        }
    }
}
