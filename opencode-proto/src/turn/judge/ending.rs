//! The kind of an end that has come.

use crate::error::ErrorName;
use crate::guard::Repetition;
use crate::part::ToolPart;
use crate::server_event::MessageInfo;
use crate::turn::core::TurnInput;
use crate::turn::course::{Course, StopCause};
use crate::turn::event::TurnEventKind;
use crate::turn::faults::Faults;
use crate::turn::others::{AnswerShare, Takeover};
use crate::turn::outcome::TurnEnd;
use crate::turn::post::TurnKind;
use crate::turn::posted::PostedTurn;
use crate::{AgentError, MessageId, StepRole};

impl PostedTurn {
    /// Ends a turn by the answer.
    pub(in crate::turn) fn conclude(&mut self, input: &mut TurnInput<'_>) {
        let end = match self.record.chain.last_answer() {
            Some(answer) => self.end_of(answer, input),
            None => self.unanswered(),
        };
        let end = match (end, self.record.chain.replaced_by()) {
            (TurnEnd::Torn, Some(_)) => TurnEnd::ReplacedBySummary,
            (TurnEnd::Completed, _) => self.end_among_others(input),
            (end, _) => end,
        };
        // The turn may have finished by itself before the abort arrived. A command line has no end
        // that tells the one from the other.
        let is_certain = end.is_completed() && input.core.kind != TurnKind::Shell;
        if self.course.is_stopping() && !is_certain {
            return self.finish_stopped(input);
        }
        if end.is_completed() && input.core.kind == TurnKind::Prompt && self.is_empty_answer() {
            self.emit_own(TurnEventKind::AnswerEmpty, None, input);
        }
        if let (TurnEnd::ReplacedBySummary, Some(by)) = (&end, self.record.chain.replaced_by()) {
            let by = by.clone();
            self.emit_own(TurnEventKind::ReplacedBySummary(by), None, input);
        }
        self.finish(end, input);
    }

    /// Returns the end of a turn whose answer is complete: another prompt may have got the answer.
    fn end_among_others(&self, input: &TurnInput<'_>) -> TurnEnd {
        let Some(Takeover { prompt, share }) = self.record.chain.others.takeover() else {
            return TurnEnd::Completed;
        };
        if self.record.chain.has_aborted() {
            // The other prompt came while the abort was on its way.
            return TurnEnd::Aborted;
        }
        match share {
            AnswerShare::Whole => TurnEnd::Completed,
            AnswerShare::Begun if input.shared.is_own_prompt(prompt) => TurnEnd::Completed,
            AnswerShare::Begun | AnswerShare::Unknown => {
                TurnEnd::AnsweredByAnother { prompt: prompt.clone() }
            }
        }
    }

    /// Returns whether the last message of the answer has neither a text nor a structured answer.
    fn is_empty_answer(&self) -> bool {
        let Some(answer) = self.record.chain.last_answer() else { return true };
        let messages = self.record.own.messages();
        let message = messages.iter().rfind(|message| *message.id() == answer.id);
        answer.structured.is_none() && message.is_none_or(|message| message.text().is_empty())
    }

    fn end_of(&self, answer: &MessageInfo, input: &TurnInput<'_>) -> TurnEnd {
        if let Some(error) = &answer.error {
            return if error.name == ErrorName::MESSAGE_ABORTED {
                TurnEnd::Aborted
            } else {
                TurnEnd::AgentError(error.clone())
            };
        }
        if input.core.kind == TurnKind::Shell && answer.completed_ms.is_some() {
            return if self.is_aborted_command(&answer.id) {
                TurnEnd::Aborted
            } else {
                TurnEnd::Completed
            };
        }
        if answer.structured.is_some() {
            return TurnEnd::Completed;
        }
        if answer.completed_ms.is_none() {
            // Another prompt has taken over: what was reported of this one has to do.
            return failed(&self.unrecovered());
        }
        if self.record.chain.is_compacting() {
            // The answer after the summary is missing.
            return failed(&self.unrecovered());
        }
        match (&answer.finish, &self.refused) {
            (Some(finish), Some(refused)) if finish.expects_more() => {
                TurnEnd::Rejected { refused: refused.clone() }
            }
            (Some(finish), None) if finish.expects_more() => match self.refused_tool(&answer.id) {
                Some(refused) => TurnEnd::Rejected { refused },
                None => TurnEnd::Torn,
            },
            (Some(_), _) => match (answer.step, input.core.kind) {
                (StepRole::Summary, TurnKind::NoReply | TurnKind::Prompt | TurnKind::Shell) => {
                    TurnEnd::ReplacedBySummary
                }
                (StepRole::Answer, _) | (StepRole::Summary, TurnKind::Summary) => {
                    TurnEnd::Completed
                }
            },
            // Nor does an input that is too long, until OpenCode goes on.
            (None, _)
                if self.is_blind() || self.faults.errors.iter().any(|it| is_overflow(&it)) =>
            {
                TurnEnd::Torn
            }
            // An abort between two tries of the model leaves neither a reason nor an error.
            (None, _) => TurnEnd::Aborted,
        }
    }

    /// Returns whether the end may be in messages that were missed, and cannot be listed.
    fn is_blind(&self) -> bool {
        !self.record.is_listed && self.gaps > 0
    }

    /// Returns the errors, without the overflows after which OpenCode went on, or may have, and
    /// without those that an answer to a prompt has which the server does not know.
    pub(super) fn unrecovered(&self) -> Vec<AgentError> {
        let Faults { errors, recovered, .. } = &self.faults;
        if !self.record.chain.is_seen() {
            return errors.iter().filter(|error| !error.is_of_answer()).cloned().collect();
        }
        let goes_on = self.record.chain.is_compacting() || self.is_blind();
        let (recovered, last) = errors.split_at(if goes_on { errors.len() } else { *recovered });
        let others = recovered.iter().filter(|error| !is_overflow(error));
        others.chain(last).cloned().collect()
    }

    /// Returns the end of a turn whose prompt was never worked on.
    pub(super) fn unanswered(&self) -> TurnEnd {
        match (self.record.chain.failed_before(), self.record.chain.replaced_by()) {
            (Some(error), _) => TurnEnd::AgentError(Box::new(error.clone())),
            (None, Some(_)) => TurnEnd::ReplacedBySummary,
            (None, None) => TurnEnd::Torn,
        }
    }

    /// Returns whether the last answer has a tool call at which OpenCode stops.
    pub(in crate::turn) fn has_refused_tool(&self) -> bool {
        self.record.chain.last_answer().is_some_and(|last| {
            let expects_more = last.finish.as_ref().is_some_and(|finish| finish.expects_more());
            expects_more && self.refused_tool(&last.id).is_some()
        })
    }

    fn is_aborted_command(&self, message: &MessageId) -> bool {
        let message = self.record.own.messages().iter().find(|it| it.id() == message);
        let mut tools = message.into_iter().flat_map(|message| message.tools());
        tools.any(|tool| tool.state.is_aborted_command())
    }

    /// Returns a tool of this message that another client refused, so that the turn ended there.
    fn refused_tool(&self, message: &MessageId) -> Option<String> {
        let message = self.record.own.messages().iter().find(|it| it.id() == message)?;
        let stops = |tool: &&ToolPart| tool.state.is_rejected() && !tool.state.is_corrected();
        message.tools().filter(stops).last().map(|tool| tool.tool.to_string())
    }

    /// Returns the end of a turn that overflows again and again, perhaps in a subagent.
    fn overflowed(&self) -> TurnEnd {
        let of_children = self.record.children.iter().flat_map(|child| child.errors());
        match of_children.filter(is_overflow).last() {
            Some(error) if self.faults.errors.is_empty() => {
                TurnEnd::AgentError(Box::new(error.clone()))
            }
            Some(_) | None => failed(&self.faults.errors),
        }
    }

    /// Ends a turn that was stopped.
    pub(in crate::turn) fn finish_stopped(&mut self, input: &mut TurnInput<'_>) {
        let why = match &self.course {
            Course::Stopping { why, .. } => why,
            Course::Working => &StopCause::Cancelled,
        };
        input.finish(match why {
            StopCause::Cancelled => TurnEnd::Cancelled,
            StopCause::Repeated(Repetition::Overflows) => self.overflowed(),
            StopCause::Repeated(Repetition::RepeatedCalls { tool }) => {
                TurnEnd::RepeatedCalls { tool: tool.to_string() }
            }
            StopCause::Repeated(Repetition::Unfinished) => TurnEnd::Endless,
            StopCause::Repeated(Repetition::EmptyReplies) => TurnEnd::EmptyReplies,
            StopCause::RetryTooLate => TurnEnd::RetryTooLate { failure: self.last_failure() },
            StopCause::TimedOut(deadline) => {
                TurnEnd::TimedOut { deadline: *deadline, failure: self.last_failure() }
            }
        });
    }
}

/// Returns whether OpenCode compacts the conversation after this error.
fn is_overflow(error: &&AgentError) -> bool {
    error.name == ErrorName::CONTEXT_OVERFLOW
}

/// Returns the end by the first error, which led to the others.
pub(super) fn failed(errors: &[AgentError]) -> TurnEnd {
    match errors.first() {
        Some(error) if error.name == ErrorName::MESSAGE_ABORTED => TurnEnd::Aborted,
        Some(error) => TurnEnd::AgentError(Box::new(error.clone())),
        None => TurnEnd::Torn,
    }
}
